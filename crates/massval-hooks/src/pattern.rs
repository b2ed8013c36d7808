//! Patterns for names: alternations, wildcards and layer ranges.

use std::ops::Range;

use crate::{Error, Result};

/// How many alternatives one pattern may stand for.
const MAX_ALTERNATIVES: usize = 1024;

/// The error for a pattern that cannot be read.
fn invalid(pattern: &str, reason: impl Into<String>) -> Error {
    Error::InvalidPattern { pattern: pattern.to_owned(), reason: reason.into() }
}

/// The alternatives that a pattern with `{a,b}` stands for; `{l}` stands for every layer.
///
/// # Errors
/// If braces do not close, are nested, or stand for too many alternatives.
pub(crate) fn alternatives(pattern: &str) -> Result<Vec<String>> {
    let mut done = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((inside, after)) = after.split_once('}') else {
            return Err(invalid(pattern, "`{` is never closed"));
        };
        if inside.contains('{') {
            return Err(invalid(pattern, "`{` inside of `{..}`"));
        }
        if before.contains('}') {
            break;
        }
        let choices: Vec<&str> = match inside {
            "l" => vec!["*"],
            _ => inside.split(',').map(str::trim).collect(),
        };
        if done.len().saturating_mul(choices.len()) > MAX_ALTERNATIVES {
            return Err(invalid(pattern, format!("stands for more than {MAX_ALTERNATIVES} names")));
        }
        done = done
            .iter()
            .flat_map(|head| choices.iter().map(move |choice| format!("{head}{before}{choice}")))
            .collect();
        rest = after;
    }
    if rest.contains('}') {
        return Err(invalid(pattern, "`}` without `{`"));
    }
    Ok(done.into_iter().map(|head| head + rest).collect())
}

/// One alternative of a pattern, ready to be matched.
pub(crate) struct Glob {
    tokens: Vec<Token>,
}

enum Token {
    /// This byte.
    Byte(u8),
    /// `?`: any one byte.
    Any,
    /// `*`: any run of bytes, dots included.
    Run,
    /// The number of one of these layers.
    Layers(Layers),
}

/// A name to match, with the place of its layer's number.
pub(crate) struct Name<'a> {
    pub(crate) text: &'a str,
    pub(crate) layer: Option<Range<usize>>,
}

impl Glob {
    /// Reads one alternative. A segment between dots that is a number or a range of numbers
    /// stands for layers; all else is text, `*` and `?`.
    ///
    /// # Errors
    /// If a layer's number is absurdly large.
    pub(crate) fn parse(alternative: &str, pattern: &str) -> Result<Self> {
        let mut tokens = Vec::new();
        let mut rest = alternative;
        let mut at_start = true;
        while let Some(next) = rest.chars().next() {
            if at_start && let Some((layers, after)) = Layers::parse(rest, pattern)? {
                tokens.push(Token::Layers(layers));
                rest = after;
                at_start = false;
                continue;
            }
            let (head, after) = rest.split_at(next.len_utf8());
            match next {
                '*' => tokens.push(Token::Run),
                '?' => tokens.push(Token::Any),
                _ => tokens.extend(head.bytes().map(Token::Byte)),
            }
            at_start = next == '.';
            rest = after;
        }
        Ok(Self { tokens })
    }

    /// The layer ranges in the pattern.
    pub(crate) fn layers(&self) -> impl Iterator<Item = &Layers> {
        self.tokens.iter().filter_map(|token| match token {
            Token::Layers(layers) => Some(layers),
            _ => None,
        })
    }

