//! Reads rotary positions from a config, in all of transformers' spellings.
//!
//! transformers 4 has `rope_theta` at the top and the scaling in `rope_scaling`; transformers 5 has both in
//! `rope_parameters`, where a model with several kinds of layers has one table for each. What a table may hold is in
//! `kind`.

mod kind;
mod table;
#[cfg(test)]
mod tests;

use massval_detect::{PairLayout, RopeAngles, RopeScaling};

use self::table::Table;
use super::fields::Fields;
use crate::Result;
use crate::config::RopeConfig;

/// The angles take memory before the config is checked as a whole.
const MAX_HEAD_DIM: usize = 1 << 14;

/// What a family calls its rotary fields, and what it assumes where they are absent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family {
    /// The base's name at the top of the config, and its value if it is nowhere.
    pub(super) theta: (&'static str, f64),
    /// The same of the part of a head that turns; `None` where transformers turns whole heads whatever it says.
    pub(super) partial: Option<(&'static str, f64)>,
    /// `yarn` is an old name of LongRoPE (Phi-3).
    pub(super) yarn_means_longrope: bool,
    /// Positions have three axes, all equal in a text (Qwen2-VL): `mrope` is `default`.
    pub(super) three_axes: bool,
}

/// What the rotary positions must fit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// Channels of a head.
    pub(super) head_dim: usize,
    /// `max_position_embeddings`, where the config says it or the family has a default.
    pub(super) max_positions: Option<usize>,
}

/// One kind of layer of a model that has several, each with rotary positions of its own.
pub(super) struct LayerKind {
    /// Its name in `layer_types`, and of its table within `rope_parameters`.
    pub(super) name: &'static str,
    /// As [`Family::theta`].
    pub(super) theta: (&'static str, f64),
    /// transformers 4's `rope_scaling` means these layers.
    pub(super) scaled: bool,
}

/// How long sequences may be: dynamic NTK is there to go beyond the config's limit.
pub(super) fn longest(rope: &RopeConfig, max_positions: Option<usize>) -> Option<usize> {
    match rope.scaling() {
        Some(RopeScaling::DynamicNtk { factor, .. }) => {
            max_positions.map(|longest| (longest as f64 * factor.max(1.0)) as usize)
        }
        _ => max_positions,
    }
}

impl Family {
    /// Llama's: whole heads turn.
    pub(super) const LLAMA: Self = Self {
        theta: ("rope_theta", 10_000.0),
        partial: None,
        yarn_means_longrope: false,
        three_axes: false,
    };

    /// The rotary positions of a model whose layers are all alike.
    pub(super) fn read(&self, fields: &Fields<'_>, extent: Extent) -> Result<RopeConfig> {
        let new = Table::open(fields, "rope_parameters")?;
        let old = Table::open(fields, "rope_scaling")?;
        for table in new.iter().chain(&old) {
            if let [first, ..] = table.tables()[..] {
                let what = "is a table: this architecture has one kind of layer, and one RoPE";
                return Err(table.error(first, what));
            }
        }
        let one = |table: Option<&Table<'_>>| self.one(fields, extent, self.theta, table);
        match (&new, &old) {
            (Some(new), Some(old)) => {
                let read = one(Some(new))?;
                if one(Some(old))? != read {
                    let what = "says something else than rope_parameters; remove one of the two";
                    return Err(fields.error("rope_scaling", what));
                }
                Ok(read)
            }
            (Some(table), None) | (None, Some(table)) => one(Some(table)),
            (None, None) => one(None),
        }
    }

