//! How varied a text is.
//!
//! The share of n-grams that are different: 1 if none repeats, near 0 for a loop. *Massive Values
//! in Self-Attention Modules* reports it for n = 2 over the words of NLTK's `word_tokenize` and
//! averages it over answers; [`Words::Treebank`] is that, [`Words::Whitespace`] what needs no
//! tokenizer.
//!
//! ```
//! use massval_eval::diversity::{Words, ngram_diversity};
//!
//! // the cat, cat the, the cat: 2 of 3 are different.
//! assert!((ngram_diversity("The cat the cat", 2, Words::Treebank)? - 2.0 / 3.0).abs() < 1e-12);
//! # Ok::<(), massval_eval::diversity::Error>(())
//! ```

mod sentences;
mod treebank;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

/// How a text is cut into words. Case never counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Words {
    /// As NLTK's `word_tokenize` does: into sentences, and these into words and punctuation by the
    /// conventions of the Penn Treebank.
    ///
    /// The words of a given sentence equal NLTK's. Its sentences come from a trained model, Punkt;
    /// here its procedure is followed with a list of English abbreviations in place of what it
    /// learned. A difference moves a full stop: `no.` stays one word inside a sentence and is two
    /// at its end.
    #[default]
    Treebank,
    /// At white space.
    Whitespace,
}

/// What can go wrong with diversity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// n-grams of no words.
    #[error("n-gram diversity: n is 0; it must be at least 1")]
    Zero,
    /// No texts to average over.
    #[error("n-gram diversity: no texts; the mean needs at least one")]
    Empty,
}

/// Different n-grams over all n-grams of the lower-cased text; 0 if it has none, as the reference
/// has it.
///
/// # Errors
/// If `n` is 0.
pub fn ngram_diversity(text: &str, n: usize, words: Words) -> Result<f64, Error> {
    if n == 0 {
        return Err(Error::Zero);
    }
    let text = text.to_lowercase();
    let words: Vec<String> = match words {
        Words::Treebank => {
            sentences::split(&text).into_iter().flat_map(treebank::tokenize).collect()
        }
        Words::Whitespace => text.split_whitespace().map(str::to_owned).collect(),
    };
    let different: HashSet<&[String]> = words.windows(n).collect();
    let all = (words.len() + 1).saturating_sub(n);
    Ok(if all == 0 { 0.0 } else { different.len() as f64 / all as f64 })
}

/// The mean of [`ngram_diversity`] over texts.
///
/// # Errors
/// If `n` is 0 or there are no texts.
pub fn mean_ngram_diversity<S: AsRef<str>>(
    texts: &[S],
    n: usize,
    words: Words,
) -> Result<f64, Error> {
    if texts.is_empty() {
        return Err(Error::Empty);
    }
    let mut sum = 0.0;
    for text in texts {
        sum += ngram_diversity(text.as_ref(), n, words)?;
    }
    Ok(sum / texts.len() as f64)
}

#[cfg(test)]
mod tests;
