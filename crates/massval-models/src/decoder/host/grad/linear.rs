//! The product with a weight, and the bias.

use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use super::super::matrix::multiply;
use super::super::values::{Values, made};
use super::super::{add_row, vector};
use super::{Differentiable, contiguous, inside, plain, recorded, tracked, values_of};

/// `x * weight + bias`: `[batch, seq, in] x [in, out]`.
pub(in super::super) fn times(
    x: &Tensor<3>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<1>>,
) -> Option<Tensor<3>> {
    let (x, weight) = (tracked(x)?, tracked(weight)?);
    let bias = match bias {
        Some(bias) => Some(tracked(bias)?),
        None => None,
    };
    let out = super::super::product(&values_of(&x), &values_of(&weight))?;
    let kept = || Product { x: x.primitive().clone(), weight: weight.primitive().clone() };
    Some(match &bias {
        None => recorded([&x, &weight], out, kept),
        Some(bias) => {
            let out = add_row(out, &values_of(bias)).ok()?;
            recorded([&x, &weight, bias], out, || Affine(kept()))
        }
    })
}

#[derive(Debug, Clone)]
struct Product {
    x: FlexTensor,
    weight: FlexTensor,
}

#[derive(Debug, Clone)]
struct Affine(Product);

impl Product {
    /// Of `x`, with the weight transposed; of the weight, with `x` transposed.
    fn both(self, out: &Values<3>, [needs_x, needs_weight]: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let dims = plain::<3>(self.x.clone()).dims();
        let x = Values::of(&plain::<3>(contiguous(self.x)));
        let weight = Values::of(&plain::<2>(self.weight));
        let (Some(x), Some(weight)) = (x, weight) else { unreachable!("they were multiplied") };
        let (Some(rows), Some(right), Some(out)) = (x.rows(), weight.matrix(), out.rows()) else {
            unreachable!("row-major tensors are matrices")
        };
        // SAFETY: `multiply` writes all of its output.
        #[allow(unsafe_code, reason = "products are written once; see SAFETY")]
        let (of_x, of_weight) = unsafe {
            (
                needs_x
                    .then(|| made(dims, |to| multiply(to, &out, &right.transposed(), true)))
                    .map(inside),
                needs_weight
                    .then(|| made(weight.dims(), |to| multiply(to, &rows.transposed(), &out, true)))
                    .map(inside),
            )
        };
        [of_x, of_weight]
    }
}

fn rows_of(out: FlexTensor) -> Values<3> {
    Values::of(&plain::<3>(contiguous(out))).expect("a gradient in host memory")
}

impl Differentiable<2> for Product {
    fn gradients(self, out: FlexTensor, needed: [bool; 2]) -> [Option<FlexTensor>; 2] {
        self.both(&rows_of(out), needed)
    }
}

impl Differentiable<3> for Affine {
    fn gradients(self, out: FlexTensor, needed: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let out = rows_of(out);
        let [needs_x, needs_weight, needs_bias] = needed;
        let [x, weight] = self.0.both(&out, [needs_x, needs_weight]);
        let width = out.dims()[2];
        let bias = needs_bias.then(|| {
            let sums = vector::column_sums(out.contiguous().unwrap_or_default(), width);
            inside(Tensor::<1>::from_data(sums.as_slice(), &burn::tensor::Device::flex()))
        });
        [x, weight, bias]
    }
}
