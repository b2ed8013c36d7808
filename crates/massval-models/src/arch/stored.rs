//! Which matrices and norms of a checkpoint make up a block, for whoever rewrites them.

use serde::Serialize;

use super::WeightNames;
use super::names::{FusedOrder, MlpNames, Qkv, Stored};
use crate::config::{BlockOrder, DecoderConfig, MlpKind, NormKind};
use crate::decoder::{LinearAt, LinearGroup, LinearRole};

/// A matrix of a checkpoint that linears of a block are made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StoredLinear {
    /// Its name, without `.weight`.
    pub name: String,
    /// Outputs.
    pub outputs: usize,
    /// Inputs.
    pub inputs: usize,
    /// Stored as `[inputs, outputs]`, as GPT-2's are.
    pub transposed: bool,
    /// Whose outputs its rows are.
    pub parts: Vec<StoredPart>,
}

/// The rows of a stored matrix that make up one linear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StoredPart {
    /// The linear.
    pub at: LinearAt,
    /// Its rows in the stored matrix, in the linear's order.
    pub rows: Vec<usize>,
}

/// What a checkpoint stores of one block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StoredBlock {
    /// The matrices, in the order of a pass.
    pub linears: Vec<StoredLinear>,
    /// The norm that writes what Q, K and V read and nobody else does, without `.weight`; none where there is no
    /// such norm to fold a scale into.
    pub attn_norm: Option<String>,
    /// The same for the way into the MLP.
    pub mlp_norm: Option<String>,
}

impl StoredLinear {
    /// The group whose input it reads.
    #[must_use]
    pub fn group(&self) -> LinearGroup {
        self.parts.first().map_or(LinearGroup::Qkv, |part| part.at.role.group())
    }

    /// The rows of one linear out of values `[outputs, width]`.
    #[must_use]
    pub fn take<T: Copy>(&self, part: &StoredPart, values: &[T]) -> Vec<T> {
        let width = values.len() / self.outputs.max(1);
        let row = |&row: &usize| values.get(row * width..(row + 1) * width).unwrap_or_default();
        part.rows.iter().flat_map(row).copied().collect()
    }

    /// Values `[outputs, inputs]` out of those of its linears, in the order of [`parts`](Self::parts).
    #[must_use]
    pub fn put(&self, linears: &[Vec<f32>]) -> Vec<f32> {
        let mut values = vec![0.0; self.outputs * self.inputs];
        let width = self.inputs.max(1);
        for (part, linear) in self.parts.iter().zip(linears) {
            for (&row, source) in part.rows.iter().zip(linear.chunks_exact(width)) {
                if let Some(row) = values.get_mut(row * width..(row + 1) * width) {
                    row.copy_from_slice(source);
                }
            }
        }
        values
    }
}

/// What a checkpoint under these names stores of each block; `prefix` stands before all of them.
pub(crate) fn blocks(
    config: &DecoderConfig,
    names: &WeightNames,
    prefix: &str,
) -> Vec<StoredBlock> {
    (0..config.layers).map(|layer| block(config, names, prefix, layer)).collect()
}

fn block(config: &DecoderConfig, names: &WeightNames, prefix: &str, layer: usize) -> StoredBlock {
    let full = |name: &str| format!("{prefix}{}", name.replace("{l}", &layer.to_string()));
    let fused = |name: &str, parts: Vec<(LinearAt, Vec<usize>)>| {
        let inputs = parts.first().map_or(0, |(at, _)| config.linear_shape(at.role)[1]);
        StoredLinear {
            name: full(name),
            outputs: parts.iter().map(|(_, rows)| rows.len()).sum(),
            inputs,
            transposed: names.linear == Stored::InOut,
            parts: parts.into_iter().map(|(at, rows)| StoredPart { at, rows }).collect(),
        }
    };
    let rows = |role: LinearRole| (0..config.linear_shape(role)[0]).collect::<Vec<_>>();
    let one = |name: &str, at: LinearAt| fused(name, vec![(at, rows(at.role))]);
    let own = |name: &str, role: LinearRole| one(name, LinearAt::new(layer, role));

    let mut linears = Vec::new();
    match names.qkv {
        Qkv::Separate { q, k, v, permuted: _ } => {
            linears.extend([own(q, LinearRole::Q), own(k, LinearRole::K), own(v, LinearRole::V)]);
        }
        Qkv::Fused { name, order } => {
            let roles = LinearGroup::Qkv.roles();
            let widths: Vec<usize> =
                roles.iter().map(|&role| config.linear_shape(role)[0]).collect();
            let groups = match order {
                FusedOrder::Blocks => 1,
                FusedOrder::Groups => config.kv_heads.max(1),
            };
            let parts = woven(groups, &widths);
            let at = roles.iter().map(|&role| LinearAt::new(layer, role));
            linears.push(fused(name, at.zip(parts).collect()));
        }
    }
    linears.push(own(names.attn_out, LinearRole::AttnOut));
    match names.mlp {
        MlpNames::Plain { up, down } => {
            linears.extend([own(up, LinearRole::Up), own(down, LinearRole::Down)]);
        }
        MlpNames::Gated { gate, up, down } => linears.extend([
            own(gate, LinearRole::Gate),
            own(up, LinearRole::Up),
            own(down, LinearRole::Down),
        ]),
        MlpNames::FusedGate { gate_up, down } => {
            let roles = LinearGroup::GateUp.roles();
            let parts = woven(1, &[config.d_mlp, config.d_mlp]);
            let at = roles.iter().map(|&role| LinearAt::new(layer, role));
            linears.push(fused(gate_up, at.zip(parts).collect()));
            linears.push(own(down, LinearRole::Down));
        }
        MlpNames::Experts { router: _, gate, up, down } => {
            let count = match config.mlp {
                MlpKind::Experts { count, .. } => count,
                MlpKind::Gated | MlpKind::Plain => 1,
            };
            for expert in 0..count {
                let names = [gate, up, down].map(|name| name.replace("{e}", &expert.to_string()));
                let roles = [LinearRole::Gate, LinearRole::Up, LinearRole::Down];
                for (name, role) in names.iter().zip(roles) {
                    linears.push(one(name, LinearAt { layer, role, expert: Some(expert) }));
                }
            }
        }
    }
    // Only a norm that one group alone reads can take that group's scales.
    let before = matches!(
        config.block,
        BlockOrder::PreNorm | BlockOrder::SandwichNorm | BlockOrder::ParallelTwoNorms
    ) && config.norm != NormKind::LayerNormFixed;
    let norm = |name: Option<&str>| name.filter(|_| before).map(full);
    let routed = matches!(names.mlp, MlpNames::Experts { .. });
    StoredBlock {
        linears,
        attn_norm: norm(names.norms.attn),
        mlp_norm: norm(names.norms.mlp).filter(|_| !routed),
    }
}

/// The rows of parts of these widths that are woven in `groups`.
fn woven(groups: usize, widths: &[usize]) -> Vec<Vec<usize>> {
    let group: usize = widths.iter().sum::<usize>() / groups;
    let mut start = 0;
    let rows = |(width, from): (usize, usize)| {
        (0..groups).flat_map(|g| g * group + from..g * group + from + width).collect()
    };
    let each = widths.iter().map(|width| {
        let from = start;
        start += width / groups;
        (width / groups, from)
    });
    each.map(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn woven_rows_are_those_of_each_group() {
        assert_eq!(woven(1, &[2, 1, 1]), [vec![0, 1], vec![2], vec![3]]);
        assert_eq!(woven(2, &[4, 2, 2]), [vec![0, 1, 4, 5], vec![2, 6], vec![3, 7]]);
    }
}
