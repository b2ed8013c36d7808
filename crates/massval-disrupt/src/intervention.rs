//! An intervention as a value: what is written where, when, into which channels.

use std::fmt;

use massval_hooks::Site;
use serde::{Deserialize, Serialize};

use crate::{Indices, Operator, Positions, Selection, When};

/// What is done to the attention of a model while it reads or writes.
///
/// It is stored in every result that it made, and its [`Display`](fmt::Display) is a sentence.
/// [`Disruptor`](crate::Disruptor) applies it.
///
/// ```
/// use massval_disrupt::{Intervention, Operator, Selection};
///
/// // The paper's: the channel of the largest norm of each head, at Q and K after RoPE.
/// let paper = Intervention::new(Operator::JointMean, Selection::top(1));
/// assert_eq!(
///     paper.to_string(),
///     "joint-mean into top-k:1 of rot_q, rot_k; prefill; K and V cached as disrupted"
/// );
///
/// // The control: as many channels of each head, drawn from the others.
/// let control = Intervention { selection: Selection::RandomK { k: 1 }, ..paper };
/// assert_eq!(control.seed, 0);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intervention {
    /// What is written.
    pub operator: Operator,
    /// Into which channels of a head.
    pub selection: Selection,
    /// Whether the other channel of each selected channel's rotary pair is disrupted with it.
    #[serde(default)]
    pub partner: bool,
    /// At which sites: `q`, `k` (before RoPE), `rot_q`, `rot_k` (after it), `v`.
    pub sites: Vec<Site>,
    /// In which layers.
    #[serde(default)]
    pub layers: Indices,
    /// In which heads of each site; at K and V these are KV heads.
    #[serde(default)]
    pub heads: Indices,
    /// In which part of the run.
    #[serde(default)]
    pub when: When,
    /// Whether later tokens attend to the disrupted keys and values (as in the reference's Llama), or
    /// the cache keeps them as they were (as in its Qwen2 and Mistral).
    #[serde(default = "yes")]
    pub cached: bool,
    /// At which tokens.
    #[serde(default)]
    pub positions: Positions,
    /// Seed of whatever is drawn.
    #[serde(default)]
    pub seed: u64,
}

fn yes() -> bool {
    true
}

impl Intervention {
    /// At Q and K after RoPE, in all layers and heads, at all tokens of the prompt, cached as disrupted.
    #[must_use]
    pub fn new(operator: Operator, selection: Selection) -> Self {
        Self {
            operator,
            selection,
            partner: false,
            sites: vec![Site::RotQ, Site::RotK],
            layers: Indices::all(),
            heads: Indices::all(),
            when: When::Prefill,
            cached: true,
            positions: Positions::All,
            seed: 0,
        }
    }

    /// At other sites.
    #[must_use]
    pub fn at(mut self, sites: &[Site]) -> Self {
        self.sites = sites.to_vec();
        self
    }

    /// With another seed.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether anything of it is drawn at random.
    #[must_use]
    pub fn draws(&self) -> bool {
        let selects = matches!(
            self.selection,
            Selection::RandomK { .. } | Selection::RandomLike { .. } | Selection::NearK { .. }
        );
        selects || matches!(self.operator, Operator::Noise | Operator::Permute)
    }
}

impl fmt::Display for Intervention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sites: Vec<&str> = self.sites.iter().map(|site| site.name()).collect();
        write!(f, "{} into {}", self.operator, self.selection)?;
        if self.partner {
            f.write_str(" and its rotary partner")?;
        }
        write!(f, " of {}", sites.join(", "))?;
        if !self.layers.is_all() {
            write!(f, "; layers {}", self.layers)?;
        }
        if !self.heads.is_all() {
            write!(f, "; heads {}", self.heads)?;
        }
        match self.when {
            When::Both => f.write_str("; prefill and decode")?,
            when => write!(f, "; {when}")?,
        }
        match self.positions {
            Positions::All => {}
            Positions::First => f.write_str("; at the first token")?,
            Positions::Evidence => f.write_str("; at the evidence's tokens")?,
            Positions::Span { start, end } => write!(f, "; at tokens {start} to {}", end - 1)?,
        }
        let cacheable =
            |site: &Site| matches!(site, Site::K | Site::RotK | Site::KNormed | Site::V);
        if self.sites.iter().any(cacheable) {
            f.write_str(match self.cached {
                true => "; K and V cached as disrupted",
                false => "; K and V cached as they were",
            })?;
        }
        if self.draws() {
            write!(f, "; seed {}", self.seed)?;
        }
        Ok(())
    }
}
