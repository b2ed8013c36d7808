//! The hook that carries out an intervention.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::{Bool, Device, Tensor};
use massval_detect::{ChannelNorms, RopeBands};
use massval_hooks::{Activation, At, Hook, HookFailure, HookPoint, Phase, Site};

use crate::fill::{self, Columns, Prompt};
use crate::place::Positions;
use crate::plan::{HeadPlan, Plan};
use crate::values::{Draws, Values};
use crate::{Intervention, Result, Selection, SiteTally, Target, When};

/// An intervention bound to a model: a hook to be added at [`Disruptor::points`].
///
/// While a prompt is read it computes the channel norms of each sequence of the batch on its own
/// (padding left out), selects channels and writes. For generated tokens it writes what the prompt
/// decided.
#[derive(Debug)]
pub struct Disruptor {
    intervention: Intervention,
    name: String,
    plan: Plan,
    head_dim: usize,
    bands: Option<RopeBands>,
    prompts: Vec<PromptInfo>,
    held: BTreeMap<HookPoint, Held>,
    tally: BTreeMap<Site, SiteTally>,
}

/// What an intervention may want to know of a prompt, beyond its activations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PromptInfo {
    /// Number that random draws depend on, so that they do not depend on how prompts are batched.
    pub key: u64,
    /// The prompt's tokens that hold the evidence, padding not counted.
    pub evidence: Option<Range<usize>>,
}

/// What a prompt decided for the tokens generated after it.
#[derive(Debug)]
struct Held {
    selected: Tensor<4, Bool>,
    /// Row-major `[rows, heads, head_dim]`.
    chosen: Vec<bool>,
    dims: [usize; 4],
    values: Values,
    /// Tokens of each prompt.
    counts: Vec<usize>,
    /// Columns of the pass over the prompt.
    columns: usize,
}

impl Disruptor {
    /// The intervention for a model of this shape.
    ///
    /// # Errors
    /// [`Error::OutOfRange`](crate::Error::OutOfRange) for a layer, head or channel that the model does not have,
    /// [`Error::Parameter`](crate::Error::Parameter) for a `k` that a head cannot meet, [`Error::Contradiction`](crate::Error::Contradiction) for parts that
    /// exclude each other, [`Error::SelectsNothing`](crate::Error::SelectsNothing) for a list that names nothing at its sites.
    pub fn new(intervention: Intervention, target: &Target) -> Result<Self> {
        let plan = Plan::new(&intervention, target)?;
        Ok(Self {
            name: format!("disrupt: {intervention}"),
            plan,
            head_dim: target.head_dim,
            bands: target.bands.clone().filter(|_| intervention.partner),
            intervention,
            prompts: Vec::new(),
            held: BTreeMap::new(),
            tally: BTreeMap::new(),
        })
    }

    /// What it does.
    #[must_use]
    pub fn intervention(&self) -> &Intervention {
        &self.intervention
    }

    /// Where it has to be added.
    #[must_use]
    pub fn points(&self) -> Vec<HookPoint> {
        self.plan.at.keys().copied().collect()
    }

    /// Announces the sequences of the next batch, in order, and forgets the last one's. Without it
    /// sequences are told apart by their place in the batch, and have no evidence.
    pub fn begin(&mut self, prompts: &[PromptInfo]) {
        self.prompts = prompts.to_vec();
        self.held.clear();
    }

    /// What it did since this was last asked, by site.
    pub fn take_tally(&mut self) -> Vec<SiteTally> {
        std::mem::take(&mut self.tally).into_values().collect()
    }

    fn prompt(&self, row: usize) -> PromptInfo {
        let unknown = || PromptInfo { key: row as u64, evidence: None };
        self.prompts.get(row).cloned().unwrap_or_else(unknown)
    }

