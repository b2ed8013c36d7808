//! Takes apart what a checkpoint stores as one matrix.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::Tensor;

/// Consecutive outputs, of these widths. A missing matrix stays an empty placeholder.
pub(super) fn blocks<const N: usize>(fused: &Linear, widths: [usize; N]) -> [Linear; N] {
    groups(fused, 1, widths)
}

/// `count` groups of outputs, in each of which parts of these widths follow one another: the parts of
/// all groups together, in their order.
pub(super) fn groups<const N: usize>(
    fused: &Linear,
    count: usize,
    widths: [usize; N],
) -> [Linear; N] {
    let group: usize = widths.iter().sum();
    let weight = fused.weight.val();
    let [inputs, outputs] = weight.dims();
    let mut start = 0;
    widths.map(|width| {
        let from = start;
        start += width;
        if outputs != count * group {
            return fused.clone();
        }
        // Copied out of the fused matrix, so that each is contiguous and the whole can be freed.
        let part = |x: Tensor<2>, rows: usize| {
            let x = x.reshape([rows, count, group]).slice_dim(2, from..from + width);
            x.reshape([rows, count * width]) + 0.0
        };
        let bias = fused
            .bias
            .as_ref()
            .map(|bias| part(bias.val().reshape([1, outputs]), 1).reshape([count * width]));
        let weight = Param::from_tensor(part(weight.clone(), inputs));
        Linear { weight, bias: bias.map(Param::from_tensor) }
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Int};

    use super::*;

    fn numbered(outputs: usize) -> Linear {
        let row = Tensor::<1, Int>::arange(0..outputs as i64, &Device::default()).float();
        let weight = Param::from_tensor(row.clone().reshape([1, outputs]).repeat_dim(0, 3));
        Linear { weight, bias: Some(Param::from_tensor(row)) }
    }

    fn outputs(linear: &Linear) -> Vec<f32> {
        let bias = linear.bias.as_ref().expect("a bias").val();
        let last: Tensor<1> = linear.weight.val().slice_dim(0, 2..3).reshape([bias.dims()[0]]);
        let bias: Vec<f32> = bias.into_data().try_into_vec().expect("f32");
        assert_eq!(last.into_data().try_into_vec::<f32>().expect("f32"), bias);
        bias
    }

    #[test]
    fn blocks_follow_one_another() {
        let [q, k, v] = blocks(&numbered(8), [4, 2, 2]);
        assert_eq!(outputs(&q), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!((outputs(&k), outputs(&v)), (vec![4.0, 5.0], vec![6.0, 7.0]));
    }

    #[test]
    fn groups_are_woven() {
        // Two KV heads of width 1, two query heads for each.
        let [q, k, v] = groups(&numbered(8), 2, [2, 1, 1]);
        assert_eq!(outputs(&q), [0.0, 1.0, 4.0, 5.0]);
        assert_eq!((outputs(&k), outputs(&v)), (vec![2.0, 6.0], vec![3.0, 7.0]));
    }
}
