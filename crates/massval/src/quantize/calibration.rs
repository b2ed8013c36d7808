//! What a model reads while its activations are looked at.

use std::path::PathBuf;

use massval_data::catalog::Spec;
use massval_data::windows::{Corpus, TextOptions, Windows};
use massval_eval::ModelTokens;
use massval_models::tokenizer::{ChatOptions, Message, SpecialTokens};
use massval_models::{Batch, Model};
use serde::Serialize;

use crate::provenance::sha256;
use crate::{Error, Result};

/// Where the calibration's text comes from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CalibrationSet {
    /// A text, or records with one in each (`.jsonl`, `.json`, `.csv`, `.parquet`).
    File {
        /// The file.
        path: PathBuf,
        /// The field of a record that holds the text.
        field: Option<String>,
    },
    /// The prompts of a task.
    Task(Spec),
    /// Token ids.
    Tokens(Vec<u32>),
}

/// How much is read, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CalibrationOptions {
    /// Where from.
    pub set: CalibrationSet,
    /// Sequences.
    pub samples: usize,
    /// Tokens of each.
    pub length: usize,
    /// Put each record, or prompt, as a user's message in the chat template.
    pub chat: bool,
    /// Of what is drawn when a task is made up.
    pub seed: u64,
}

impl CalibrationOptions {
    /// 128 sequences of 512 tokens.
    #[must_use]
    pub fn new(set: CalibrationSet) -> Self {
        Self { set, samples: 128, length: 512, chat: false, seed: 0 }
    }
}

/// What was read, for the record.
#[derive(Debug, Clone, Serialize)]
pub struct CalibrationRecord {
    /// The file, or the task.
    pub source: String,
    /// Sequences.
    pub samples: usize,
    /// Tokens of the longest.
    pub length: usize,
    /// Tokens in all.
    pub tokens: usize,
    /// Whether the chat template was used.
    pub chat: bool,
    /// SHA-256 of all token ids, each as 4 bytes, little end first.
    pub sha256: String,
}

/// The sequences of a calibration, and the record of them.
///
/// A text is cut into sequences whose beginnings are spread evenly over it. Records in a chat template, and the
/// prompts of a task, are sequences of their own, cut at the length.
///
/// # Errors
/// What cannot be read, and [`Error::Input`] if it holds no sequence of two tokens.
pub fn calibrate(
    model: &Model,
    options: &CalibrationOptions,
) -> Result<(Vec<Batch>, CalibrationRecord)> {
    let CalibrationOptions { set, samples, length, chat, seed } = options;
    if let Some(positions) = model.decoder().config().positions()
        && *length > positions
    {
        let what =
            format!("sequences of {length} tokens, but the model has positions for {positions}");
        return Err(Error::Input(what));
    }
    let template = |text: &str| {
        let options = ChatOptions { add_generation_prompt: false, ..ChatOptions::default() };
        model.tokenizer()?.encode_chat(&[Message::user(text)], &options)
    };
    let (source, sequences) = match set {
        CalibrationSet::File { path, field } => {
            let mut text = TextOptions::default();
            text.field.clone_from(field);
            let mut rule = Windows::new((*length).max(2));
            rule.join = RECORD.to_owned();
            let corpus = Corpus::open(path, &rule, &text)?;
            let source = path.display().to_string();
            let tokenizer = model.tokenizer()?;
            let sequences = match chat {
                true => corpus
                    .text
                    .split(RECORD)
                    .filter(|text| !text.trim().is_empty())
                    .take(*samples)
                    .map(|text| Ok(template(text)?))
                    .collect::<Result<Vec<_>>>()?,
                false => {
                    let text = corpus.text.replace(RECORD, "\n\n");
                    spread(&tokenizer.encode(&text, SpecialTokens::None)?, *samples, *length)
                }
            };
            (source, sequences)
        }
        CalibrationSet::Task(spec) => {
            let tokenizer = model.tokenizer()?;
            let name = model.checkpoint().path.display().to_string();
            let tokens = ModelTokens::new(tokenizer, name);
            let dataset = massval_data::catalog::open(spec, Some(*seed), Some(&tokens))?;
            let count = dataset.len().map_or(*samples, |len| len.min(*samples));
            let sequences = (0..count)
                .map(|index| {
                    let prompt = dataset.item(index)?.prompt;
                    Ok(match chat {
                        true => template(&prompt)?,
                        false => tokenizer.encode(&prompt, SpecialTokens::AsModel)?,
                    })
                })
                .collect::<Result<Vec<_>>>()?;
            (spec.to_string(), sequences)
        }
        CalibrationSet::Tokens(_) if *chat => {
            return Err(Error::Input("a chat template needs text, not token ids".to_owned()));
        }
        CalibrationSet::Tokens(ids) => ("token ids".to_owned(), spread(ids, *samples, *length)),
    };
    let cut = |mut ids: Vec<u32>| {
        ids.truncate(*length);
        ids
    };
    let sequences: Vec<Vec<u32>> =
        sequences.into_iter().map(cut).filter(|ids| ids.len() > 1).collect();
    if sequences.is_empty() {
        return Err(Error::Input(format!(
            "{source}: the calibration has no sequence of two tokens or more; give a longer text"
        )));
    }
    let bytes: Vec<u8> = sequences.iter().flatten().flat_map(|id| id.to_le_bytes()).collect();
    let record = CalibrationRecord {
        source,
        samples: sequences.len(),
        length: sequences.iter().map(Vec::len).max().unwrap_or_default(),
        tokens: sequences.iter().map(Vec::len).sum(),
        chat: *chat,
        sha256: sha256(&bytes),
    };
    let batches = sequences.iter().map(|ids| Ok(Batch::single(ids)?)).collect::<Result<_>>()?;
    Ok((batches, record))
}

/// Between records of a file: no text has it.
const RECORD: &str = "\u{0}massval record\u{0}";

/// At most `samples` pieces of `length` tokens, their beginnings evenly spread and none overlapping.
fn spread(tokens: &[u32], samples: usize, length: usize) -> Vec<Vec<u32>> {
    if length == 0 || tokens.len() <= length {
        return vec![tokens.to_vec()];
    }
    let count = samples.min(tokens.len() / length).max(1);
    let room = tokens.len() - length;
    let start = |i: usize| if count == 1 { 0 } else { i * room / (count - 1) };
    (0..count)
        .filter_map(|i| tokens.get(start(i)..start(i) + length))
        .map(<[u32]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn pieces_cover_the_text_without_overlap() {
        let tokens: Vec<u32> = (0..100).collect();
        let pieces = spread(&tokens, 3, 10);
        let starts: Vec<u32> = pieces.iter().map(|piece| piece[0]).collect();
        assert_eq!(starts, [0, 45, 90]);
        assert_eq!(spread(&tokens, 99, 30).len(), 3);
        assert!(spread(&tokens, 99, 30).windows(2).all(|pair| pair[0][29] < pair[1][0]));
        assert_eq!(spread(&tokens[..7], 5, 10), [tokens[..7].to_vec()]);
    }
}