    fn prefill(&mut self, at: &At<'_>, x: Tensor<4>) -> Result<Tensor<4>, HookFailure> {
        let [rows, heads, seq, head_dim] = x.dims();
        if !self.prompts.is_empty() && self.prompts.len() != rows {
            let said = self.prompts.len();
            return Err(format!("{said} prompts were announced, the batch has {rows}").into());
        }
        let columns = Columns::new(rows, seq, at.mask)?;
        let prompt = Prompt::new(&x, &columns);
        let device = x.device();
        let dims = [rows, heads, seq, head_dim];
        if let Selection::PerPosition { k } = self.intervention.selection {
            let chosen = self.choose_per_position(at.point, &prompt, &columns, dims, k)?;
            let selected = fill::mask(chosen, [rows, 1, seq, head_dim], &device);
            let values = Values::of(self.intervention.operator, &prompt, &selected)?;
            let draws = self.draws(at, &columns, dims, vec![0; rows]);
            let values = values.over_prompt(&x, &[], &draws);
            return self.write(at.point, x, &selected, values, &columns);
        }

        let chosen = self.choose(at.point, &prompt, &columns, dims)?;
        let selected = fill::mask(chosen.clone(), [rows, heads, 1, head_dim], &device);
        let values = Values::of(self.intervention.operator, &prompt, &selected)?;
        let written = match self.intervention.when {
            When::Decode => x,
            _ => {
                let draws = self.draws(at, &columns, dims, vec![0; rows]);
                let values = values.over_prompt(&x, &chosen, &draws);
                self.write(at.point, x, &selected, values, &columns)?
            }
        };
        if self.intervention.when != When::Prefill {
            let counts = columns.counts();
            let held = Held { selected, chosen, dims, values, counts, columns: seq };
            self.held.insert(at.point, held);
        }
        Ok(written)
    }

    /// Writes into the prompt, at the positions that are meant.
    fn write(
        &mut self,
        point: HookPoint,
        x: Tensor<4>,
        selected: &Tensor<4, Bool>,
        values: Tensor<4>,
        columns: &Columns,
    ) -> Result<Tensor<4>, HookFailure> {
        let dims = x.dims();
        let mask = match self.positions(point, columns, &x.device())? {
            Some(positions) => selected.clone().expand(dims).bool_and(positions.expand(dims)),
            None => selected.clone(),
        };
        Ok(fill::write(x, mask, values))
    }

    /// Row-major `[rows, heads, head_dim]`, true where a channel is selected.
    fn choose(
        &mut self,
        point: HookPoint,
        prompt: &Prompt<'_>,
        columns: &Columns,
        [rows, heads, _, head_dim]: [usize; 4],
    ) -> Result<Vec<bool>, HookFailure> {
        let plan = self.plan.at.get(&point).cloned().unwrap_or_default();
        if plan.len() != heads || head_dim != self.head_dim {
            return Err(format!(
                "{heads} heads of {head_dim} channels; the intervention is for {} of {}",
                plan.len(),
                self.head_dim
            )
            .into());
        }
        let norms = prompt.norms()?;
        let counts = columns.counts();
        let mut chosen = vec![false; rows * heads * head_dim];
        let per_row = heads * head_dim;
        for (row, norms) in norms.chunks_exact(per_row).enumerate() {
            let norms = ChannelNorms::new(heads, head_dim, counts[row] as u64, norms.to_vec())?;
            let by_norm = match self.intervention.selection {
                Selection::Channels { .. } => vec![Vec::new(); heads],
                _ => self.intervention.selection.choose(&norms, point, self.intervention.seed),
            };
            for (head, plan) in plan.iter().enumerate() {
                let mut channels = match plan {
                    HeadPlan::Skip => continue,
                    HeadPlan::Choose => by_norm.get(head).cloned().unwrap_or_default(),
                    HeadPlan::Listed(channels) => channels.clone(),
                };
                if let Some(bands) = &self.bands {
                    let partners: Vec<usize> =
                        channels.iter().filter_map(|&channel| bands.partner(channel)).collect();
                    channels.extend(partners);
                    channels.sort_unstable();
                    channels.dedup();
                }
                self.count(point.site, &channels, norms.head(head).unwrap_or_default());
                let start = row * per_row + head * head_dim;
                for channel in channels {
                    if let Some(cell) = chosen.get_mut(start + channel) {
                        *cell = true;
                    }
                }
            }
        }
        Ok(chosen)
    }

    /// The axis bug: row-major `[rows, seq, head_dim]`, the largest norms over the heads.
    fn choose_per_position(
        &mut self,
        point: HookPoint,
        prompt: &Prompt<'_>,
        columns: &Columns,
        [rows, heads, seq, head_dim]: [usize; 4],
        k: usize,
    ) -> Result<Vec<bool>, HookFailure> {
        let norms = prompt.norms_over_heads()?;
        let mut chosen = vec![false; rows * seq * head_dim];
        for row in 0..rows {
            for column in columns.tokens(row) {
                let start = (row * seq + column) * head_dim;
                let Some(norms) = norms.get(start..start + head_dim) else { continue };
                let mut order: Vec<usize> = (0..head_dim).collect();
                order.sort_by(|&a, &b| norms[b].total_cmp(&norms[a]));
                order.truncate(k);
                for _ in 0..heads {
                    self.count(point.site, &order, norms);
                }
                for channel in order {
                    if let Some(cell) = chosen.get_mut(start + channel) {
                        *cell = true;
                    }
                }
            }
        }
        Ok(chosen)
    }

