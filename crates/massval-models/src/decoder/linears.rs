//! The matrices of the blocks, each by its name: read, and replaced.

use std::fmt;
use std::str::FromStr;

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::Decoder;
use super::block::Block;
use super::mlp::{Dense, Mlp};
use crate::config::{DecoderConfig, MlpKind};
use crate::{Error, Result};

/// What a matrix of a block is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinearRole {
    /// Queries.
    Q,
    /// Keys.
    K,
    /// Values.
    V,
    /// From the heads back to the stream.
    AttnOut,
    /// The half of a gated MLP that the activation is applied to.
    Gate,
    /// Into the MLP.
    Up,
    /// Back to the stream.
    Down,
}

impl LinearRole {
    /// All of them, in the order of a pass.
    pub const ALL: [Self; 7] =
        [Self::Q, Self::K, Self::V, Self::AttnOut, Self::Gate, Self::Up, Self::Down];

    /// Its name: `q`, `k`, `v`, `attn_out`, `gate`, `up`, `down`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q => "q",
            Self::K => "k",
            Self::V => "v",
            Self::AttnOut => "attn_out",
            Self::Gate => "gate",
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// The group of linears that read the same input.
    #[must_use]
    pub const fn group(self) -> LinearGroup {
        match self {
            Self::Q | Self::K | Self::V => LinearGroup::Qkv,
            Self::AttnOut => LinearGroup::AttnOut,
            Self::Gate | Self::Up => LinearGroup::GateUp,
            Self::Down => LinearGroup::Down,
        }
    }
}

impl FromStr for LinearRole {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|role| role.name() == name);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::input(format!("no linear is called {name:?}; known are {known}"))
        })
    }
}

impl fmt::Display for LinearRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The linears of a block that read the same input, in the order in which a pass comes to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinearGroup {
    /// Q, K and V.
    Qkv,
    /// The output projection of attention.
    AttnOut,
    /// The way into the MLP.
    GateUp,
    /// The way out of the MLP.
    Down,
}

impl LinearGroup {
    /// All of them, in the order of a pass.
    pub const ALL: [Self; 4] = [Self::Qkv, Self::AttnOut, Self::GateUp, Self::Down];

    /// Its linears; a plain MLP has no gate.
    #[must_use]
    pub const fn roles(self) -> &'static [LinearRole] {
        match self {
            Self::Qkv => &[LinearRole::Q, LinearRole::K, LinearRole::V],
            Self::AttnOut => &[LinearRole::AttnOut],
            Self::GateUp => &[LinearRole::Gate, LinearRole::Up],
            Self::Down => &[LinearRole::Down],
        }
    }
}

/// One matrix of a decoder's blocks. Written `3.q`, or `3.up.5` for that of an expert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LinearAt {
    /// The layer, from 0.
    pub layer: usize,
    /// What it is for.
    pub role: LinearRole,
    /// The expert, in an MLP that has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expert: Option<usize>,
}

impl LinearAt {
    /// A linear of a block without experts.
    #[must_use]
    pub const fn new(layer: usize, role: LinearRole) -> Self {
        Self { layer, role, expert: None }
    }
}

impl fmt::Display for LinearAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expert {
            Some(expert) => write!(f, "{}.{}.{expert}", self.layer, self.role),
            None => write!(f, "{}.{}", self.layer, self.role),
        }
    }
}

impl FromStr for LinearAt {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let what = "is no linear; write LAYER.ROLE, such as 3.q or 3.up.5";
            Error::input(format!("{text:?} {what}"))
        };
        let number = |part: &str| part.parse::<usize>().map_err(|_| wrong());
        let mut parts = text.split('.');
        let (layer, role) = parts.next().zip(parts.next()).ok_or_else(wrong)?;
        let (layer, role) = (number(layer)?, role.parse()?);
        let expert = parts.next().map(number).transpose()?;
        if parts.next().is_some() { Err(wrong()) } else { Ok(Self { layer, role, expert }) }
    }
}

