//! Sequences led through the blocks side by side, by a caller who looks at what linears read and may
//! replace them on the way: how a model is calibrated, with one block in memory at a time.

use std::collections::BTreeMap;
use std::fmt;

use burn::tensor::Tensor;
use massval_hooks::HookSet;

use super::block::{Block, Halt};
use super::linears::{floats, read, write};
use super::pass::Turns;
use super::seen::Seen;
use super::{Batch, Decoder, LinearAt, LinearGroup, LinearRole};
use crate::{Error, Result};

/// Sequences under way through a decoder's blocks, all at the same place.
///
/// The place is before a block, or within one: at the input of a [group](LinearGroup) of linears. Whatever
/// is computed is computed once, with the matrices as they are when the walk [goes on](Self::go_on); the
/// decoder itself never changes.
///
/// ```no_run
/// # fn main() -> massval_models::Result<()> {
/// # let device = burn::tensor::Device::flex();
/// use massval_models::{Batch, Model};
/// # let model = Model::load("model".as_ref(), &device, burn::tensor::DType::F32, &mut |_, _| {})?;
/// let mut walk = model.decoder().walk(vec![Batch::single(&[1, 2, 3])?])?;
/// while walk.enter()? {
///     while let Some(group) = walk.group() {
///         for rows in walk.inputs() {
///             println!("{} {group:?} {}", walk.layer(), rows?.len());
///         }
///         walk.go_on()?;
///     }
/// }
/// # Ok(()) }
/// ```
///
/// # Memory
/// One block, and for each token of each sequence the residual stream and the widest input of a linear.
pub struct Walk<'d> {
    decoder: &'d Decoder,
    sequences: Vec<Batch>,
    /// Of each sequence; those of one length share them.
    turns: Vec<Turns>,
    layer: usize,
    place: Place,
}

enum Place {
    /// Before the block of `layer`, or behind the last one; a stream for each sequence.
    Before(Vec<Tensor<3>>),
    Within {
        block: Box<Block>,
        group: LinearGroup,
        halts: Vec<Halt>,
    },
}

impl fmt::Debug for Walk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sequences, layer, group) = (self.sequences.len(), self.layer, self.group());
        write!(f, "Walk {{ sequences: {sequences}, layer: {layer}, group: {group:?} }}")
    }
}

impl Decoder {
    /// Leads `sequences` through the blocks, from the first on.
    ///
    /// # Errors
    /// [`Error::Input`] if a token id is outside the vocabulary or a sequence outgrows the model's
    /// positions.
    pub fn walk(&self, sequences: Vec<Batch>) -> Result<Walk<'_>> {
        let begin = |batch: &Batch| {
            self.check(batch, None, 0)?;
            let mut hooks = HookSet::none();
            let mut pass = self.pass(batch, None, &mut hooks, Some(Turns::default()));
            self.enter(batch, &mut pass)
        };
        let streams = sequences.iter().map(begin).collect::<Result<_>>()?;
        let mut by_length: BTreeMap<usize, Turns> = BTreeMap::new();
        let turns = sequences.iter().map(|batch| {
            let (columns, kv_bias) =
                (batch.mask().map(<[bool]>::to_vec), self.config.attention.kv_bias);
            let seen = Seen::new(batch, columns, 0, kv_bias, &self.device());
            let new = || self.turns(&seen, batch.seq());
            match batch.mask() {
                Some(_) => new(),
                None => by_length.entry(batch.seq()).or_insert_with(new).clone(),
            }
        });
        let turns = turns.collect();
        Ok(Walk { decoder: self, sequences, turns, layer: 0, place: Place::Before(streams) })
    }
}

