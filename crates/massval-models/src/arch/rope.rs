//! Reads rotary positions from a config, in all of transformers' spellings.
//!
//! transformers 4 has `rope_theta` at the top and the scaling in `rope_scaling`; transformers 5 has both in
//! `rope_parameters`, where a model with several kinds of layers has one table for each. What a table may hold is in
//! `kind`.

mod kind;
mod table;
#[cfg(test)]
mod tests;

use massval_detect::{PairLayout, RopeAngles};

use self::table::Table;
use super::fields::Fields;
use crate::Result;
use crate::config::RopeConfig;

/// The angles take memory before the config is checked as a whole.
const MAX_HEAD_DIM: usize = 1 << 14;

/// What a family calls its rotary fields, and what it assumes where they are absent.
pub(super) struct Family {
    /// Channels of a head.
    pub(super) head_dim: usize,
    /// `max_position_embeddings`.
    pub(super) max_positions: usize,
    /// The base's name at the top of the config, and its value if it is nowhere.
    pub(super) theta: (&'static str, f64),
    /// The same of the part of a head that turns; `None` where transformers turns whole heads whatever it says.
    pub(super) partial: Option<(&'static str, f64)>,
    /// `yarn` is an old name of LongRoPE (Phi-3).
    pub(super) yarn_means_longrope: bool,
    /// Positions have three axes, all equal in a text (Qwen2-VL): `mrope` is `default`.
    pub(super) three_axes: bool,
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

/// The rotary positions of a family that turns whole heads, as Llama.
pub(super) fn read(
    fields: &Fields<'_>,
    head_dim: usize,
    max_positions: usize,
) -> Result<RopeConfig> {
    Family::new(head_dim, max_positions).read(fields)
}

impl Family {
    /// Llama's spelling.
    pub(super) fn new(head_dim: usize, max_positions: usize) -> Self {
        Self {
            head_dim,
            max_positions,
            theta: ("rope_theta", 10_000.0),
            partial: None,
            yarn_means_longrope: false,
            three_axes: false,
        }
    }

    /// The rotary positions of a model whose layers are all alike.
    pub(super) fn read(&self, fields: &Fields<'_>) -> Result<RopeConfig> {
        let new = Table::open(fields, "rope_parameters")?;
        let old = Table::open(fields, "rope_scaling")?;
        for table in new.iter().chain(&old) {
            if let [first, ..] = table.tables()[..] {
                let what = "is a table: this architecture has one kind of layer, and one RoPE";
                return Err(table.error(first, what));
            }
        }
        let one = |table: Option<&Table<'_>>| self.one(fields, self.theta, table);
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

    /// The rotary positions of each kind of layer, in the order of `kinds`.
    #[cfg_attr(not(test), expect(dead_code, reason = "Gemma 3's reader comes next"))]
    pub(super) fn read_layers(
        &self,
        fields: &Fields<'_>,
        kinds: &[LayerKind],
    ) -> Result<Vec<RopeConfig>> {
        let new = Table::open(fields, "rope_parameters")?;
        let old = Table::open(fields, "rope_scaling")?;
        if new.is_some() && old.is_some() {
            let what = "stands beside rope_parameters; remove one of the two";
            return Err(fields.error("rope_scaling", what));
        }
        let mut read = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let inner = new.as_ref().map(|table| table.inner(kind.name)).transpose()?.flatten();
            let table = if kind.scaled { inner.as_ref().or(old.as_ref()) } else { inner.as_ref() };
            read.push(self.one(fields, kind.theta, table)?);
        }
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
        (theta_name, default_theta): (&str, f64),
        table: Option<&Table<'_>>,
    ) -> Result<RopeConfig> {
        if self.head_dim > MAX_HEAD_DIM {
            let what = format!("{} is beyond {MAX_HEAD_DIM}, the largest allowed", self.head_dim);
            return Err(fields.error("head_dim", what));
        }
        let theta = either(fields, theta_name, table, "rope_theta")?.unwrap_or(default_theta);
        let proportion = self.proportion(fields, table)?;
        let original = fields.opt_size("original_max_position_embeddings")?;
        // transformers truncates, too.
        let partial_dim = (self.head_dim as f64 * proportion) as usize;
        let whole = self.is_proportional(table)?;
        let rotary_dim = if whole { self.head_dim } else { partial_dim };
        let max_positions = self.max_positions;
        let context = kind::Context { rotary_dim, max_positions, original, proportion };
        let scaling = match table {
            None => None,
            Some(table) => kind::scaling(table, self, &context)?,
        };
        let at = table.map_or(theta_name, Table::name);
        let wrong = |error: massval_detect::Error| fields.error(at, error.to_string());
        let angles = RopeAngles::new(rotary_dim, theta, scaling).map_err(wrong)?;
        // That the pairs fit into a head.
        angles.bands(self.head_dim, 1, PairLayout::HalfSplit).map_err(wrong)?;
        Ok(RopeConfig::new(angles))
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