impl DecoderConfig {
    /// The matrices of all blocks, in the order of a pass; routers among experts are none of them.
    #[must_use]
    pub fn linears(&self) -> Vec<LinearAt> {
        (0..self.layers).flat_map(|layer| self.linears_of(layer)).collect()
    }

    /// Those of one block.
    #[must_use]
    pub fn linears_of(&self, layer: usize) -> Vec<LinearAt> {
        let experts = match self.mlp {
            MlpKind::Experts { count, .. } => (0..count).map(Some).collect(),
            MlpKind::Gated | MlpKind::Plain => vec![None],
        };
        let (attention, mlp) = LinearRole::ALL.split_at(4);
        let mlp =
            mlp.iter().filter(|&&role| role != LinearRole::Gate || self.mlp != MlpKind::Plain);
        let mlp = experts
            .into_iter()
            .flat_map(|expert| mlp.clone().map(move |&role| LinearAt { layer, role, expert }));
        attention.iter().map(|&role| LinearAt::new(layer, role)).chain(mlp).collect()
    }

    /// Outputs and inputs of a linear.
    #[must_use]
    pub const fn linear_shape(&self, role: LinearRole) -> [usize; 2] {
        let (heads, kv_heads) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        match role {
            LinearRole::Q => [heads, self.d_model],
            LinearRole::K | LinearRole::V => [kv_heads, self.d_model],
            LinearRole::AttnOut => [self.d_model, heads],
            LinearRole::Gate | LinearRole::Up => [self.d_mlp, self.d_model],
            LinearRole::Down => [self.d_model, self.d_mlp],
        }
    }
}

impl Decoder {
    /// The matrix of a linear, `[outputs, inputs]`, row after row.
    ///
    /// ```no_run
    /// # fn main() -> massval_models::Result<()> {
    /// # let path = "model";
    /// # let device = burn::tensor::Device::flex();
    /// use massval_models::{LinearAt, LinearRole, Model};
    /// let model = Model::load(path.as_ref(), &device, burn::tensor::DType::F32, &mut |_, _| {})?;
    /// let mut rounded = model.decoder().clone();
    /// for at in rounded.config().linears() {
    ///     let weight: Vec<f32> = rounded.linear_weight(at)?;
    ///     let coarse: Vec<f32> = weight.iter().map(|x| (x * 16.0).round() / 16.0).collect();
    ///     rounded.set_linear_weight(at, &coarse)?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Input`] if there is no such linear, or the blocks are [streamed](Self::is_streamed);
    /// [`Error::Device`] if it cannot be read back.
    pub fn linear_weight(&self, at: LinearAt) -> Result<Vec<f32>> {
        let block = self.blocks.get(at.layer).ok_or_else(|| self.no_linear(at))?;
        let linear = block.linear(at).ok_or_else(|| self.no_linear(at))?;
        read(linear)
    }

    /// Puts another matrix, `[outputs, inputs]`, in a linear's place; it is rounded to the decoder's
    /// [type](Self::dtype).
    ///
    /// A clone of a decoder shares its weights until they are replaced: two decoders that differ in a
    /// few linears take little more memory than one.
    ///
    /// # Errors
    /// [`Error::Input`] if there is no such linear, the size is another, or the blocks are
    /// [streamed](Self::is_streamed).
    pub fn set_linear_weight(&mut self, at: LinearAt, values: &[f32]) -> Result<()> {
        let (missing, device, dtype) = (self.no_linear(at), self.device(), self.dtype());
        let block = self.blocks.get_mut(at.layer);
        let Some(linear) = block.and_then(|block| block.linear_mut(at)) else {
            return Err(missing);
        };
        write(linear, at, values, &device, dtype)
    }

    fn no_linear(&self, at: LinearAt) -> Error {
        Error::input(match self.is_streamed() {
            true => format!("linear {at}: the blocks are not in memory; load the whole model"),
            false => format!("there is no linear {at} in a model of {} layers", self.config.layers),
        })
    }
}

