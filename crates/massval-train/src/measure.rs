//! What a model knows and where its norms are, in the middle of training.

use std::collections::BTreeMap;

use massval_data::language::{
    Language, SmallConflict, SmallConflictOptions, SmallFacts, SmallFactsOptions, SmallKeyValue,
    SmallKeyValueOptions, SmallPasskey, SmallPasskeyOptions, Split,
};
use massval_data::{Dataset, Item};
use massval_detect::activations::MassiveActivationRule;
use massval_detect::tensor::{TensorNormAccumulator, locate_tensor};
use massval_detect::{Criterion, TokenSelection, summarize};
use massval_disrupt::{Disruptor, Intervention, Operator, PromptInfo, Selection, Target};
use massval_hooks::{Activation, At, Hook, HookFailure, HookSet, Site};
use massval_models::{Batch, Decoder, LogitsAt, cross_entropy};
use serde::{Deserialize, Serialize};

use crate::{Result, TrainConfig};

/// Factors of the head's mean at which massive values are counted.
pub(crate) const LAMBDAS: [f64; 5] = [2.0, 3.0, 4.0, 5.0, 7.0];
/// Rows for norms and loss, from a place that no training comes to.
const ROWS: usize = 16;
const FIRST_ROW: usize = 1 << 40;
/// Items in one pass.
const AT_ONCE: usize = 32;

/// What a model was like after so many steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Measurement {
    /// Steps made.
    pub step: usize,
    /// Nats per token, on rows that no training sees.
    pub loss: f64,
    /// The tasks, contextual ones first.
    pub tasks: Vec<Accuracy>,
    /// The same with channels of Q and K disrupted, the largest and drawn ones; nothing if the config asks for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disrupted: Vec<DisruptedTasks>,
    /// Q, K and V of each layer, before and after rotation.
    pub sites: Vec<SiteMeasure>,
    /// The largest absolute value of the residual stream, of each layer.
    pub largest_activation: Vec<f32>,
    /// The median absolute value there: the mean over rows.
    pub median_activation: Vec<f32>,
    /// Massive activations by the rule of 2402.17762, in all rows and layers.
    pub massive_activations: usize,
}

/// The tasks while channels of each head of Q and K, after rotation where there is one, hold their joint mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DisruptedTasks {
    /// The channels, as [`Selection`] prints: `top-k:8`, `random-k:8`.
    pub selection: String,
    /// The tasks, as [`Measurement::tasks`].
    pub tasks: Vec<Accuracy>,
}

/// How many items of a task were answered right, token for token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Accuracy {
    /// The task.
    pub task: String,
    /// Whether the answer is in the context; else it can only come from the weights.
    pub contextual: bool,
    /// Items asked.
    pub items: usize,
    /// Items answered right.
    pub correct: usize,
}

/// The channel norms of a site of a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SiteMeasure {
    /// The layer, from 0.
    pub layer: usize,
    /// `q`, `k`, `v`, `rot_q`, `rot_k`.
    pub site: String,
    /// The largest norm over its head's mean.
    pub top_ratio: f32,
    /// Of each head, the largest norm over the mean; their mean.
    pub mean_top_ratio: f32,
    /// Massive values at lambda 2, 3, 4, 5 and 7.
    pub massive: [usize; 5],
    /// Share of squared norm in the slower half of the rotary pairs.
    pub low_frequency_share: Option<f64>,
}

/// The items that are asked again and again.
#[derive(Debug)]
pub(crate) struct Questions {
    tasks: Vec<Task>,
    /// A token before every prompt.
    sink: Option<u32>,
    /// Channels of each head that are disrupted, and the seed of those that are drawn.
    disrupted: usize,
    seed: u64,
}

#[derive(Debug)]
struct Task {
    name: &'static str,
    contextual: bool,
    /// Prompt and answer.
    items: Vec<(Vec<u32>, Vec<u32>)>,
}

