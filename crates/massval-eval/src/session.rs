//! A batch of prompts that is read once; what is compared or written after it continues its cache.

use std::ops::ControlFlow;

use massval_hooks::HookSet;
use massval_models::{Batch, Decoder, Finish, GenerateOptions, Generated, KvCache, LogitsAt};

use crate::subject::read;
use crate::{Error, Result};

/// A batch after its prompts were read.
pub(crate) struct Session {
    cache: KvCache,
    /// Logits after each prompt, row-major `[rows, vocab]`.
    next: Vec<f32>,
    vocab: usize,
}

/// The tokens that a model wrote after one prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) tokens: Vec<u32>,
    /// Whether it reached a stop token, which is not among the tokens.
    pub(crate) stopped: bool,
}

impl From<Generated> for Written {
    fn from(Generated { mut tokens, finish, .. }: Generated) -> Self {
        let stopped = finish == Finish::Stop;
        if stopped {
            tokens.pop();
        }
        Self { tokens, stopped }
    }
}

impl Session {
    pub(crate) fn read(
        decoder: &Decoder,
        prompts: &[&[u32]],
        hooks: &mut HookSet<'_>,
    ) -> Result<Self> {
        let mut cache = KvCache::new();
        let batch = Batch::left_padded(prompts)?;
        let logits = decoder.forward(&batch, Some(&mut cache), hooks, LogitsAt::Last)?;
        let next = read(logits.ok_or_else(|| Error::options("no logits came back"))?)?;
        let vocab = decoder.config().vocab_size;
        let session = Self { cache, next, vocab };
        session.check(&session.next)?;
        Ok(session)
    }

    /// Natural log-probabilities of the next token, a row for each prompt.
    pub(crate) fn next_log_probs(&self) -> impl Iterator<Item = Vec<f32>> + '_ {
        self.next.chunks_exact(self.vocab).map(log_softmax)
    }

    /// Natural log-probability of each alternative after its prompt, `[rows][alternatives]`, summed over its
    /// tokens. The prompts are not read again.
    pub(crate) fn compare(
        &self,
        decoder: &Decoder,
        alternatives: &[Vec<Vec<u32>>],
        hooks: &mut HookSet<'_>,
    ) -> Result<Vec<Vec<f64>>> {
        let first: Vec<Vec<f32>> = self.next_log_probs().collect();
        let mut sums: Vec<Vec<f64>> = alternatives
            .iter()
            .zip(&first)
            .map(|(row, first)| {
                let score = |tokens: &Vec<u32>| {
                    tokens.first().and_then(|&id| first.get(id as usize)).copied().map(f64::from)
                };
                row.iter().map(|tokens| score(tokens).unwrap_or(f64::NAN)).collect()
            })
            .collect();
        let most = alternatives.iter().map(Vec::len).max().unwrap_or(0);
        // Long ones together, so that little is padded.
        let by_length = |row: &Vec<Vec<u32>>| {
            let mut order: Vec<usize> = (0..row.len()).collect();
            order.sort_by_key(|&index| std::cmp::Reverse(row[index].len()));
            order
        };
        let orders: Vec<Vec<usize>> = alternatives.iter().map(by_length).collect();
        let alternative = |row: usize, turn: usize| {
            let index = *orders[row].get(turn)?;
            Some((index, alternatives[row][index].as_slice()))
                .filter(|(_, tokens)| tokens.len() > 1)
        };
        for turn in 0..most {
            // Tokens that are fed; the last one is only looked up. A row that has nothing to feed is fed
            // anything, and nobody looks.
            let fed: Vec<&[u32]> = (0..alternatives.len())
                .map(|row| match alternative(row, turn) {
                    Some((_, tokens)) => &tokens[..tokens.len() - 1],
                    None => &[0u32][..],
                })
                .collect();
            if (0..alternatives.len()).all(|row| alternative(row, turn).is_none()) {
                break;
            }
            let batch = Batch::left_padded(&fed)?;
            let seq = batch.seq();
            let mut cache = self.cache.clone();
            let logits = decoder.forward(&batch, Some(&mut cache), hooks, LogitsAt::All)?;
            let logits = read(logits.ok_or_else(|| Error::options("no logits came back"))?)?;
            self.check(&logits)?;
            for row in 0..alternatives.len() {
                let Some((index, tokens)) = alternative(row, turn) else { continue };
                let start = (row + 1) * seq - (tokens.len() - 1);
                for (column, &id) in tokens[1..].iter().enumerate() {
                    let at = (start + column) * self.vocab;
                    let logits = logits.get(at..at + self.vocab).unwrap_or_default();
                    let sum = sums.get_mut(row).and_then(|sums| sums.get_mut(index));
                    if let Some(sum) = sum {
                        *sum += log_prob(logits, id);
                    }
                }
            }
        }
        Ok(sums)
    }

    /// Writes greedily after each prompt until `done` says of each row that it is.
    ///
    /// `done` is asked after each token, with the row and the tokens so far. Of equal logits the lower id
    /// wins.
    pub(crate) fn write(
        mut self,
        decoder: &Decoder,
        options: &GenerateOptions,
        hooks: &mut HookSet<'_>,
        done: &mut dyn FnMut(usize, &[u32]) -> Result<bool>,
    ) -> Result<Vec<Written>> {
        let mut told = |row, tokens: &[u32]| -> Result<ControlFlow<()>> {
            let stopped = tokens.last().is_some_and(|token| options.stop.contains(token));
            let ends = stopped || done(row, tokens)?;
            Ok(if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        let next = std::mem::take(&mut self.next);
        let generated = decoder.generate_after(&mut self.cache, next, options, hooks, &mut told)?;
        Ok(generated.into_iter().map(Written::from).collect())
    }

    fn check(&self, logits: &[f32]) -> Result<()> {
        match logits.iter().position(|logit| !logit.is_finite()) {
            None => Ok(()),
            Some(at) => Err(Error::NotFinite {
                what: format!(
                    "the logit of token {} is {}; try --dtype f32, or a weaker intervention",
                    at % self.vocab.max(1),
                    logits[at]
                ),
            }),
        }
    }
}

fn greedy(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    u32::try_from(best).unwrap_or(u32::MAX)
}

/// The largest logit, and the logarithm of the sum of exponentials above it.
fn normaliser(logits: &[f32]) -> (f32, f64) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from((logit - largest).exp())).sum();
    (largest, sum.ln())
}

