//! How likely a model finds a given continuation.

use burn::tensor::{Tensor, activation::log_softmax};
use massval_hooks::HookSet;

use crate::decoder::{Batch, Decoder, LogitsAt};
use crate::{Error, Result};

impl Decoder {
    /// Natural log-probabilities of each token of `continuation`, given `prompt` and the tokens
    /// before it. One pass; logits are computed only where they are needed.
    ///
    /// # Errors
    /// [`Error::Input`] if either is empty, or as [`Decoder::forward`].
    pub fn continuation_log_probs(
        &self,
        prompt: &[u32],
        continuation: &[u32],
        hooks: &mut HookSet<'_>,
    ) -> Result<Vec<f32>> {
        if prompt.is_empty() || continuation.is_empty() {
            return Err(Error::input("a continuation and the prompt before it need a token each"));
        }
        let mut ids = prompt.to_vec();
        ids.extend_from_slice(&continuation[..continuation.len() - 1]);
        // The last token is only looked up, never embedded: check it here.
        Batch::single(continuation)?.check_vocab(self.config().vocab_size)?;
        let batch = Batch::single(&ids)?;
        let logits = self.forward(&batch, None, hooks, LogitsAt::From(prompt.len() - 1))?;
        let logits = logits.ok_or_else(|| Error::input("no logits came back"))?;
        let values = read(log_softmax(logits, 2))?;
        let vocab = self.config().vocab_size;
        let pick = |(at, id): (usize, &u32)| values.get(at * vocab + *id as usize).copied();
        let picked: Option<Vec<f32>> = continuation.iter().enumerate().map(pick).collect();
        picked.ok_or_else(|| Error::input("the logits do not cover the continuation"))
    }
}

/// Reads a tensor back as row-major f32.
pub(crate) fn read<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>> {
    let device = format!("{:?}", x.device());
    let fail = |what: String| Error::Device { device: device.clone(), what };
    let data = x.try_into_data().map_err(|error| fail(error.to_string()))?;
    data.convert::<f32>().try_into_vec::<f32>().map_err(|error| fail(format!("{error:?}")))
}
