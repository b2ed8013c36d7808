//! Numbers in running text.

/// A number as it stands in a text, compared by value and without rounding where it is a decimal.
#[derive(Debug, Clone)]
pub(crate) enum Number {
    /// `digits x 10^exponent`, without zeros at either end; zero has no digits.
    Decimal { negative: bool, digits: String, exponent: i64 },
    /// A fraction.
    Ratio(f64),
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Decimal { negative: a, digits: b, exponent: c },
                Self::Decimal { negative: x, digits: y, exponent: z },
            ) => b == y && (b.is_empty() || (a, c) == (x, z)),
            _ => self.value() == other.value(),
        }
    }
}

impl Number {
    /// As a float; infinite past its range.
    pub fn value(&self) -> f64 {
        match self {
            Self::Decimal { digits, .. } if digits.is_empty() => 0.0,
            Self::Decimal { negative, digits, exponent } => {
                let size: f64 = format!("{digits}e{exponent}").parse().unwrap_or(f64::NAN);
                if *negative { -size } else { size }
            }
            Self::Ratio(value) => *value,
        }
    }

    fn decimal(negative: bool, whole: &str, part: &str, exponent: i64) -> Self {
        let digits = format!("{whole}{part}");
        let kept = digits.trim_end_matches('0');
        let exponent = exponent
            .saturating_sub(part.len() as i64)
            .saturating_add((digits.len() - kept.len()) as i64);
        Self::Decimal { negative, digits: kept.trim_start_matches('0').to_owned(), exponent }
    }
}

/// The text with the decimal digits of all scripts in common use as ASCII digits.
pub(crate) fn ascii_digits(text: &str) -> String {
    text.chars().map(|c| decimal_digit(c).unwrap_or(c)).collect()
}

/// Zeros of the scripts' decimal digits (Unicode's category Nd); nine more follow each.
const ZEROS: &[u32] = &[
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6,
    0xE50, 0xED0, 0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0xFF10, 0x1D7CE, 0x1D7D8, 0x1D7E2,
    0x1D7EC, 0x1D7F6,
];

fn decimal_digit(c: char) -> Option<char> {
    let code = u32::from(c);
    if code < 0x660 {
        return None;
    }
    let zero = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code))?;
    char::from_digit(code - zero, 10)
}

/// The last number of a text, with the spelling it has there.
///
/// - A minus (hyphen or U+2212) right before the number, or before its currency sign, is its sign,
///   unless a letter, digit or closing bracket stands before that: `10-3` ends in 3, `= -3` in -3.
/// - Commas that group by three or four digits belong to the number (`1,234`, `1,0000`); others
///   separate numbers (`1,2,3` ends in 3).
/// - `1.5`, `.5`, `1e3`, `2E-4` and `2/3` are one number each; `3/4/2024` and `1.2.3` are several.
pub(crate) fn last_number(text: &str) -> Option<(String, Option<Number>)> {
    let text = ascii_digits(text);
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut last = None;
    while at < bytes.len() {
        let dot = bytes[at] == b'.'
            && digit(bytes, at + 1)
            && !(at > 0 && bytes[at - 1].is_ascii_alphanumeric());
        if bytes[at].is_ascii_digit() || dot {
            let (end, number) = parse(bytes, at, negative(&text[..at]));
            last = Some((at, end, number));
            at = end;
        } else {
            at += 1;
        }
    }
    let (start, end, number) = last?;
    let sign = if negative(&text[..start]) { "-" } else { "" };
    Some((format!("{sign}{}", &text[start..end]), number))
}

fn digit(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(u8::is_ascii_digit)
}

fn digits_end(bytes: &[u8], from: usize) -> usize {
    let run = bytes.iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
    from + run
}

/// Whether the text before a number ends in its sign.
fn negative(before: &str) -> bool {
    let before = before.strip_suffix(['$', '€', '£', '¥']).unwrap_or(before);
    let Some(before) = before.strip_suffix(['-', '\u{2212}']) else { return false };
    !before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, ')' | ']' | '}'))
}

/// Reads the number that begins at `start`; gives its end. No value if it divides by zero.
fn parse(bytes: &[u8], start: usize, negative: bool) -> (usize, Option<Number>) {
    let text = |from: usize, to: usize| String::from_utf8_lossy(&bytes[from..to]).into_owned();
    let whole_end = grouped_end(bytes, start);
    let whole = text(start, whole_end).replace(',', "");
    let mut end = whole_end;
    let mut part = String::new();
    if bytes.get(end) == Some(&b'.') && digit(bytes, end + 1) {
        let part_end = digits_end(bytes, end + 1);
        part = text(end + 1, part_end);
        end = part_end;
    }
    let mut exponent = 0;
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let to = digits_end(bytes, end + 1 + sign);
        // `5e3x` is a name, not a number with an exponent.
        if to > end + 1 + sign && !bytes.get(to).is_some_and(u8::is_ascii_alphabetic) {
            let past = if bytes[end + 1] == b'-' { i64::MIN } else { i64::MAX };
            exponent = text(end + 1, to).parse().unwrap_or(past);
            end = to;
        }
    }
    let number = Number::decimal(negative, &whole, &part, exponent);
    // A slash with one whole number on each side, and no third.
    let below_end = digits_end(bytes, end + 1);
    let fraction = part.is_empty()
        && exponent == 0
        && bytes.get(end) == Some(&b'/')
        && below_end > end + 1
        && !matches!(bytes.get(below_end), Some(b'/'))
        && !(start > 0 && bytes[start - 1] == b'/');
    if !fraction {
        return (end, Some(number));
    }
    let below = Number::decimal(false, &text(end + 1, below_end), "", 0).value();
    let ratio = number.value() / below;
    (below_end, (below > 0.0 && ratio.is_finite()).then_some(Number::Ratio(ratio)))
}

/// The end of the whole part: plain digits, or groups of three or of four after the first.
fn grouped_end(bytes: &[u8], start: usize) -> usize {
    let first = digits_end(bytes, start);
    let mut end = first;
    let mut group = None;
    while bytes.get(end) == Some(&b',') {
        let next = digits_end(bytes, end + 1);
        let len = next - (end + 1);
        if !matches!(len, 3 | 4) || group.is_some_and(|g| g != len) || first - start > len {
            break;
        }
        group = Some(len);
        end = next;
    }
    // `1,234,5` is a list after all.
    if bytes.get(end) == Some(&b',') && digit(bytes, end + 1) { first } else { end }
}
