//! How often each answer is the right one.

use std::collections::BTreeMap;
use std::fmt;

use massval::data::Gold;
use serde::Serialize;

/// Counts of answers: one by one where there are few, by their kind else.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Balance(BTreeMap<String, usize>);

impl Balance {
    pub fn add(&mut self, gold: &Gold) {
        let answer = match gold {
            Gold::Truth { truth: true } => "yes".to_owned(),
            Gold::Truth { truth: false } => "no".to_owned(),
            Gold::Sentiment { positive: true } => "positive".to_owned(),
            Gold::Sentiment { positive: false } => "negative".to_owned(),
            Gold::Option { letter, .. } => letter.to_string(),
            Gold::Text { .. } => "text".to_owned(),
            Gold::Digits { .. } => "digits".to_owned(),
            Gold::Number { .. } => "number".to_owned(),
            Gold::List { .. } => "list".to_owned(),
            Gold::Conflict { .. } => "context or memory".to_owned(),
            _ => "other".to_owned(),
        };
        *self.0.entry(answer).or_default() += 1;
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (answer, count)) in self.0.iter().enumerate() {
            write!(f, "{}{answer} {count}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
