//! What is evaluated: a model, under an intervention or undisturbed.

use burn::tensor::Tensor;
use massval_disrupt::{Disruptor, Intervention, PromptInfo, SiteTally, Target};
use massval_hooks::HookSet;
use massval_models::Decoder;

use crate::{Error, Result};

/// The attention of a model as interventions see it.
///
/// # Errors
/// If the angles of the model's RoPE make no sense.
pub fn target(decoder: &Decoder) -> Result<Target> {
    let config = decoder.config();
    let bands = config.rope().map(|rope| rope.bands(config.head_dim));
    let bands = bands.transpose().map_err(massval_disrupt::Error::from)?;
    Ok(Target {
        points: decoder.hook_points(),
        heads: config.heads,
        kv_heads: config.kv_heads,
        head_dim: config.head_dim,
        bands,
    })
}

/// A decoder under an intervention, or under none.
pub(crate) struct Subject<'m> {
    decoder: &'m Decoder,
    disruptor: Option<Disruptor>,
}

impl<'m> Subject<'m> {
    pub(crate) fn new(decoder: &'m Decoder, intervention: Option<&Intervention>) -> Result<Self> {
        let disruptor = match intervention {
            Some(intervention) => Some(Disruptor::new(intervention.clone(), &target(decoder)?)?),
            None => None,
        };
        Ok(Self { decoder, disruptor })
    }

    pub(crate) fn decoder(&self) -> &'m Decoder {
        self.decoder
    }

    /// Announces the sequences of a batch, and gives the hooks for all passes over them.
    pub(crate) fn hooks(&mut self, prompts: &[PromptInfo]) -> Result<HookSet<'_>> {
        let mut hooks = HookSet::new(self.decoder.hook_points());
        if let Some(disruptor) = &mut self.disruptor {
            disruptor.begin(prompts);
            let points = disruptor.points();
            hooks.add_at(&points, disruptor)?;
        }
        Ok(hooks)
    }

    /// What the intervention did since this was last asked; empty without one.
    pub(crate) fn take_tally(&mut self) -> Vec<SiteTally> {
        self.disruptor.as_mut().map(Disruptor::take_tally).unwrap_or_default()
    }
}

/// Reads a tensor back as row-major f32.
pub(crate) fn read<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>> {
    let fail = |what: String| Error::options(format!("the device failed: {what}"));
    let data = x.try_into_data().map_err(|error| fail(error.to_string()))?;
    data.convert::<f32>().try_into_vec::<f32>().map_err(|error| fail(format!("{error:?}")))
}