    /// Whether the pattern matches the whole of `name`. Its layer ranges match every layer here:
    /// which layers they mean depends on the model.
    pub(crate) fn matches(&self, name: &Name<'_>) -> bool {
        let text = name.text.as_bytes();
        let (mut token, mut at) = (0, 0);
        // Where to go on after the last `*`, if what follows it does not match here.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            let step = match (self.tokens.get(token), text.get(at)) {
                (None, None) => return true,
                (Some(Token::Run), _) => {
                    retry = Some((token + 1, at));
                    token += 1;
                    continue;
                }
                (Some(Token::Any), Some(_)) => Some(1),
                (Some(Token::Byte(wanted)), Some(found)) if wanted == found => Some(1),
                (Some(Token::Layers(_)), Some(_)) => {
                    name.layer.as_ref().filter(|span| span.start == at).map(Range::len)
                }
                _ => None,
            };
            match (step, retry) {
                (Some(step), _) => {
                    token += 1;
                    at += step;
                }
                (None, Some((after_run, from))) if from < text.len() => {
                    retry = Some((after_run, from + 1));
                    token = after_run;
                    at = from + 1;
                }
                _ => return false,
            }
        }
    }
}

/// Layers as a pattern names them: `3`, `-1`, `2-5`, `-4--1`, `2..5`, `2..=5`.
pub(crate) struct Layers {
    first: i64,
    end: End,
}

#[derive(Clone, Copy)]
enum End {
    /// The first layer is the only one.
    Single,
    /// This layer is the last one.
    Through(i64),
    /// This layer is the first one that is left out.
    Before(i64),
}

impl Layers {
    /// Reads layers at the start of `text`, if there are any and they fill their segment.
    fn parse<'a>(text: &'a str, pattern: &str) -> Result<Option<(Self, &'a str)>> {
        let Some((first, after)) = integer(text, pattern)? else { return Ok(None) };
        let through = after.strip_prefix("..=").or_else(|| after.strip_prefix('-'));
        let (end, after) = if let Some(rest) = through {
            let Some((last, after)) = integer(rest, pattern)? else { return Ok(None) };
            (End::Through(last), after)
        } else if let Some(rest) = after.strip_prefix("..") {
            let Some((last, after)) = integer(rest, pattern)? else { return Ok(None) };
            (End::Before(last), after)
        } else {
            (End::Single, after)
        };
        let fills_segment = after.is_empty() || after.starts_with('.');
        Ok(fills_segment.then_some((Self { first, end }, after)))
    }

    /// The layers that are meant in a model of `layers` layers.
    ///
    /// # Errors
    /// If one of them does not exist in it, or none is meant.
    pub(crate) fn resolve(&self, layers: usize, pattern: &str) -> Result<Range<usize>> {
        let index = |layer: i64, limit: usize| {
            let magnitude = usize::try_from(layer.unsigned_abs()).ok();
            let index =
                magnitude.and_then(|n| if layer < 0 { layers.checked_sub(n) } else { Some(n) });
            index.filter(|&index| index < limit).ok_or_else(|| Error::LayerOutOfRange {
                pattern: pattern.to_owned(),
                layer,
                layers,
            })
        };
        let first = index(self.first, layers)?;
        let end = match self.end {
            End::Single => first + 1,
            End::Through(last) => index(last, layers)? + 1,
            End::Before(end) => index(end, layers.saturating_add(1))?,
        };
        if first < end {
            Ok(first..end)
        } else {
            Err(invalid(pattern, format!("its layer range is empty in a model of {layers} layers")))
        }
    }
}

