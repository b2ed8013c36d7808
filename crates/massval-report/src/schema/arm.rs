//! The arms of an experiment: what was done to the model, as a value and in words.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One arm: the model under one intervention, or left alone.
///
/// ```
/// use massval_report::schema::{Arm, ArmRole, SweepPoint};
///
/// let arm = Arm {
///     name: "massive, mean, k=1".into(),
///     role: ArmRole::Massive,
///     sentence: "The largest channel of each head of Q and K becomes its mean.".into(),
///     intervention: Some(serde_json::json!({"operator": "joint_mean", "k": 1})),
///     sweep: Some(SweepPoint { series: "massive, mean".into(), channels_per_head: 1 }),
///     selected: Vec::new(),
///     rounded: Vec::new(),
///     massive_norm: None,
/// };
/// assert_eq!(Arm::baseline("none").role, ArmRole::None);
/// assert!(arm.intervention.is_some());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Name, unique within the result.
    pub name: String,
    /// What the arm is there for.
    pub role: ArmRole,
    /// The intervention in a sentence.
    pub sentence: String,
    /// The intervention as the program that ran it writes it; absent where the model was left
    /// alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervention: Option<Value>,
    /// The arm's place in a sweep over the number of channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepPoint>,
    /// What was selected at each site, on average over layers, heads and prompts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selected: Vec<SiteSelected>,
    /// What was rounded to few bits, and how far from it that is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounded: Vec<Rounded>,
    /// Norm of the channels that are massive in the model left alone, over what it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub massive_norm: Option<f64>,
}

/// Numbers that an arm rounded to few bits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rounded {
    /// Which: `keys`, `values`, `weights`.
    pub what: String,
    /// Share of them that was kept exact, between 0 and 1.
    pub exact: f64,
    /// Squared error over the squared numbers.
    pub relative_error: f64,
}

/// What an arm selected at a site, on average over layers, heads and prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteSelected {
    /// The site, for example `rot_q`.
    pub site: String,
    /// Channels of a head.
    pub channels_per_head: f64,
    /// Share of a head's squared norm that they held, between 0 and 1.
    pub share: f64,
}

/// What an arm is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ArmRole {
    /// The undisturbed model, which the others are compared with.
    None,
    /// Disturbs massive values.
    Massive,
    /// Disturbs the smallest channels (the papers' "non-massive").
    Bottom,
    /// Disturbs as many channels drawn at random: the matched control.
    Random,
    /// Any other intervention.
    Other,
}

/// A place in a sweep: arms of one series differ in the number of channels alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepPoint {
    /// What the arms of the sweep share, for example `massive, mean`.
    pub series: String,
    /// Channels that are disturbed in each head.
    pub channels_per_head: usize,
}

impl Arm {
    /// The undisturbed model under `name`.
    pub fn baseline(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            role: ArmRole::None,
            sentence: "The model is left alone.".to_owned(),
            intervention: None,
            sweep: None,
            selected: Vec::new(),
            rounded: Vec::new(),
            massive_norm: None,
        }
    }
}

impl ArmRole {
    /// The word in the file's `role` field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Massive => "massive",
            Self::Bottom => "bottom",
            Self::Random => "random",
            Self::Other => "other",
        }
    }
}

/// A confidence interval; the result says of which level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether `x` lies within, ends included.
    pub fn contains(self, x: f64) -> bool {
        self.low <= x && x <= self.high
    }
}
