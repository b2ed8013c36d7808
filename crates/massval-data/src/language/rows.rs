//! Rows of tokens to train on: documents one after the other until a row is full.

use super::{Language, Vocabulary};
use crate::draw::item_rng;
use crate::{Encode, Result};

/// Some rows, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// How many there are.
    pub count: usize,
    /// Tokens that a model reads of each.
    pub sequence: usize,
    /// Tokens, `[count, sequence + 1]`. A model reads all but the last of a row; its targets are all but
    /// the first.
    pub ids: Vec<u32>,
    /// Which document of its row each token belongs to, from 0; `[count, sequence + 1]`.
    pub documents: Vec<u32>,
    /// The loss weight of each target, `[count, sequence]`. Above 0: no row is padded.
    pub weights: Vec<f32>,
}

impl Language {
    /// Rows `first` to `first + count - 1`.
    ///
    /// A row is a function of config and index alone, so a training that resumes asks for the row
    /// behind the last one it read. A row begins with `<s>`, as every document in it does; a document
    /// ends with `</s>` unless the row ends before. Documents that ask for what they told are drawn to
    /// fit; where none fits any more, facts or plain sentences fill the row and are cut.
    ///
    /// # Errors
    /// None in practice: [`Error::Tokenizer`](crate::Error::Tokenizer) for a word that is no token.
    pub fn rows(&self, first: usize, count: usize) -> Result<Rows> {
        let sequence = self.config().sequence;
        let mut rows = Rows {
            count,
            sequence,
            ids: Vec::with_capacity(count.saturating_mul(sequence + 1)),
            documents: Vec::with_capacity(count.saturating_mul(sequence + 1)),
            weights: Vec::with_capacity(count.saturating_mul(sequence)),
        };
        for index in (0..count).map(|row| first.saturating_add(row)) {
            self.push(index, &mut rows)?;
        }
        Ok(rows)
    }

    fn push(&self, index: usize, rows: &mut Rows) -> Result<()> {
        let mut rng = item_rng("language/rows", self.config().seed, index);
        let width = rows.sequence + 1;
        let mut row: Vec<(u32, u32, f32)> = Vec::with_capacity(width);
        for number in 0.. {
            let left = width - row.len();
            if left == 0 {
                break;
            }
            // its first and last token are no words
            let document = self.document(&mut rng, index, left.saturating_sub(2));
            let tokens = self.vocabulary().encode(&document.text, true)?;
            let weights = tokens.iter().map(|token| {
                let answers = document.answers.iter();
                let inside = |answer: &&std::ops::Range<usize>| answer.contains(&token.bytes.start);
                let special = token.bytes.is_empty();
                match answers.into_iter().find(inside).filter(|_| !special) {
                    Some(_) => (token.id, self.config().answer_weight),
                    None => (token.id, 1.0),
                }
            });
            let weights = weights.chain([(Vocabulary::EOS, 1.0)]).take(left);
            row.extend(weights.map(|(id, weight)| (id, number, weight)));
        }
        rows.ids.extend(row.iter().map(|(id, ..)| id));
        rows.documents.extend(row.iter().map(|(_, document, _)| document));
        rows.weights.extend(row.iter().skip(1).map(|(.., weight)| weight));
        Ok(())
    }
}
