//! Experts that a GGUF stacks in one tensor, apart: each is a matrix like any other.

use super::super::TensorInfo;
use super::super::safetensors::Placed;

/// More are left stacked, for the config to refuse.
const MAX_EXPERTS: usize = 1024;
const STACKS: [&str; 3] = ["ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"];

/// Replaces each `blk.{l}.ffn_*_exps.weight` of shape `[experts, out, in]` by
/// `blk.{l}.ffn_*_exps.{e}.weight` of shape `[out, in]`.
pub(super) fn unstack(tensors: Vec<Placed>) -> Vec<Placed> {
    tensors
        .into_iter()
        .flat_map(|placed| experts(&placed).unwrap_or_else(|| vec![placed]))
        .collect()
}

fn experts((info, range): &Placed) -> Option<Vec<Placed>> {
    let stem = info.name.strip_suffix(".weight")?;
    let stacked = stem.starts_with("blk.") && STACKS.iter().any(|stack| stem.ends_with(stack));
    let &[count, rows, columns] = info.shape.as_slice() else { return None };
    if !stacked || count > MAX_EXPERTS {
        return None;
    }
    // Experts come slowest, and rows are whole blocks: each takes as many bytes as the others.
    let size = range.len() / count;
    let expert = |e: usize| {
        let start = range.start + e * size;
        let name = format!("{stem}.{e}.weight");
        (TensorInfo { name, shape: vec![rows, columns], dtype: info.dtype }, start..start + size)
    };
    Some((0..count).map(expert).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::StoredType;

    fn placed(name: &str, shape: &[usize], bytes: usize) -> Placed {
        let info =
            TensorInfo { name: name.to_owned(), shape: shape.to_vec(), dtype: StoredType::Q8_0 };
        (info, 100..100 + bytes)
    }

    #[test]
    fn each_expert_is_a_matrix_of_its_own() {
        let stack = placed("blk.7.ffn_up_exps.weight", &[3, 2, 32], 3 * 2 * 34);
        let apart = unstack(vec![stack]);
        assert_eq!(apart.len(), 3);
        assert_eq!(apart[2], {
            let (info, _) = placed("blk.7.ffn_up_exps.2.weight", &[2, 32], 68);
            (info, 236..304)
        });
    }

    #[test]
    fn what_is_no_stack_stays() {
        for other in [
            placed("blk.0.ffn_up.weight", &[2, 2, 32], 136),
            placed("blk.0.ffn_up_exps.weight", &[2, 32], 68),
            placed("blk.0.ffn_up_exps.bias", &[2, 2, 32], 136),
            placed("ffn_up_exps.weight", &[2, 2, 32], 136),
            placed("blk.0.ffn_up_exps.weight", &[2000, 1, 32], 2000 * 34),
        ] {
            assert_eq!(unstack(vec![other.clone()]), [other]);
        }
    }
}
