//! What the reference code of *Massive Values in Self-Attention Modules* really ran.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Intervention, Operator, Result, Selection};

/// What the reference ran, named after its files, with the bugs that it has.
///
/// All of them act on Q and K after RoPE, in every layer and head, while the prompt is read (and in
/// every pass over more than one token, so also when it measures perplexity).
///
/// | preset | does | keeps |
/// |---|---|---|
/// | `llama` | joint mean, k = 1 | edits a view of the cache: the disrupted K stays for decoding |
/// | `qwen2` | joint mean, k = 3 | repeats K into a copy first: decoding sees the clean K |
/// | `mistral` | joint mean, k = 1 | the same |
/// | `gemma2` | zero, k = 22, though it computes the mean | takes the norm over the heads and the largest channels at each *position*, since it mistakes heads for the sequence; its global layers cache the disrupted K, its sliding ones do not: here all do |
/// | `gemma2-fixed` | zero, k = 22 | only the zero |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Preset {
    /// `modeling_llama.py`.
    Llama,
    /// `modeling_qwen2.py`.
    Qwen2,
    /// `modeling_mistral.py`.
    Mistral,
    /// `modeling_gemma2.py`.
    Gemma2,
    /// `modeling_gemma2.py` with its norms over the sequence.
    Gemma2Fixed,
}

impl Preset {
    /// All presets.
    pub const ALL: [Self; 5] =
        [Self::Llama, Self::Qwen2, Self::Mistral, Self::Gemma2, Self::Gemma2Fixed];

    /// The intervention.
    ///
    /// ```
    /// use massval_disrupt::Preset;
    /// assert!(Preset::Llama.intervention().cached);
    /// assert!(!Preset::Qwen2.intervention().cached);
    /// assert_eq!(Preset::Gemma2.intervention().selection.to_string(), "per-position:22");
    /// ```
    #[must_use]
    pub fn intervention(self) -> Intervention {
        let (operator, selection) = match self {
            Self::Llama | Self::Mistral => (Operator::JointMean, Selection::top(1)),
            Self::Qwen2 => (Operator::JointMean, Selection::top(3)),
            Self::Gemma2 => (Operator::Zero, Selection::PerPosition { k: 22 }),
            Self::Gemma2Fixed => (Operator::Zero, Selection::top(22)),
        };
        let cached = !matches!(self, Self::Qwen2 | Self::Mistral);
        Intervention { cached, ..Intervention::new(operator, selection) }
    }

    /// The control that the reference called "non-massive": the same with the smallest norms. (Its
    /// Mistral drew one channel at random.)
    #[must_use]
    pub fn non_massive(self) -> Intervention {
        let selection = match self {
            Self::Llama => Selection::BottomK { k: 1 },
            Self::Qwen2 => Selection::BottomK { k: 3 },
            Self::Mistral => Selection::RandomK { k: 1 },
            Self::Gemma2 | Self::Gemma2Fixed => Selection::BottomK { k: 22 },
        };
        Intervention { selection, ..self.intervention() }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Mistral => "mistral",
            Self::Gemma2 => "gemma2",
            Self::Gemma2Fixed => "gemma2-fixed",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Preset {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == given).ok_or_else(|| Error::Unknown {
            what: "preset",
            given: given.to_owned(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}
