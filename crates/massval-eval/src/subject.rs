//! What is evaluated: a model with what an arm does to it, or undisturbed.

use burn::tensor::Tensor;
use massval_disrupt::{Disruptor, PromptInfo, SiteTally, Target};
use massval_hooks::HookSet;
use massval_models::Decoder;

use crate::{Arm, Error, KvRounder, KvTally, Result};

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

/// A decoder with what an arm does to it.
pub(crate) struct Subject<'m> {
    decoder: &'m Decoder,
    disruptor: Option<Disruptor>,
    rounder: Option<KvRounder>,
}

impl<'m> Subject<'m> {
    pub(crate) fn new(decoder: &'m Decoder, arm: &Arm) -> Result<Self> {
        let disruptor = match &arm.intervention {
            Some(intervention) => Some(Disruptor::new(intervention.clone(), &target(decoder)?)?),
            None => None,
        };
        let rounder = match &arm.kv {
            Some(rounding) => Some(KvRounder::new(rounding.clone(), decoder.config())?),
            None => None,
        };
        Ok(Self { decoder, disruptor, rounder })
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
        if let Some(rounder) = &mut self.rounder {
            hooks.set_cache(rounder);
        }
        Ok(hooks)
    }

    /// What the arm did since this was last asked.
    pub(crate) fn take_did(&mut self) -> Did {
        Did {
            tally: self.disruptor.as_mut().map(Disruptor::take_tally).unwrap_or_default(),
            kv: self.rounder.as_mut().map(KvRounder::take_tally),
        }
    }
}

/// What an arm did.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Did {
    pub(crate) tally: Vec<SiteTally>,
    pub(crate) kv: Option<KvTally>,
}

impl Did {
    pub(crate) fn add(&mut self, tally: &[SiteTally], kv: Option<KvTally>) {
        SiteTally::add(&mut self.tally, tally);
        if let Some(kv) = kv {
            *self.kv.get_or_insert_default() += kv;
        }
    }

    /// Checks that something was selected and rounded in what was read so far.
    pub(crate) fn check_selected(&self, arm: &Arm) -> Result<()> {
        if let Some(intervention) = &arm.intervention {
            intervention.check_selected(&self.tally)?;
        }
        self.check_rounded(arm)
    }

    /// Checks the books of a whole run.
    pub(crate) fn check(&self, arm: &Arm) -> Result<()> {
        if let Some(intervention) = &arm.intervention {
            intervention.check(&self.tally)?;
        }
        self.check_rounded(arm)
    }

    fn check_rounded(&self, arm: &Arm) -> Result<()> {
        match &arm.kv {
            Some(rounding) => rounding.check(&self.kv.unwrap_or_default()),
            None => Ok(()),
        }
    }
}

/// Reads a tensor back as row-major f32.
pub(crate) fn read<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>> {
    let fail = |what: String| Error::options(format!("the device failed: {what}"));
    let data = x.try_into_data().map_err(|error| fail(error.to_string()))?;
    data.convert::<f32>().try_into_vec::<f32>().map_err(|error| fail(format!("{error:?}")))
}
