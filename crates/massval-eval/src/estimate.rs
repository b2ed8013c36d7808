//! What a run would take, told from the first items of each task.

use massval_hooks::HookSet;

use crate::session::Session;
use crate::subject::Subject;
use crate::{Experiment, Result};

/// What a run would take, roughly.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Estimate {
    /// Tokens of prompts that are read, over all arms; estimated too, where a task has more items than were
    /// looked at.
    pub prompt_tokens: usize,
    /// Bytes of the weights in memory.
    pub weights: u64,
    /// Bytes of cache, activations and logits of the largest batch.
    pub working: u64,
    /// Bytes of the records.
    pub records: u64,
    /// Seconds on this machine, as busy as it was.
    pub seconds: f64,
}

/// Items of a task that are looked at.
pub(crate) const LOOKED_AT: usize = 256;

/// Prompt tokens of a task that are read to take the time, one prompt at least.
const TIMED: usize = 512;

/// Tokens that are read before: the first pass brings the weights into memory.
const WARM_UP: usize = 16;

/// Bytes of a record, on average.
const RECORD: u64 = 600;

impl Experiment<'_> {
    /// What a run would take, from the first 256 items of each task.
    ///
    /// The first prompts of each task, 512 tokens of them, are read and answered under the undisturbed model
    /// and under the first and the last intervention. `now` tells seconds from any beginning; what it says
    /// passes is scaled by the tokens of all prompts and by the arms.
    ///
    /// # Errors
    /// What making an item or running an arm may meet.
    pub fn estimate(&self, now: &mut dyn FnMut() -> f64) -> Result<Estimate> {
        let tokenizer = self.model.tokenizer()?;
        let (mut tokens_read, mut seconds, mut widest) = (0.0, 0.0, 0);
        let mut warm = false;
        for task in &self.tasks {
            let looked_at = task.items.min(LOOKED_AT);
            let (mut next, mut tokens, mut timed) = (0, 0, Vec::new());
            while next < looked_at {
                let batch = self.batch(task, tokenizer, &mut next, looked_at)?;
                let lengths = || batch.iter().map(|item| item.tokens.len());
                tokens += lengths().sum::<usize>();
                widest = widest.max(lengths().max().unwrap_or(0) * batch.len());
                if timed.is_empty() {
                    timed = batch;
                }
            }
            let mut sum = 0;
            let within = timed.iter().take_while(|item| {
                sum += item.tokens.len();
                sum <= TIMED
            });
            let rows = within.count().max(1);
            timed.truncate(rows);
            if let (false, Some(item)) = (warm, timed.first()) {
                let start = item.tokens.get(..WARM_UP).unwrap_or(&item.tokens);
                Session::read(self.model.decoder(), &[start], &mut HookSet::none())?;
                warm = true;
            }
            let all = tokens as f64 * task.items as f64 / looked_at.max(1) as f64;
            tokens_read += all * self.arms.len() as f64;
            let read: usize = timed.iter().map(|item| item.tokens.len()).sum();
            for (arm, stands_for) in self.timed_arms() {
                let Some(arm) = self.arms.get(arm) else { continue };
                let mut subject = Subject::new(self.decoder(arm)?, arm)?;
                let begun = now();
                self.run_arm(task, tokenizer, &timed, arm, &mut subject)?;
                seconds += (now() - begun) * stands_for * all / read.max(1) as f64;
            }
        }
        let config = self.model.decoder().config();
        let dtype = self.model.decoder().dtype();
        let (need, bytes) = (self.model.checkpoint().memory(dtype), dtype.size() as u64);
        // A cache of all layers, a few hidden states of one, and the logits of the last tokens (twice: those
        // of the undisturbed model are kept).
        let cache = 2 * config.layers * config.kv_heads * config.head_dim;
        let hidden = 4 * (config.d_model + config.d_mlp);
        let logits = 2 * self.options.batch_rows * config.vocab_size;
        Ok(Estimate {
            prompt_tokens: tokens_read as usize,
            weights: match self.model.decoder().is_streamed() {
                true => need.outside + need.block + need.stored_block,
                false => need.weights,
            },
            working: (widest * (cache + hidden)) as u64 * bytes + logits as u64 * 4,
            records: (self.items() * self.arms.len()) as u64 * RECORD,
            seconds,
        })
    }

    /// Arms that are timed, and for how many each stands: an undisturbed one for all of its kind, of the others
    /// the first and the last for half of them each.
    fn timed_arms(&self) -> Vec<(usize, f64)> {
        let of_kind = |disturbed: bool| {
            let arms = self.arms.iter().enumerate();
            let arms = arms.filter(|(_, arm)| arm.is_alone() != disturbed);
            arms.map(|(index, _)| index).collect::<Vec<_>>()
        };
        let (alone, disturbed) = (of_kind(false), of_kind(true));
        let half = disturbed.len() as f64 / 2.0;
        let alone = alone.first().map(|&arm| (arm, alone.len() as f64));
        let ends = [disturbed.first(), disturbed.last()].into_iter().flatten();
        alone.into_iter().chain(ends.map(|&arm| (arm, half))).collect()
    }
}
