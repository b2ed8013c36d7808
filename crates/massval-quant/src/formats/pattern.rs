//! Which linears an entry of a config is for: one by its name, or all that a regular expression fits.

use std::fmt;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How compressed-tensors marks a regular expression.
pub(super) const MARK: &str = "re:";
/// Bytes that a compiled expression may take: configs are not trusted.
const LARGEST: usize = 1 << 20;

/// A linear by its full name, or linears by a regular expression, which need only fit the beginning of a name.
///
/// ```
/// use massval_quant::formats::LinearPattern;
/// let one = LinearPattern::name("model.layers.1.mlp.up_proj");
/// assert!(one.matches("model.layers.1.mlp.up_proj") && !one.matches("model.layers.10.mlp.up_proj"));
/// let many = LinearPattern::expression(r".*\.1\.")?;
/// assert!(many.matches("model.layers.1.mlp.up_proj") && !many.matches("model.layers.10.mlp.up_proj"));
/// assert_eq!(many.to_string(), r"re:.*\.1\.");
/// # Ok::<(), massval_quant::Error>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinearPattern {
    text: String,
    expression: Option<Regex>,
}

impl LinearPattern {
    /// The linear of this name.
    pub fn name(name: impl Into<String>) -> Self {
        Self { text: name.into(), expression: None }
    }

    /// The linears whose names begin as the expression says; one that fits a single name alone becomes that name.
    ///
    /// # Errors
    /// [`Error::Unknown`] if it is none that is understood: look-around and references back are not.
    pub fn expression(expression: &str) -> Result<Self> {
        if let Some(name) = literal(expression) {
            return Ok(Self::name(name));
        }
        let regex = RegexBuilder::new(&format!("^(?:{expression})")).size_limit(LARGEST).build();
        let regex = regex.map_err(|_| Error::Unknown {
            what: "regular expression",
            given: expression.to_owned(),
            known: "those without look-around and references back",
        })?;
        Ok(Self { text: format!("{MARK}{expression}"), expression: Some(regex) })
    }

    /// Whether a linear of this name is meant.
    pub fn matches(&self, linear: &str) -> bool {
        match &self.expression {
            Some(expression) => expression.is_match(linear),
            None => self.text == linear,
        }
    }

    /// As GPTQ's configs write it: an expression, whatever it is.
    pub(super) fn as_expression(&self) -> String {
        match self.text.strip_prefix(MARK) {
            Some(expression) if self.expression.is_some() => expression.to_owned(),
            _ => exactly(&self.text),
        }
    }

    /// Names come before expressions, as compressed-tensors has it.
    pub(super) fn rank(&self) -> (bool, &str) {
        (self.expression.is_some(), &self.text)
    }
}

impl PartialEq for LinearPattern {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for LinearPattern {}

impl TryFrom<String> for LinearPattern {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        match text.strip_prefix(MARK) {
            Some(expression) => Self::expression(expression),
            None => Ok(Self::name(text)),
        }
    }
}

impl From<LinearPattern> for String {
    fn from(pattern: LinearPattern) -> Self {
        pattern.text
    }
}

impl fmt::Display for LinearPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// The expression that fits `name` alone.
pub(crate) fn exactly(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    out.push('^');
    for c in name.chars() {
        if c.is_ascii_punctuation() && c != '_' {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('$');
    out
}

/// The only name that an expression fits, if it is written as [`exactly`] writes it.
pub(super) fn literal(expression: &str) -> Option<String> {
    let mut name = String::with_capacity(expression.len());
    let mut escaped = false;
    for c in expression.strip_prefix('^')?.strip_suffix('$')?.chars() {
        match (escaped, c) {
            (false, '\\') => escaped = true,
            (true, c) if !c.is_ascii_punctuation() => return None,
            (false, c) if c.is_ascii_punctuation() && !matches!(c, '_' | '-') => return None,
            (_, c) => {
                name.push(c);
                escaped = false;
            }
        }
    }
    (!escaped && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_written_as_an_expression_is_that_name(name in "[a-zA-Z0-9._\\-+*()\\[\\]^$|?{}#& ]{1,20}") {
            let expression = exactly(&name);
            prop_assert_eq!(literal(&expression), Some(name.clone()));
            let regex = Regex::new(&expression).expect("an expression");
            let longer = format!("{name}0");
            prop_assert!(regex.is_match(&name) && !regex.is_match(&longer));
            prop_assert_eq!(LinearPattern::expression(&expression)?, LinearPattern::name(name));
        }
    }

    #[test]
    fn expressions_fit_the_beginning_of_a_name() -> Result<()> {
        let pattern = LinearPattern::try_from("re:model|.*q_proj".to_owned())?;
        assert!(
            pattern.matches("model.a") && pattern.matches("x.q_proj.b") && !pattern.matches("a")
        );
        assert_eq!(String::from(pattern), "re:model|.*q_proj");
        for (expression, name) in [
            ("^a\\.b$", Some("a.b")),
            ("^a.b$", None),
            ("^a\\db$", None),
            ("a\\.b$", None),
            ("^a\\.b", None),
            ("^$", None),
            ("^a\\$", None),
        ] {
            assert_eq!(literal(expression).as_deref(), name, "{expression}");
        }
        Ok(())
    }

    #[test]
    fn what_cannot_be_matched_is_refused() {
        for expression in ["(?=a)", "(a)\\1", "(", "(\\w{1000}){1000}"] {
            let error = LinearPattern::expression(expression).expect_err(expression);
            assert!(error.to_string().contains(expression), "{error}");
        }
    }
}