impl Questions {
    /// The tasks for which the language has items; so many of each.
    pub(crate) fn new(
        language: &Language,
        config: &TrainConfig,
        sink: Option<u32>,
    ) -> Result<Self> {
        let (tokens, pairs) = (config.language.sequence, config.language.pairs);
        let passkey = |split| {
            let options = SmallPasskeyOptions { split, tokens, ..SmallPasskeyOptions::default() };
            SmallPasskey::new(language, options)
        };
        let key_value = |split| {
            let options = SmallKeyValueOptions { split, pairs, ..SmallKeyValueOptions::default() };
            SmallKeyValue::new(language, options)
        };
        let facts = SmallFacts::new(
            language,
            SmallFactsOptions { wrong: 1, ..SmallFactsOptions::default() },
        )?;
        let conflict = SmallConflict::new(language, SmallConflictOptions::default());
        let mut tasks = Vec::new();
        let mut add = |name, contextual, set: Option<&dyn Dataset>| -> Result<()> {
            let Some(set) = set else { return Ok(()) };
            let mut items = Vec::new();
            for index in 0..config.measure_items.min(set.len().unwrap_or(usize::MAX)) {
                items.extend(encoded(language, &set.item(index)?, tokens)?);
            }
            if !items.is_empty() {
                tasks.push(Task { name, contextual, items });
            }
            Ok(())
        };
        let trained = passkey(Split::Trained)?;
        add("passkey", true, Some(&trained))?;
        add("passkey-held-out", true, passkey(Split::HeldOut).ok().as_ref().map(|set| set as _))?;
        let trained = key_value(Split::Trained)?;
        add("key-value", true, Some(&trained))?;
        add("key-value-held-out", true, key_value(Split::HeldOut).ok().as_ref().map(|s| s as _))?;
        add("conflict", true, conflict.ok().as_ref().map(|set| set as _))?;
        add("facts", false, Some(&facts))?;
        Ok(Self { tasks, sink, disrupted: config.measure_disrupted, seed: config.seed })
    }

    fn ask(&self, decoder: &Decoder) -> Result<Vec<Accuracy>> {
        self.tasks.iter().map(|task| self.ask_task(decoder, task, None)).collect()
    }

    /// Asks again under each intervention. The answer is read together with the prompt, so the norms that decide and
    /// the mean that is written are those of both.
    fn ask_disrupted(&self, decoder: &Decoder) -> Result<Vec<DisruptedTasks>> {
        let k = self.disrupted;
        if k == 0 {
            return Ok(Vec::new());
        }
        let target = massval_eval::target(decoder)?;
        let disrupted = |selection: Selection| {
            let mut disruptor = self.disruptor(selection.clone(), &target)?;
            let tasks = self.tasks.iter();
            let tasks = tasks.map(|task| self.ask_task(decoder, task, Some(&mut disruptor)));
            let tasks = tasks.collect::<Result<_>>()?;
            Ok(DisruptedTasks { selection: selection.to_string(), tasks })
        };
        [Selection::top(k), Selection::RandomK { k }].into_iter().map(disrupted).collect()
    }

    fn disruptor(&self, selection: Selection, target: &Target) -> Result<Disruptor> {
        let sites = match target.bands {
            Some(_) => [Site::RotQ, Site::RotK],
            None => [Site::Q, Site::K],
        };
        let intervention = Intervention::new(Operator::JointMean, selection);
        Ok(Disruptor::new(intervention.at(&sites).seeded(self.seed), target)?)
    }