/// Reads a whole number, with or without a minus sign, at the start of `text`.
fn integer<'a>(text: &'a str, pattern: &str) -> Result<Option<(i64, &'a str)>> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let after = unsigned.trim_start_matches(|c: char| c.is_ascii_digit());
    if after.len() == unsigned.len() {
        return Ok(None);
    }
    let (number, after) = text.split_at(text.len() - after.len());
    match number.parse() {
        Ok(value) => Ok(Some((value, after))),
        Err(_) => Err(invalid(pattern, format!("{number} is too large for a layer"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expand(pattern: &str) -> Vec<String> {
        alternatives(pattern).unwrap()
    }

    #[test]
    fn braces_are_alternatives() {
        assert_eq!(expand("plain"), ["plain"]);
        assert_eq!(expand("{q,k}"), ["q", "k"]);
        assert_eq!(expand("a{1, 2}b{x,y}"), ["a1bx", "a1by", "a2bx", "a2by"]);
        assert_eq!(expand("blocks.{l}.hook_in"), ["blocks.*.hook_in"]);
    }

    #[test]
    fn broken_braces_are_errors() {
        for pattern in ["{q", "q}", "{a{b}c}", "a}{b}", "{q,k}}"] {
            assert!(alternatives(pattern).is_err(), "{pattern}");
        }
        let many = "{a,b}".repeat(11);
        assert_eq!(
            alternatives(&many).unwrap_err().to_string(),
            format!("hook pattern `{many}` cannot be read: stands for more than 1024 names")
        );
    }

    fn layers(text: &str) -> Option<Layers> {
        Layers::parse(text, text).unwrap().map(|(layers, _)| layers)
    }

    fn resolve(text: &str, of: usize) -> Result<Range<usize>> {
        layers(text).unwrap().resolve(of, text)
    }

    #[test]
    fn layers_count_from_both_ends() {
        assert_eq!(resolve("3", 12).unwrap(), 3..4);
        assert_eq!(resolve("-1", 12).unwrap(), 11..12);
        assert_eq!(resolve("2-5", 12).unwrap(), 2..6);
        assert_eq!(resolve("2..5", 12).unwrap(), 2..5);
        assert_eq!(resolve("2..=5", 12).unwrap(), 2..6);
        assert_eq!(resolve("2..12", 12).unwrap(), 2..12);
        assert_eq!(resolve("-4--1", 12).unwrap(), 8..12);
        assert_eq!(resolve("-4..-1", 12).unwrap(), 8..11);
        assert_eq!(resolve("0--1", 1).unwrap(), 0..1);
    }

    #[test]
    fn layers_outside_of_the_model_are_errors() {
        for text in ["12", "-13", "2-12", "2..13", "12..12", "-13-2", "9223372036854775807"] {
            assert!(matches!(resolve(text, 12), Err(Error::LayerOutOfRange { .. })), "{text}");
        }
        for text in ["5-2", "5..5", "-1..-4"] {
            assert!(matches!(resolve(text, 12), Err(Error::InvalidPattern { .. })), "{text}");
        }
        assert!(Layers::parse("99999999999999999999", "").is_err());
    }

    #[test]
    fn only_whole_segments_are_layers() {
        for text in ["4h", "2-x", "2..", "..5", "-", "--1", "x", ""] {
            assert!(layers(text).is_none(), "{text}");
        }
    }

    /// What a glob means, written as plainly as can be.
    fn slow(glob: &[u8], text: &[u8]) -> bool {
        match glob.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|n| slow(rest, &text[n..])),
            Some((b'?', rest)) => !text.is_empty() && slow(rest, &text[1..]),
            Some((byte, rest)) => text.first() == Some(byte) && slow(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn globs_equal_the_slow_reference(glob in "[ab.*?]{0,8}", text in "[ab.]{0,8}") {
            let fast = Glob::parse(&glob, &glob).unwrap();
            let name = Name { text: &text, layer: None };
            prop_assert_eq!(fast.matches(&name), slow(glob.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn no_pattern_panics(pattern in ".{0,40}|[-{},*?.0-9=a]{0,40}", of in 0usize..40) {
            for alternative in alternatives(&pattern).unwrap_or_default() {
                let Ok(glob) = Glob::parse(&alternative, &pattern) else { continue };
                for layers in glob.layers() {
                    if let Ok(range) = layers.resolve(of, &pattern) {
                        prop_assert!(range.start < range.end && range.end <= of);
                    }
                }
                glob.matches(&Name { text: "blocks.3.hook_in", layer: Some(7..8) });
            }
        }
    }
}