    fn count(&mut self, site: Site, channels: &[usize], norms: &[f32]) {
        let tally = self.tally.entry(site).or_insert_with(|| SiteTally::new(site));
        let square = |norm: &f32| f64::from(*norm).powi(2);
        let total: f64 = norms.iter().map(square).sum();
        let held: f64 = channels.iter().filter_map(|&channel| norms.get(channel)).map(square).sum();
        tally.heads += 1;
        tally.channels += channels.len() as u64;
        tally.share_sum += if total > 0.0 { held / total } else { 0.0 };
    }

    /// `[rows, 1, seq, 1]`, true where it writes; `None` for everywhere.
    fn positions(
        &mut self,
        point: HookPoint,
        columns: &Columns,
        device: &Device,
    ) -> Result<Option<Tensor<4, Bool>>, HookFailure> {
        let mut written = 0u64;
        let mut mask = vec![false; columns.rows * columns.seq];
        for (row, count) in columns.counts().into_iter().enumerate() {
            let prompt = self.prompt(row);
            if self.intervention.positions == Positions::Evidence && prompt.evidence.is_none() {
                return Err(format!(
                    "sequence {row} of the batch has no evidence; use positions `all`, or a task whose \
                     answer stands in the prompt"
                )
                .into());
            }
            let range = self.intervention.positions.range(count, prompt.evidence.as_ref());
            written += range.len() as u64;
            for column in columns.tokens(row).skip(range.start).take(range.len()) {
                if let Some(cell) = mask.get_mut(row * columns.seq + column) {
                    *cell = true;
                }
            }
        }
        if let Some(tally) = self.tally.get_mut(&point.site) {
            tally.tokens += written;
        }
        if self.intervention.positions == Positions::All {
            return Ok(None);
        }
        Ok(Some(fill::mask(mask, [columns.rows, 1, columns.seq, 1], device)))
    }

    fn decode(&mut self, at: &At<'_>, x: Tensor<4>) -> Result<Tensor<4>, HookFailure> {
        let Some(held) = self.held.remove(&at.point) else {
            return Err(
                "generated tokens without a prompt before them; read the prompt under the \
                        same hooks"
                    .into(),
            );
        };
        let [rows, heads, seq, head_dim] = x.dims();
        if [held.dims[0], held.dims[1], held.dims[3]] != [rows, heads, head_dim] {
            let prompts = held.dims[0];
            return Err(format!("a batch of {rows} after prompts in one of {prompts}").into());
        }
        let since = at.start.saturating_sub(held.columns);
        let before = held.counts.iter().map(|&count| (count + since) as u64).collect();
        let columns = Columns::new(rows, seq, at.mask)?;
        let draws = self.draws(at, &columns, [rows, heads, seq, head_dim], before);
        let values = held.values.after(&x, &held.chosen, &draws);
        let written = fill::write(x, held.selected.clone(), values);
        self.held.insert(at.point, held);
        Ok(written)
    }

    fn draws<'a>(
        &self,
        at: &At<'_>,
        columns: &'a Columns,
        dims: [usize; 4],
        before: Vec<u64>,
    ) -> Draws<'a> {
        let keys = (0..columns.rows).map(|row| self.prompt(row).key).collect();
        Draws { seed: self.intervention.seed, point: at.point, keys, before, columns, dims }
    }
}

impl Hook for Disruptor {
    fn name(&self) -> &str {
        &self.name
    }

    fn enters_cache(&self) -> bool {
        self.intervention.cached
    }

    fn apply(&mut self, at: &At<'_>, x: Activation) -> Result<Activation, HookFailure> {
        match at.phase {
            Phase::Prefill => Ok(Activation::Heads(self.prefill(at, x.into_heads()?)?)),
            Phase::Decode if self.intervention.when.holds(Phase::Decode) => {
                Ok(Activation::Heads(self.decode(at, x.into_heads()?)?))
            }
            Phase::Decode => Ok(x),
        }
    }
}
