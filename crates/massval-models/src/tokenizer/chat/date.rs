//! The date that a chat template may ask for.

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A day of the Gregorian calendar.
///
/// ```
/// use massval_models::tokenizer::ChatDate;
///
/// assert!(ChatDate::new(2024, 2, 29).is_some());
/// assert!(ChatDate::new(2023, 2, 29).is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChatDate {
    year: u16,
    month: u8,
    day: u8,
}

impl ChatDate {
    /// A day that exists, in the years 1 to 9999; `None` otherwise.
    #[must_use]
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let exists = (1..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day);
        exists.then_some(Self { year, month, day })
    }

    /// The date in the notation of C's and Python's `strftime`. A time of day is midnight.
    pub(super) fn format(self, format: &str) -> Result<String, String> {
        let Self { year, month, day } = self;
        let month_name = MONTHS.get(usize::from(month) - 1).copied().unwrap_or_default();
        let weekday_name = DAYS.get(usize::from(self.weekday())).copied().unwrap_or_default();
        let mut out = String::new();
        let mut rest = format.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let mut directive = rest.next();
            let bare = directive == Some('-');
            if bare {
                directive = rest.next();
            }
            let text = match directive {
                Some('d') if bare => day.to_string(),
                Some('m') if bare => month.to_string(),
                Some('d') => format!("{day:02}"),
                Some('e') => format!("{day:2}"),
                Some('m') => format!("{month:02}"),
                Some('Y') => format!("{year:04}"),
                Some('y') => format!("{:02}", year % 100),
                Some('B') => month_name.to_owned(),
                Some('b') => month_name.get(..3).unwrap_or_default().to_owned(),
                Some('A') => weekday_name.to_owned(),
                Some('a') => weekday_name.get(..3).unwrap_or_default().to_owned(),
                Some('j') => format!("{:03}", self.day_of_year()),
                Some('F') => format!("{year:04}-{month:02}-{day:02}"),
                Some('H' | 'M' | 'S') => "00".to_owned(),
                Some('%') => "%".to_owned(),
                other => {
                    return Err(format!(
                        "strftime_now: %{} is not supported",
                        other.map_or_else(String::new, String::from)
                    ));
                }
            };
            out.push_str(&text);
        }
        Ok(out)
    }

    fn day_of_year(self) -> u16 {
        (1..self.month).map(|m| u16::from(days_in(self.year, m))).sum::<u16>() + u16::from(self.day)
    }

    /// 0 is Sunday. 1 January of year 1 was a Monday.
    fn weekday(self) -> u8 {
        let years = u32::from(self.year) - 1;
        let days =
            years * 365 + years / 4 - years / 100 + years / 400 + u32::from(self.day_of_year());
        (days % 7) as u8
    }
}

fn days_in(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_python_does() {
        let cases = [
            ((2024, 7, 26), "%d %b %Y", "26 Jul 2024"),
            ((2024, 2, 29), "%A, %B %-d, %Y", "Thursday, February 29, 2024"),
            ((2000, 12, 31), "%Y-%m-%d %j %a", "2000-12-31 366 Sun"),
            ((1900, 3, 1), "%F %A %j", "1900-03-01 Thursday 060"),
            ((2026, 1, 5), "%y/%-m/%e 100%% %H:%M", "26/1/ 5 100% 00:00"),
        ];
        for ((year, month, day), format, expected) in cases {
            let date = ChatDate::new(year, month, day).expect("the day exists");
            assert_eq!(date.format(format).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn unknown_directives_and_days_are_refused() {
        let date = ChatDate::new(2024, 1, 1).expect("the day exists");
        assert!(date.format("%Q").is_err());
        assert!(date.format("%").is_err());
        assert!(date.format("%-").is_err());
        for (year, month, day) in [(2024, 0, 1), (2024, 13, 1), (2024, 4, 31), (0, 1, 1)] {
            assert_eq!(ChatDate::new(year, month, day), None);
        }
    }
}
