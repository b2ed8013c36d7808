//! Greedy and sampled generation, for a batch of prompts.

mod sampling;

use massval_hooks::HookSet;
use serde::{Deserialize, Serialize};

use sampling::Sampler;
pub use sampling::Sampling;

use crate::cache::KvCache;
use crate::decoder::{Batch, Decoder, LogitsAt};
use crate::score::read;
use crate::{Error, Result};

/// How to generate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GenerateOptions {
    /// The most tokens to add to each prompt.
    pub max_new_tokens: usize,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// Tokens that end a sequence; they are part of the output.
    pub stop: Vec<u32>,
}

impl GenerateOptions {
    /// Greedy, without stop tokens.
    #[must_use]
    pub fn greedy(max_new_tokens: usize) -> Self {
        Self { max_new_tokens, sampling: Sampling::Greedy, stop: Vec::new() }
    }

    /// With another way to choose.
    #[must_use]
    pub fn with_sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// With tokens that end a sequence.
    #[must_use]
    pub fn with_stop(mut self, stop: &[u32]) -> Self {
        self.stop = stop.to_vec();
        self
    }
}

/// Why a sequence ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Finish {
    /// It reached a stop token.
    Stop,
    /// It has all the tokens that were asked for.
    Length,
    /// The model has no position for another token.
    Positions,
}

/// What was added to one prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Generated {
    /// The new tokens, the stop token included.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub finish: Finish,
}

impl Decoder {
    /// Continues each prompt. The result of a prompt does not depend on the others in the batch,
    /// except for rounding.
    ///
    /// `on_token` is told the sequence and each of its tokens as they come.
    ///
    /// # Errors
    /// [`Error::Input`] if a prompt is empty or does not fit, or the sampling's numbers make no
    /// sense; [`Error::Hook`] if a hook fails.
    pub fn generate(
        &self,
        prompts: &[&[u32]],
        options: &GenerateOptions,
        hooks: &mut HookSet<'_>,
        on_token: &mut dyn FnMut(usize, u32),
    ) -> Result<Vec<Generated>> {
        let mut batch = Batch::left_padded(prompts)?;
        let mut samplers = (0..prompts.len())
            .map(|row| Sampler::new(&options.sampling, row))
            .collect::<Result<Vec<_>>>()?;
        let mut rows: Vec<Row> = prompts.iter().map(|_| Row::default()).collect();
        if options.max_new_tokens == 0 {
            return Ok(rows.into_iter().map(|row| row.end(Finish::Length)).collect());
        }
        let mut cache = KvCache::new();
        loop {
            let logits = self.forward(&batch, Some(&mut cache), hooks, LogitsAt::Last)?;
            let logits = read(logits.ok_or_else(|| Error::input("no logits came back"))?)?;
            let mut next = Vec::with_capacity(rows.len());
            let choices = logits.chunks_exact(self.config().vocab_size);
            for (index, ((row, sampler), logits)) in
                rows.iter_mut().zip(&mut samplers).zip(choices).enumerate()
            {
                // An ended sequence stays in the batch and is fed anything; nobody reads it.
                if row.finish.is_none() {
                    let token = sampler.choose(logits)?;
                    row.tokens.push(token);
                    on_token(index, token);
                    if options.stop.contains(&token) {
                        row.finish = Some(Finish::Stop);
                    } else if row.tokens.len() == options.max_new_tokens {
                        row.finish = Some(Finish::Length);
                    }
                }
                next.push(row.tokens.last().copied().unwrap_or_default());
            }
            if rows.iter().all(|row| row.finish.is_some()) {
                break;
            }
            if self.positions_left(cache.len()) == 0 {
                break;
            }
            let next: Vec<&[u32]> = next.chunks(1).collect();
            batch = Batch::left_padded(&next)?;
        }
        Ok(rows.into_iter().map(|row| row.end(Finish::Positions)).collect())
    }
}

/// A sequence under way.
#[derive(Default)]
struct Row {
    tokens: Vec<u32>,
    finish: Option<Finish>,
}

impl Row {
    fn end(self, otherwise: Finish) -> Generated {
        Generated { tokens: self.tokens, finish: self.finish.unwrap_or(otherwise) }
    }
}