impl Block {
    /// The linear of that role and expert; the layer is this block's.
    pub(crate) fn linear(&self, at: LinearAt) -> Option<&Linear> {
        let attention = &self.attention;
        match at.role {
            _ if at.expert.is_some() && at.role < LinearRole::Gate => None,
            LinearRole::Q => Some(&attention.q),
            LinearRole::K => Some(&attention.k),
            LinearRole::V => Some(&attention.v),
            LinearRole::AttnOut => Some(&attention.out),
            role => {
                let Dense { gate, up, down, activation: _ } = match (&self.mlp, at.expert) {
                    (Mlp::One(dense), None) => dense,
                    (Mlp::Experts(experts), Some(expert)) => experts.experts.get(expert)?,
                    _ => return None,
                };
                match role {
                    LinearRole::Gate => gate.as_ref(),
                    LinearRole::Up => Some(up),
                    _ => Some(down),
                }
            }
        }
    }

    pub(crate) fn linear_mut(&mut self, at: LinearAt) -> Option<&mut Linear> {
        let attention = &mut self.attention;
        match at.role {
            _ if at.expert.is_some() && at.role < LinearRole::Gate => None,
            LinearRole::Q => Some(&mut attention.q),
            LinearRole::K => Some(&mut attention.k),
            LinearRole::V => Some(&mut attention.v),
            LinearRole::AttnOut => Some(&mut attention.out),
            role => {
                let Dense { gate, up, down, activation: _ } = match (&mut self.mlp, at.expert) {
                    (Mlp::One(dense), None) => dense,
                    (Mlp::Experts(experts), Some(expert)) => experts.experts.get_mut(expert)?,
                    _ => return None,
                };
                match role {
                    LinearRole::Gate => gate.as_mut(),
                    LinearRole::Up => Some(up),
                    _ => Some(down),
                }
            }
        }
    }
}

/// `[outputs, inputs]` of a linear, which is kept the other way round.
pub(crate) fn read(linear: &Linear) -> Result<Vec<f32>> {
    let weight = linear.weight.val();
    let [inputs, outputs] = weight.dims();
    let values = floats(weight.transpose())?;
    debug_assert_eq!(values.len(), inputs * outputs);
    Ok(values)
}

pub(crate) fn write(
    linear: &mut Linear,
    at: LinearAt,
    values: &[f32],
    device: &Device,
    dtype: DType,
) -> Result<()> {
    let [inputs, outputs] = linear.weight.val().dims();
    if values.len() != inputs * outputs {
        return Err(Error::input(format!(
            "linear {at}: {} values for {outputs} outputs of {inputs} inputs",
            values.len()
        )));
    }
    // Laid out as it is kept, so that products read it as they read every other matrix.
    let mut turned = vec![0.0; values.len()];
    for (output, row) in values.chunks_exact(inputs.max(1)).enumerate() {
        for (input, &value) in row.iter().enumerate() {
            turned[input * outputs + output] = value;
        }
    }
    let data = TensorData::new(turned, [inputs, outputs]);
    let weight = Tensor::<2>::from_data(data, (device, DType::F32)).cast(dtype);
    linear.weight = Param::from_tensor(weight);
    Ok(())
}

/// The values of a tensor, in f32.
pub(crate) fn floats<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>> {
    let device = x.device();
    let failed = |what: String| Error::Device { device: format!("{device:?}"), what };
    let data = x.cast(DType::F32).try_into_data().map_err(|error| failed(error.to_string()))?;
    data.try_into_vec::<f32>().map_err(|error| failed(format!("{error:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for text in ["0.q", "12.attn_out", "3.down.7"] {
            assert_eq!(text.parse::<LinearAt>().unwrap().to_string(), text);
        }
        for text in ["", "q", "1.x", "1.q.2.3", "-1.q", "1.q."] {
            assert!(text.parse::<LinearAt>().is_err(), "{text}");
        }
    }
}