    fn ask_task(
        &self,
        decoder: &Decoder,
        task: &Task,
        mut disruptor: Option<&mut Disruptor>,
    ) -> Result<Accuracy> {
        let mut correct = 0;
        for (nth, items) in task.items.chunks(AT_ONCE).enumerate() {
            let rows: Vec<Vec<u32>> = items
                .iter()
                .map(|(prompt, answer)| {
                    let read = answer.iter().take(answer.len() - 1);
                    self.sink.iter().chain(prompt).chain(read).copied().collect()
                })
                .collect();
            let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
            let longest = items.iter().map(|(_, answer)| answer.len()).max().unwrap_or(1);
            let batch = Batch::left_padded(&rows)?;
            let mut hooks = HookSet::new(decoder.hook_points());
            if let Some(disruptor) = disruptor.as_deref_mut() {
                let item = |row| PromptInfo { key: (nth * AT_ONCE + row) as u64, evidence: None };
                disruptor.begin(&(0..items.len()).map(item).collect::<Vec<_>>());
                let points = disruptor.points();
                hooks.add_at(&points, disruptor)?;
            }
            let from = LogitsAt::From(batch.seq() - longest);
            let logits = decoder.forward(&batch, None, &mut hooks, from)?;
            hooks.finish()?;
            let Some(logits) = logits else { continue };
            let chosen = logits.argmax(2).into_data().convert::<i64>();
            let chosen = chosen.try_into_vec::<i64>().unwrap_or_default();
            for ((_, answer), chosen) in items.iter().zip(chosen.chunks(longest)) {
                let last = &chosen[longest - answer.len()..];
                correct += usize::from(last.iter().zip(answer).all(|(&a, &b)| a == i64::from(b)));
            }
        }
        let (items, contextual) = (task.items.len(), task.contextual);
        Ok(Accuracy { task: task.name.to_owned(), contextual, items, correct })
    }
}

/// Prompt and right answer; `None` if they are longer than the model's positions.
fn encoded(language: &Language, item: &Item, most: usize) -> Result<Option<(Vec<u32>, Vec<u32>)>> {
    let vocabulary = language.vocabulary();
    let Some(choice) = item.choices.first() else { return Ok(None) };
    let prompt = vocabulary.ids(&item.prompt)?;
    let prompt: Vec<u32> =
        std::iter::once(massval_data::language::Vocabulary::BOS).chain(prompt).collect();
    let answer = vocabulary.ids(choice.text.trim())?;
    let fits = !answer.is_empty() && prompt.len() + answer.len() - 1 <= most;
    Ok(fits.then_some((prompt, answer)))
}

/// Measures a decoder that is not on the tape.
pub(crate) fn measure(
    decoder: &Decoder,
    language: &Language,
    questions: &Questions,
    step: usize,
) -> Result<Measurement> {
    let rows = language.rows(FIRST_ROW, ROWS)?;
    let sink = questions.sink;
    let inputs = inputs(&rows.ids, rows.sequence, sink);
    let slices: Vec<&[u32]> = inputs.iter().map(Vec::as_slice).collect();
    let batch = Batch::left_padded(&slices)?;
    let mut watch = Watch::default();
    let mut hooks = HookSet::new(decoder.hook_points());
    let rotary = decoder.config().rope().is_some();
    let sites: &[&str] = match rotary {
        true => &["q", "k", "v", "rot_q", "rot_k", "resid_post"],
        false => &["q", "k", "v", "resid_post"],
    };
    hooks.add(sites, &mut watch)?;
    let logits =
        decoder.forward(&batch, None, &mut hooks, LogitsAt::From(usize::from(sink.is_some())))?;
    hooks.finish()?;
    let targets = targets(&rows.ids, rows.sequence);
    let Some(logits) = logits else { unreachable!("logits were asked for") };
    let loss = cross_entropy(logits, &targets, &vec![1.0; targets.len()])?;
    Ok(Measurement {
        step,
        loss: f64::from(loss.into_scalar::<f32>()),
        tasks: questions.ask(decoder)?,
        disrupted: questions.ask_disrupted(decoder)?,
        sites: watch.sites(decoder)?,
        largest_activation: watch.largest.values().copied().collect(),
        median_activation: watch.medians.values().map(|sum| sum / ROWS as f32).collect(),
        massive_activations: watch.massive,
    })
}

/// What the model reads of each row: all but the last token, after the sink token.
pub(crate) fn inputs(ids: &[u32], sequence: usize, sink: Option<u32>) -> Vec<Vec<u32>> {
    let row = |row: &[u32]| sink.iter().chain(&row[..sequence]).copied().collect();
    ids.chunks_exact(sequence + 1).map(row).collect()
}

/// What it is to predict: all but the first token of each row.
pub(crate) fn targets(ids: &[u32], sequence: usize) -> Vec<u32> {
    ids.chunks_exact(sequence + 1).flat_map(|row| row[1..].iter().copied()).collect()
}

#[derive(Default)]
struct Watch {
    norms: BTreeMap<(usize, Site), TensorNormAccumulator>,
    largest: BTreeMap<usize, f32>,
    medians: BTreeMap<usize, f32>,
    massive: usize,
}

