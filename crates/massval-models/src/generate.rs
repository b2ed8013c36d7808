//! Greedy and sampled generation, for a batch of prompts.

mod sampling;

use std::ops::ControlFlow;

use massval_hooks::HookSet;
use serde::{Deserialize, Serialize};

use sampling::Sampler;
pub use sampling::Sampling;

use crate::cache::KvCache;
use crate::decoder::{Batch, Decoder, LogitsAt};
use crate::score::read;
use crate::{Error, Result};

/// Shown a row and its tokens so far, each time one is added; says whether the row goes on.
pub type OnToken<'a, E> = dyn FnMut(usize, &[u32]) -> Result<ControlFlow<()>, E> + 'a;

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

    /// Whether, and why, a sequence ends with the last of `tokens`.
    fn finish(&self, tokens: &[u32], told: ControlFlow<()>) -> Option<Finish> {
        if tokens.last().is_some_and(|token| self.stop.contains(token)) {
            Some(Finish::Stop)
        } else if tokens.len() >= self.max_new_tokens {
            Some(Finish::Length)
        } else {
            told.is_break().then_some(Finish::Told)
        }
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
    /// Who was told its tokens has seen enough.
    Told,
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
        // What makes no sense is told before the prompts are read.
        Sampler::new(&options.sampling, 0)?;
        let batch = Batch::left_padded(prompts)?;
        if options.max_new_tokens == 0 {
            let nothing = Generated { tokens: Vec::new(), finish: Finish::Length };
            return Ok(vec![nothing; prompts.len()]);
        }
        let mut cache = KvCache::new();
        let logits = self.next_logits(&batch, &mut cache, hooks)?;
        let mut told = |row, tokens: &[u32]| -> Result<ControlFlow<()>> {
            tokens.last().into_iter().for_each(|&token| on_token(row, token));
            Ok(ControlFlow::Continue(()))
        };
        self.generate_after(&mut cache, logits, options, hooks, &mut told)
    }

    /// Continues the sequences that `cache` holds. `logits` are those after each, row-major
    /// `[batch, vocab]`.
    ///
    /// `on_token` is told the sequence and all its new tokens so far as each comes, and may say that
    /// the sequence has enough ([`Finish::Told`]). The cache grows by what is read; an ended sequence
    /// stays in the batch until the last one has ended.
    ///
    /// ```no_run
    /// # use massval_hooks::HookSet;
    /// # use massval_models::{Batch, Decoder, Error, GenerateOptions, KvCache, LogitsAt};
    /// # fn first_line(decoder: &Decoder, prompt: &[u32], logits: Vec<f32>, newline: u32, cache: &KvCache)
    /// # -> Result<Vec<u32>, Error> {
    /// use std::ops::ControlFlow::{Break, Continue};
    /// let options = GenerateOptions::greedy(64);
    /// let mut to_newline = |_, tokens: &[u32]| -> Result<_, Error> {
    ///     Ok(if tokens.ends_with(&[newline]) { Break(()) } else { Continue(()) })
    /// };
    /// // The cache can be continued again: this is a copy.
    /// let (mut cache, mut hooks) = (cache.clone(), HookSet::none());
    /// let written = decoder.generate_after(&mut cache, logits, &options, &mut hooks, &mut to_newline)?;
    /// # Ok(written.into_iter().next().map(|row| row.tokens).unwrap_or_default())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Input`] if the logits are not those of the cache's sequences, no choice can be made
    /// from them, or the sampling's numbers make no sense; [`Error::Hook`] if a hook fails; what
    /// `on_token` returns.
    pub fn generate_after<E: From<Error>>(
        &self,
        cache: &mut KvCache,
        mut logits: Vec<f32>,
        options: &GenerateOptions,
        hooks: &mut HookSet<'_>,
        on_token: &mut OnToken<'_, E>,
    ) -> Result<Vec<Generated>, E> {
        let vocab = self.config().vocab_size;
        if logits.len() != cache.batch() * vocab {
            return Err(E::from(Error::input(format!(
                "{} logits cannot follow the {} of the cache, {vocab} each",
                logits.len(),
                cache.batch()
            ))));
        }
        let mut rows = (0..cache.batch())
            .map(|row| Row::new(&options.sampling, row))
            .collect::<Result<Vec<_>>>()?;
        if options.max_new_tokens == 0 {
            return Ok(rows.into_iter().map(|row| row.end(Finish::Length)).collect());
        }
        loop {
            for (index, (row, logits)) in
                rows.iter_mut().zip(logits.chunks_exact(vocab)).enumerate()
            {
                if row.finish.is_none() {
                    let token = row.sampler.choose(logits)?;
                    row.tokens.push(token);
                    let told = on_token(index, &row.tokens)?;
                    row.finish = options.finish(&row.tokens, told);
                }
            }
            if rows.iter().all(|row| row.finish.is_some()) || self.positions_left(cache.len()) == 0
            {
                return Ok(rows.into_iter().map(|row| row.end(Finish::Positions)).collect());
            }
            // An ended sequence is fed its last token again; nobody reads what follows.
            let next: Vec<&[u32]> = rows.iter().map(Row::last).collect();
            logits = self.next_logits(&Batch::left_padded(&next)?, cache, hooks)?;
        }
    }

    /// Logits after each sequence of `batch`, row-major `[batch, vocab]`.
    fn next_logits(
        &self,
        batch: &Batch,
        cache: &mut KvCache,
        hooks: &mut HookSet<'_>,
    ) -> Result<Vec<f32>> {
        let logits = self.forward(batch, Some(cache), hooks, LogitsAt::Last)?;
        read(logits.ok_or_else(|| Error::input("no logits came back"))?)
    }
}

/// A sequence under way.
struct Row {
    sampler: Sampler,
    tokens: Vec<u32>,
    finish: Option<Finish>,
}

impl Row {
    fn new(sampling: &Sampling, row: usize) -> Result<Self> {
        Ok(Self { sampler: Sampler::new(sampling, row)?, tokens: Vec::new(), finish: None })
    }

    /// Its last token, as a sequence.
    fn last(&self) -> &[u32] {
        self.tokens.last().map(std::slice::from_ref).unwrap_or_default()
    }

    fn end(self, otherwise: Finish) -> Generated {
        Generated { tokens: self.tokens, finish: self.finish.unwrap_or(otherwise) }
    }
}
