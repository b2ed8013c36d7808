//! Target Variance Rescaling (2503.22329): matrices whose spread has grown beyond a target are set back to it.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use massval_models::Decoder;

use crate::TargetVariance;

/// Rescales every matrix of every block beyond the target. A bias beside a matrix is set to 0, as the authors' code
/// does.
pub(crate) fn rescale(decoder: Decoder, target: &TargetVariance) -> Decoder {
    decoder.map(&mut Rescale { target, path: Vec::new(), rescaled: None })
}

struct Rescale<'a> {
    target: &'a TargetVariance,
    path: Vec<String>,
    /// The layer whose matrix was rescaled last.
    rescaled: Option<Vec<String>>,
}

impl ModuleMapper for Rescale<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let within = |name: &str| self.path.iter().any(|part| part == name);
        let Some((last, layer)) = self.path.split_last() else { return param };
        if !within("blocks") {
            return param;
        }
        if D == 1 && last == "bias" && self.rescaled.as_deref() == Some(layer) {
            return set(param, |x| x.zeros_like());
        }
        if D != 2 || last != "weight" {
            return param;
        }
        let x = param.val().inner();
        let mean = x.clone().mean().into_scalar::<f32>();
        let centred = x - mean;
        let std = centred.clone().square().mean().into_scalar::<f32>().sqrt();
        let target = self.target.std as f32;
        if std > target * self.target.ratio as f32 {
            self.rescaled = Some(layer.to_vec());
            return set(param, move |_| centred * (target / std) + mean);
        }
        param
    }
}

/// Changes a parameter's values, and leaves it a leaf of the tape.
fn set<const D: usize>(
    param: Param<Tensor<D>>,
    change: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Param<Tensor<D>> {
    let id = param.id;
    let value = param.into_value();
    let tracked = value.device().is_autodiff();
    let changed = change(value.inner());
    let value = if tracked { Tensor::from_inner(changed).require_grad() } else { changed };
    Param::initialized(id, value)
}
