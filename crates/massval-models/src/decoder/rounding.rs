//! Activations in 8 bits: the inputs of linears, rounded as a quantized checkpoint says.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor, TensorData};
use massval_quant::ActivationQuantizer;

use super::LinearGroup;
use super::linears::floats;
use crate::Result;

/// How the inputs of linears are rounded. Those of one group read the same, and round it alike.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InputRounding(BTreeMap<(usize, LinearGroup), ActivationQuantizer>);

impl InputRounding {
    /// Rounds the inputs of a group of linears in one layer.
    pub fn insert(&mut self, layer: usize, group: LinearGroup, quantizer: ActivationQuantizer) {
        self.0.insert((layer, group), quantizer);
    }

    /// How the inputs of that group are rounded, if they are.
    #[must_use]
    pub fn get(&self, layer: usize, group: LinearGroup) -> Option<&ActivationQuantizer> {
        self.0.get(&(layer, group))
    }

    /// Whether nothing is rounded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Activations `[batch, seq, width]` as the group's linears read them.
    pub(crate) fn round(
        &self,
        layer: usize,
        group: LinearGroup,
        x: Tensor<3>,
    ) -> Result<Tensor<3>> {
        let Some(quantizer) = self.get(layer, group) else { return Ok(x) };
        let (shape, device, dtype) = (x.dims(), x.device(), x.dtype());
        let mut rows = floats(x)?;
        quantizer.fake_quantize("the input of a linear", shape[2], &mut rows)?;
        let data = TensorData::new(rows, shape);
        Ok(Tensor::<3>::from_data(data, (&device, DType::F32)).cast(dtype))
    }
}