impl Walk<'_> {
    /// The block that the walk is in, or stands before.
    #[must_use]
    pub const fn layer(&self) -> usize {
        self.layer
    }

    /// Whose input the walk has come to; none between blocks.
    #[must_use]
    pub const fn group(&self) -> Option<LinearGroup> {
        match self.place {
            Place::Before(_) => None,
            Place::Within { group, .. } => Some(group),
        }
    }

    /// Goes into the next block, to the input of Q, K and V; `false` behind the last one.
    ///
    /// # Errors
    /// If the block cannot be read. [`Error::Input`] within a block: [go on](Self::go_on) to its end first.
    pub fn enter(&mut self) -> Result<bool> {
        let Place::Before(streams) = &mut self.place else {
            return Err(Error::input("the walk is within a block, and cannot enter another"));
        };
        if self.layer >= self.decoder.config.layers {
            return Ok(false);
        }
        let block = Box::new(self.decoder.block(self.layer)?);
        let streams = std::mem::take(streams);
        let mut halts = Vec::with_capacity(streams.len());
        for ((batch, turns), stream) in self.sequences.iter().zip(&self.turns).zip(streams) {
            let mut hooks = HookSet::none();
            let mut pass = self.decoder.pass(batch, None, &mut hooks, Some(turns.clone()));
            halts.push(block.to_attention(stream, self.layer, &mut pass)?);
        }
        self.place = Place::Within { block, group: LinearGroup::Qkv, halts };
        Ok(true)
    }

    /// What the group's linears read: for each sequence the rows `[tokens, inputs]`. Nothing between blocks.
    pub fn inputs(&self) -> impl Iterator<Item = Result<Vec<f32>>> {
        let halts = match &self.place {
            Place::Before(_) => &[],
            Place::Within { halts, .. } => halts.as_slice(),
        };
        halts.iter().map(|halt| floats(halt.input.clone()))
    }

    /// A matrix of the block, `[outputs, inputs]`, as it is now.
    ///
    /// # Errors
    /// [`Error::Input`] between blocks, and if there is no such linear.
    pub fn weight(&self, role: LinearRole) -> Result<Vec<f32>> {
        let at = LinearAt::new(self.layer, role);
        let linear = match &self.place {
            Place::Within { block, .. } => block.linear(at),
            Place::Before(_) => None,
        };
        read(linear.ok_or_else(|| missing(at))?)
    }

    /// Puts another matrix, `[outputs, inputs]`, in a linear's place, in this block's copy.
    ///
    /// # Errors
    /// [`Error::Input`] between blocks, and if there is no such linear or the size is another.
    pub fn set_weight(&mut self, role: LinearRole, values: &[f32]) -> Result<()> {
        let at = LinearAt::new(self.layer, role);
        let (device, dtype) = (self.decoder.device(), self.decoder.dtype());
        let linear = match &mut self.place {
            Place::Within { block, .. } => block.linear_mut(at),
            Place::Before(_) => None,
        };
        write(linear.ok_or_else(|| missing(at))?, at, values, &device, dtype)
    }

    /// Takes all sequences through the group's linears, to the input of the next group or out of the block.
    ///
    /// # Errors
    /// If the device fails. [`Error::Input`] between blocks.
    pub fn go_on(&mut self) -> Result<()> {
        let Place::Within { block, group, halts } = &mut self.place else {
            return Err(Error::input("the walk is between blocks: enter one first"));
        };
        let (mut next, mut streams) = (Vec::new(), Vec::new());
        let each = self.sequences.iter().zip(&self.turns).zip(std::mem::take(halts));
        for ((batch, turns), halt) in each {
            let mut hooks = HookSet::none();
            let mut pass = self.decoder.pass(batch, None, &mut hooks, Some(turns.clone()));
            let (layer, pass) = (self.layer, &mut pass);
            match group {
                LinearGroup::Qkv => next.extend(block.to_attn_out(halt, layer, pass, false)?),
                LinearGroup::AttnOut => next.push(block.to_mlp(halt, layer, pass)?),
                LinearGroup::GateUp => next.push(block.to_down(halt, layer, pass)?),
                LinearGroup::Down => streams.push(block.to_end(halt, layer, pass)?),
            }
        }
        let order = LinearGroup::ALL;
        match order.iter().position(|at| at == group).and_then(|at| order.get(at + 1)) {
            Some(&following) => {
                *group = following;
                *halts = next;
            }
            None => {
                self.layer += 1;
                self.place = Place::Before(streams);
            }
        }
        Ok(())
    }
}

fn missing(at: LinearAt) -> Error {
    Error::input(format!("linear {at} is none of the block that the walk is in"))
}