pub(crate) fn log_prob(logits: &[f32], id: u32) -> f64 {
    let (largest, sum) = normaliser(logits);
    let logit = logits.get(id as usize).copied().unwrap_or(f32::NAN);
    f64::from(logit - largest) - sum
}

pub(crate) fn log_softmax(logits: &[f32]) -> Vec<f32> {
    let (largest, sum) = normaliser(logits);
    logits.iter().map(|logit| (f64::from(logit - largest) - sum) as f32).collect()
}

/// `sum of p (log p - log q)` over two rows of log-probabilities, in nats.
pub(crate) fn divergence(p: &[f32], q: &[f32]) -> f64 {
    p.iter().zip(q).map(|(&p, &q)| f64::from(p).exp() * (f64::from(p) - f64::from(q))).sum()
}

/// The most likely token; of equals the lower id.
pub(crate) fn top(log_probs: &[f32]) -> u32 {
    greedy(log_probs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one() {
        let logits = [1.0f32, -3.0, 88.0, 87.0];
        let sum: f64 = log_softmax(&logits).iter().map(|&p| f64::from(p).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-6);
        assert!((log_prob(&logits, 3) - f64::from(log_softmax(&logits)[3])).abs() < 1e-6);
    }

    #[test]
    fn divergence_is_zero_from_itself_alone() {
        let (p, q) = (log_softmax(&[1.0, 2.0, 3.0]), log_softmax(&[3.0, 2.0, 1.0]));
        assert_eq!(divergence(&p, &p), 0.0);
        assert!(divergence(&p, &q) > 0.5);
    }

    #[test]
    fn of_equal_logits_the_lower_id_wins() {
        assert_eq!(greedy(&[0.0, 2.0, 2.0]), 1);
    }
}
