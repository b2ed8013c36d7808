//! The usual scorers, by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::reference::best_f1;
use super::words::squad;
use super::{Error, Verdict, strict};

/// A scorer that compares an answer with right ones, whatever the task.
///
/// ```
/// use massval_eval::score::Metric;
///
/// let metric: Metric = "exact_match".parse()?;
/// assert!(metric.measure(&["Eiffel Tower"], "The Eiffel tower!")?.is_right());
/// # Ok::<(), massval_eval::score::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Metric {
    /// Equal after normalising as SQuAD's evaluation does (Rajpurkar et al. 2016): lower case,
    /// without ASCII punctuation and the words a, an, the; blanks as one space.
    ExactMatch,
    /// The last number has the right value, as for GSM8K (Cobbe et al. 2021), by the rules of
    /// [`strict::number`].
    NumberMatch,
    /// The letter given as the answer is the right one, by the rules of [`strict::option`] without
    /// the option's text.
    OptionMatch,
    /// The first standalone yes or no (true or false) is the right one, as [`strict::truth`].
    YesNo,
    /// A right answer occurs in the answer, to the letter; case counts. The passkey task of *Landmark
    /// Attention* and of the reference.
    Substring,
    /// F1 of the words after normalising as SQuAD's evaluation does (Rajpurkar et al. 2016; two
    /// empty texts agree, as in SQuAD 2.0).
    F1,
}

/// All of them.
const ALL: [Metric; 6] = [
    Metric::ExactMatch,
    Metric::NumberMatch,
    Metric::OptionMatch,
    Metric::YesNo,
    Metric::Substring,
    Metric::F1,
];

impl Metric {
    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExactMatch => "exact_match",
            Self::NumberMatch => "number_match",
            Self::OptionMatch => "option_match",
            Self::YesNo => "yes_no",
            Self::Substring => "substring",
            Self::F1 => "f1",
        }
    }

    /// The best that the answer reaches against the right ones.
    ///
    /// # Errors
    /// [`Error::Gold`] if there is no right answer, or one that the scorer cannot read (no number
    /// in it, no letter, neither yes nor no, nothing at all).
    pub fn measure(self, right: &[&str], answer: &str) -> Result<Verdict, Error> {
        let mut best: Option<Verdict> = None;
        for want in right {
            let verdict = self.measure_one(want, answer)?;
            if best.as_ref().is_none_or(|best| verdict.score > best.score) {
                best = Some(verdict);
            }
        }
        best.ok_or_else(|| Error::Gold { what: "no right answer given".into() })
    }

    fn measure_one(self, want: &str, answer: &str) -> Result<Verdict, Error> {
        match self {
            Self::ExactMatch => {
                let said = squad(answer);
                let text = (!said.is_empty()).then(|| said.join(" "));
                Ok(Verdict::new(said == squad(want), text))
            }
            Self::NumberMatch => strict::number(want, answer),
            Self::OptionMatch => {
                let mut letters = want.trim().chars();
                match (letters.next(), letters.next()) {
                    (Some(letter), None) => strict::option(letter, "", answer),
                    _ => Err(Error::Gold { what: format!("{want:?} is not an option's letter") }),
                }
            }
            Self::YesNo => match want.trim().to_ascii_lowercase().as_str() {
                "yes" | "true" => Ok(strict::truth(true, answer)),
                "no" | "false" => Ok(strict::truth(false, answer)),
                _ => Err(Error::Gold { what: format!("{want:?} is none of yes, no, true, false") }),
            },
            Self::Substring if want.is_empty() => {
                Err(Error::Gold { what: "the right answer is empty: every answer holds it".into() })
            }
            Self::Substring => {
                let right = answer.contains(want);
                Ok(Verdict::new(right, right.then(|| want.to_owned())))
            }
            Self::F1 => best_f1(&[want.to_owned()], answer),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        ALL.into_iter().find(|m| m.name() == name).ok_or_else(|| Error::Metric {
            name: name.to_owned(),
            known: ALL.map(Self::name).join(", "),
        })
    }
}
