//! What became of every tensor when a checkpoint met an architecture.

use std::fmt;

use serde::Serialize;

/// How many names of one kind an error line spells out; the rest it counts.
const NAMED: usize = 3;

/// A tensor that the architecture needs and the checkpoint lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The name that was looked for.
    pub name: String,
    /// The checkpoint's name most like it, if one is; found for the first few only.
    pub nearest: Option<String>,
}

/// A tensor whose shape the architecture does not expect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WrongShape {
    /// The tensor.
    pub name: String,
    /// The shape that the config asks for, row-major.
    pub expected: Vec<usize>,
    /// The shape that the checkpoint has, row-major.
    pub found: Vec<usize>,
    /// The config's fields that ask for the expected shape, with their values, where they are
    /// known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

/// What was applied, missing, unused and of the wrong shape. Anything but a
/// [clean](Self::is_clean) report is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LoadReport {
    /// Tensors that went into the model, in the order they were asked for.
    pub applied: Vec<String>,
    /// Tensors known to be derivable from others or from the config, and so not read.
    pub ignored: Vec<String>,
    /// Tensors the checkpoint does not have.
    pub missing: Vec<Missing>,
    /// Tensors nobody asked for.
    pub unused: Vec<String>,
    /// Tensors of another shape than the config asks for.
    pub wrong_shape: Vec<WrongShape>,
}

impl LoadReport {
    /// Whether every tensor found its place and every place its tensor.
    pub fn is_clean(&self) -> bool {
        self.missing.is_empty() && self.unused.is_empty() && self.wrong_shape.is_empty()
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return write!(f, "all {} tensors applied", self.applied.len());
        }
        f.write_str("the weights do not match the config: ")?;
        let mut separator = "";
        list(f, &mut separator, "missing", &self.missing, |f, missing| {
            write!(f, "`{}`", missing.name)?;
            match &missing.nearest {
                Some(nearest) => write!(f, " (nearest: `{nearest}`)"),
                None => Ok(()),
            }
        })?;
        list(f, &mut separator, "unused", &self.unused, |f, name| write!(f, "`{name}`"))?;
        list(f, &mut separator, "of the wrong shape", &self.wrong_shape, |f, wrong| {
            write!(f, "`{}` {:?} instead of {:?}", wrong.name, wrong.found, wrong.expected)?;
            match wrong.fields.is_empty() {
                true => Ok(()),
                false => write!(f, " (by {})", wrong.fields.join(" or ")),
            }
        })
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    separator: &mut &'static str,
    what: &str,
    items: &[T],
    show: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    write!(f, "{separator}{} {what}: ", items.len())?;
    *separator = "; ";
    for (i, item) in items.iter().take(NAMED).enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        show(f, item)?;
    }
    match items.len().checked_sub(NAMED) {
        Some(more) if more > 0 => write!(f, " and {more} more"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_first_and_counts_the_rest_in_one_line() {
        let report = LoadReport {
            missing: vec![Missing { name: "a.wieght".into(), nearest: Some("a.weight".into()) }],
            unused: ["v", "w", "x", "y", "z"].map(String::from).to_vec(),
            wrong_shape: vec![WrongShape {
                name: "b".into(),
                expected: vec![2, 3],
                found: vec![3, 2],
                fields: vec!["n_embd 3".into()],
            }],
            ..LoadReport::default()
        };
        assert!(!report.is_clean());
        assert_eq!(
            report.to_string(),
            "the weights do not match the config: 1 missing: `a.wieght` (nearest: `a.weight`); \
             5 unused: `v`, `w`, `x` and 2 more; \
             1 of the wrong shape: `b` [3, 2] instead of [2, 3] (by n_embd 3)"
        );
    }

    #[test]
    fn a_clean_report_says_how_many() {
        let report = LoadReport { applied: vec!["a".into()], ..LoadReport::default() };
        assert!(report.is_clean());
        assert_eq!(report.to_string(), "all 1 tensors applied");
    }
}