impl Hook for Watch {
    fn name(&self) -> &str {
        "norms"
    }

    fn apply(&mut self, at: &At<'_>, x: Activation) -> Result<Activation, HookFailure> {
        let (layer, tokens) = (at.point.layer.unwrap_or_default(), TokenSelection::all());
        if at.point.site == Site::ResidPost {
            let rule = MassiveActivationRule::default();
            for record in locate_tensor(x.as_hidden()?.clone(), &tokens, rule)? {
                let largest = self.largest.entry(layer).or_default();
                *largest = largest.max(record.max);
                *self.medians.entry(layer).or_default() += record.median;
                self.massive += record.hits.len();
            }
            return Ok(x);
        }
        let heads = x.as_heads()?.clone();
        let [_, count, _, dim] = heads.dims();
        let sums = self.norms.entry((layer, at.point.site));
        let sums = sums.or_insert_with(|| TensorNormAccumulator::new(count, dim));
        sums.push(heads, at.start, &tokens)?;
        Ok(x)
    }
}

impl Watch {
    fn sites(&self, decoder: &Decoder) -> Result<Vec<SiteMeasure>> {
        let config = decoder.config();
        let bands = config.rope().map(|rope| rope.bands(config.head_dim)).transpose()?;
        let mut measures = Vec::new();
        for ((layer, site), sums) in &self.norms {
            let norms = sums.finish()?;
            let bands = bands.as_ref().filter(|_| *site != Site::V);
            let count = |lambda| Criterion::HeadMean { lambda }.find(&norms).len();
            let summary = summarize(*layer, site.name(), &norms, &[], bands)?;
            let ratios = (0..norms.heads()).map(|head| {
                let row = norms.head(head).unwrap_or_default();
                let mean = row.iter().sum::<f32>() / row.len().max(1) as f32;
                let top = row.iter().copied().fold(0.0, f32::max);
                if mean > 0.0 { top / mean } else { 0.0 }
            });
            measures.push(SiteMeasure {
                layer: *layer,
                site: site.name().to_owned(),
                top_ratio: summary.top_ratio,
                mean_top_ratio: ratios.sum::<f32>() / norms.heads().max(1) as f32,
                massive: LAMBDAS.map(count),
                low_frequency_share: summary.low_frequency_share,
            });
        }
        Ok(measures)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::tensor::{DType, Device};
    use massval_models::Model;

    use super::*;

    /// What docs/training.md says of `rope-small`: two channels of each head take key-value retrieval away, and two
    /// others do not.
    #[test]
    fn the_largest_channels_of_rope_small_hold_what_it_reads() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/rope-small");
        let config = std::fs::read_to_string(folder.join("train.json")).unwrap();
        let config: TrainConfig = serde_json::from_str(&config).unwrap();
        let config = TrainConfig { measure_items: 32, measure_disrupted: 2, ..config };
        let language = Language::new(config.language.clone()).unwrap();
        let questions = Questions::new(&language, &config, None).unwrap();
        let model = Model::load(&folder, &Device::flex(), DType::F32, &mut |_, _| {}).unwrap();

        let right = |tasks: &[Accuracy], name: &str| {
            let task = tasks.iter().find(|accuracy| accuracy.task == name).unwrap();
            assert_eq!(task.items, 32);
            task.correct
        };
        let whole = questions.ask(model.decoder()).unwrap();
        let disrupted = questions.ask_disrupted(model.decoder()).unwrap();
        let [top, random] = disrupted.as_slice() else { panic!("{disrupted:?}") };
        assert_eq!([&top.selection, &random.selection], ["top-k:2", "random-k:2"]);
        assert!(right(&whole, "key-value") > 30, "{whole:?}");
        assert!(right(&top.tasks, "key-value") < 16, "{top:?}");
        assert!(right(&random.tasks, "key-value") > 26, "{random:?}");
        assert!(right(&top.tasks, "facts") > 30, "{top:?}");
        assert_eq!(random, &questions.ask_disrupted(model.decoder()).unwrap()[1]);
    }
}
