//! What an intervention has to know of the model that it meets.

use massval_detect::RopeBands;
use massval_hooks::{ModelPoints, Site};

use crate::{Error, Result};

/// The attention of a model, as far as interventions need it.
#[derive(Debug, Clone)]
pub struct Target {
    /// The hook points of the model.
    pub points: ModelPoints,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Channels of a head.
    pub head_dim: usize,
    /// The rotary pairs; absent for a model without RoPE.
    pub bands: Option<RopeBands>,
}

impl Target {
    /// Number of heads at `site`.
    pub(crate) fn heads_at(&self, site: Site) -> Result<usize> {
        match site {
            Site::Q | Site::RotQ | Site::QNormed => Ok(self.heads),
            Site::K | Site::RotK | Site::KNormed | Site::V => Ok(self.kv_heads),
            other => Err(Error::contradiction(format!(
                "channels of heads cannot be disrupted at {other}; choose among q, k, v, rot_q, rot_k"
            ))),
        }
    }
}
