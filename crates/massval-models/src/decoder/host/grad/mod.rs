//! The operations of this folder under burn's autodiff: the forward pass is the same, the way back is written here.
//!
//! burn's own tape records a dozen small operations for each of these, and computes every one of them by itself; in
//! a small model that is most of a training step. Each operation here is one step of the tape, a [`Differentiable`]
//! that keeps what its way back needs. All of it is for f32 on burn's CPU backend without gradient checkpointing;
//! other tensors take burn's operations, and the tests compare the gradients of the two.

mod activation;
mod attention;
mod linear;
mod loss;
mod norm;
mod rotary;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Tensor};
use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::NoCheckpointing;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::{Flex, FlexTensor};

pub(super) use activation::{gelu_tanh, silu_times};
pub(super) use attention::attention;
pub(super) use linear::times;
pub(crate) use loss::cross_entropy;
pub(super) use norm::norm;
pub(super) use rotary::rotate;

/// A tensor on the tape.
type Tracked = FloatTensor<Autodiff<Flex>>;

/// What an operation keeps for its way back.
trait Differentiable<const N: usize>: Clone + Send + Debug + 'static {
    /// The gradients of the inputs that need one, from the gradient of the output.
    fn gradients(self, out: FlexTensor, needed: [bool; N]) -> [Option<FlexTensor>; N];
}

#[derive(Debug)]
struct Step<O>(PhantomData<O>);

impl<O: Differentiable<N>, const N: usize> Backward<Flex, N> for Step<O> {
    type State = O;

    fn backward(self, ops: Ops<O, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let out = grads.consume::<Flex>(&ops.node);
        let needed = ops.parents.each_ref().map(Option::is_some);
        let gradients = ops.state.gradients(out, needed);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// Puts an operation on the tape; `kept` is asked only if somebody needs a gradient.
fn recorded<O: Differentiable<N>, const N: usize, const D: usize>(
    inputs: [&Tracked; N],
    output: Tensor<D>,
    kept: impl FnOnce() -> O,
) -> Tensor<D> {
    let step = Step::<O>(PhantomData).prepare::<NoCheckpointing>(inputs.map(|input| input.node()));
    let output = inside(output);
    let tracked = match step.compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish(kept(), output),
        OpsKind::UnTracked(step) => step.finish(output),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(tracked)
}

/// A tensor as the tape has it; `None` if it is of another type or lies elsewhere.
fn tracked<const D: usize>(x: &Tensor<D>) -> Option<Tracked> {
    if x.dtype() != DType::F32 || !x.device().is_autodiff() {
        return None;
    }
    x.clone().try_into_primitive::<Autodiff<Flex>>().ok()
}

/// The values of a tensor on the tape.
fn values_of<const D: usize>(x: &Tracked) -> Tensor<D> {
    plain(x.primitive().clone())
}

fn plain<const D: usize>(x: FlexTensor) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(x)
}

/// What the backend keeps of a tensor in host memory.
fn inside<const D: usize>(x: Tensor<D>) -> FlexTensor {
    x.try_into_primitive::<Flex>().expect("a tensor on the CPU without a gradient")
}

/// Row-major, if it is not.
fn contiguous(x: FlexTensor) -> FlexTensor {
    if x.is_contiguous() { x } else { x.to_contiguous() }
}