    /// The rotary positions of the two kinds of layers, in the order of `kinds`.
    pub(super) fn read_layers(
        &self,
        fields: &Fields<'_>,
        extent: Extent,
        kinds: &[LayerKind; 2],
    ) -> Result<[RopeConfig; 2]> {
        let new = Table::open(fields, "rope_parameters")?;
        let old = Table::open(fields, "rope_scaling")?;
        if new.is_some() && old.is_some() {
            let what = "stands beside rope_parameters; remove one of the two";
            return Err(fields.error("rope_scaling", what));
        }
        let of = |kind: &LayerKind| {
            let inner = new.as_ref().map(|table| table.inner(kind.name)).transpose()?.flatten();
            let table = if kind.scaled { inner.as_ref().or(old.as_ref()) } else { inner.as_ref() };
            self.one(fields, extent, kind.theta, table)
        };
        let read = [of(&kinds[0])?, of(&kinds[1])?];
        if let Some(table) = &new {
            let names: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
            table.finish(&format!("RoPE per layer type; known types are {}", names.join(", ")))?;
        }
        Ok(read)
    }

    /// What one table says, together with the top of the config.
    fn one(
        &self,
        fields: &Fields<'_>,
        Extent { head_dim, max_positions }: Extent,
        (theta_name, default_theta): (&str, f64),
        table: Option<&Table<'_>>,
    ) -> Result<RopeConfig> {
        if head_dim > MAX_HEAD_DIM {
            let what = format!("{head_dim} is beyond {MAX_HEAD_DIM}, the largest allowed");
            return Err(fields.error("head_dim", what));
        }
        let theta = either(fields, theta_name, table, "rope_theta")?.unwrap_or(default_theta);
        let proportion = self.proportion(fields, table)?;
        let original = fields.opt_size("original_max_position_embeddings")?;
        // transformers truncates, too.
        let partial_dim = (head_dim as f64 * proportion) as usize;
        let whole = self.is_proportional(table)?;
        let rotary_dim = if whole { head_dim } else { partial_dim };
        let context = kind::Context { rotary_dim, max_positions, original, proportion };
        let scaling = match table {
            None => None,
            Some(table) => kind::scaling(table, self, &context)?,
        };
        let at = table.map_or(theta_name, Table::name);
        let wrong = |error: massval_detect::Error| fields.error(at, error.to_string());
        let angles = RopeAngles::new(rotary_dim, theta, scaling).map_err(wrong)?;
        // That the pairs fit into a head.
        angles.bands(head_dim, 1, PairLayout::HalfSplit).map_err(wrong)?;
        Ok(RopeConfig::new(angles, PairLayout::HalfSplit))
    }

    /// The part of a head that turns.
    fn proportion(&self, fields: &Fields<'_>, table: Option<&Table<'_>>) -> Result<f64> {
        let inner = "partial_rotary_factor";
        let (name, default) = self.partial.unwrap_or((inner, 1.0));
        let given = either(fields, name, table, inner)?.unwrap_or(default);
        if given > 1.0 {
            return Err(fields.error(name, format!("{given} is beyond 1, the whole head")));
        }
        // Proportional RoPE turns whole heads, some of their pairs by nothing.
        if self.partial.is_none() && given != 1.0 && !self.is_proportional(table)? {
            let what = format!("{given}, but this architecture turns whole heads");
            return Err(fields.error(name, what));
        }
        Ok(given)
    }

    fn is_proportional(&self, table: Option<&Table<'_>>) -> Result<bool> {
        match table {
            Some(table) => Ok(kind::kind(table, self)? == "proportional"),
            None => Ok(false),
        }
    }
}

/// A positive number at the top of the config or in the table, under a name for each; a contradiction is refused.
fn either(
    fields: &Fields<'_>,
    top: &str,
    table: Option<&Table<'_>>,
    inner: &str,
) -> Result<Option<f64>> {
    let outer = match fields.opt_f64(top)? {
        Some(x) if x <= 0.0 => return Err(fields.error(top, format!("{x} is not positive"))),
        outer => outer,
    };
    let Some(table) = table else { return Ok(outer) };
    match (outer, table.positive(inner)?) {
        (Some(a), Some(b)) if a != b => {
            Err(fields.error(top, format!("{a} here, {b} in {}", table.name())))
        }
        (a, b) => Ok(b.or(a)),
    }
}
