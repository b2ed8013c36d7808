//! From records to what an experiment says: accuracies, further measures, comparisons.

use std::collections::BTreeMap;

use massval_disrupt::SiteTally;

use crate::diversity::{Words, ngram_diversity};
use crate::stats::{self, Bootstrap, Comparison, Interval, PairedTable, WindowLoss, mcnemar};
use crate::subject::Did;
use crate::{Arm, Column, End, Error, KvTally, Metric, Record, Result, Task};

/// The records of an experiment, reduced as they come: a few numbers for each item and arm.
#[derive(Debug, Default)]
pub struct Summary {
    cells: BTreeMap<(String, String), Vec<Reduced>>,
    did: BTreeMap<String, Did>,
}

/// What is kept of a record.
#[derive(Debug, Clone)]
struct Reduced {
    right: BTreeMap<&'static str, bool>,
    pair: Option<usize>,
    margin: Option<f64>,
    gold: Option<(f64, usize)>,
    own: Option<(f64, usize)>,
    diversity: Option<f64>,
    kl: Option<f64>,
    same_top: Option<bool>,
}

/// One arm on one column of a task.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CellSummary {
    /// Items.
    pub items: usize,
    /// Items that were right.
    pub right: usize,
    /// Their share, with Wilson's interval.
    pub accuracy: Interval,
    /// The same by the reference's rule, where it is another.
    pub reference: Option<(usize, Interval)>,
    /// Mean of the log-likelihood of the best right alternative less that of the best other one, nats.
    pub margin: Option<f64>,
    /// `exp` of the mean negative log-probability of the tokens of the right answer given the prompt.
    pub gold_perplexity: Option<Resampled>,
    /// Mean over the answers of the reference's perplexity of each: of its tokens but the first, without the
    /// prompt. Answers of one token are left out, as the reference leaves them out.
    pub own_perplexity: Option<Resampled>,
    /// Mean over the answers of the share of distinct word pairs, the reference's measure.
    pub diversity: Option<Resampled>,
    /// Mean KL divergence of the prediction after the prompt from the undisturbed one, nats.
    pub kl: Option<f64>,
    /// Share of items whose likeliest next token is the undisturbed model's.
    pub top1_agreement: Option<f64>,
}

/// A measure with its bootstrap interval over the items, or their pairs.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Resampled {
    /// The measure.
    pub value: f64,
    /// Its interval; `None` where there are fewer than five items, or an end is too large for a float.
    pub interval: Option<Interval>,
}

impl Resampled {
    /// `value` with its interval, if it is finite; `resample` is asked only if there are enough `items`.
    fn new(
        value: f64,
        items: usize,
        resample: impl FnOnce() -> Result<Interval, stats::Error>,
    ) -> Option<Self> {
        let enough = value.is_finite() && items >= FEWEST;
        let interval = enough.then(resample).and_then(Result::ok);
        value.is_finite().then_some(Self { value, interval })
    }
}

/// Items below which nothing is resampled: it would say nothing.
const FEWEST: usize = 5;

/// Length of the n-grams whose variety is measured: the reference's.
pub const DIVERSITY_N: usize = 2;

impl Summary {
    /// Adds a record.
    ///
    /// # Errors
    /// If the variety of its answer cannot be measured.
    pub fn push(&mut self, record: &Record) -> Result<()> {
        let metrics = [
            Metric::Strict,
            Metric::Reference,
            Metric::Memory,
            Metric::Likelihood,
            Metric::MemoryLikelihood,
        ];
        let right = metrics.iter().filter_map(|m| Some((m.name(), m.of(record)?))).collect();
        let first = record.choices.first();
        // An answer that was cut off where its score was decided says nothing of variety.
        let diversity = match &record.answer {
            Some(answer) if answer.end != End::Decided => {
                Some(ngram_diversity(&answer.text, DIVERSITY_N, Words::Treebank)?)
            }
            _ => None,
        };
        let own = record
            .answer
            .as_ref()
            .and_then(|answer| Some((answer.own_nll?, answer.tokens.saturating_sub(1))));
        let reduced = Reduced {
            right,
            pair: record.pair,
            margin: record.picks.as_ref().map(|picks| picks.sum.margin),
            gold: first.map(|choice| (-choice.log_prob, choice.tokens)),
            own,
            diversity,
            kl: record.kl,
            same_top: record.same_top,
        };
        let key = (record.task.clone(), record.arm.clone());
        self.cells.entry(key).or_default().push(reduced);
        self.did.entry(record.arm.clone()).or_default().add(&record.tally, record.kv);
        Ok(())
    }

    /// What an arm's intervention did, by site.
    #[must_use]
    pub fn tally(&self, arm: &str) -> &[SiteTally] {
        self.did.get(arm).map(|did| did.tally.as_slice()).unwrap_or_default()
    }

    /// What rounding the cache did in an arm.
    #[must_use]
    pub fn kv(&self, arm: &str) -> Option<KvTally> {
        self.did.get(arm).and_then(|did| did.kv)
    }

    /// Checks that every intervention did something.
    ///
    /// # Errors
    /// [`Error::Disrupt`] for one that selected nothing.
    pub fn check(&self, arms: &[Arm]) -> Result<()> {
        for arm in arms {
            if let Some(did) = self.did.get(&arm.name) {
                did.check(arm)?;
            }
        }
        Ok(())
    }

    fn items(&self, task: &Task<'_>, arm: &str) -> &[Reduced] {
        let key = (task.name.clone(), arm.to_owned());
        self.cells.get(&key).map(Vec::as_slice).unwrap_or_default()
    }

    /// An arm on a column; `None` if it was not run there.
    ///
    /// # Errors
    /// [`Error::Options`] if an item was not measured in the column's way.
    pub fn cell(
        &self,
        task: &Task<'_>,
        column: &Column,
        arm: &str,
        bootstrap: &Bootstrap,
    ) -> Result<Option<CellSummary>> {
        let items = self.items(task, arm);
        if items.is_empty() {
            return Ok(None);
        }
        let right = outcomes(items, column)?;
        let share = |right: &[bool]| -> Result<(usize, Interval)> {
            let hits = right.iter().filter(|right| **right).count();
            Ok((hits, stats::wilson(hits as u64, right.len() as u64, bootstrap.level)?))
        };
        let (hits, accuracy) = share(&right)?;
        let by_reference = match column.metric {
            Metric::Strict => {
                let right: Option<Vec<bool>> = items
                    .iter()
                    .map(|item| item.right.get(Metric::Reference.name()).copied())
                    .collect();
                right.map(|right| share(&right)).transpose()?
            }
            _ => None,
        };
        let mean = |value: &dyn Fn(&Reduced) -> Option<f64>| -> Option<f64> {
            let values: Option<Vec<f64>> = items.iter().map(value).collect();
            values.map(|values| values.iter().sum::<f64>() / values.len() as f64)
        };
        let gold: Option<Vec<WindowLoss>> = items
            .iter()
            .map(|item| item.gold.map(|(nll, tokens)| WindowLoss { nll, tokens }))
            .collect();
        let gold_perplexity = gold.and_then(|gold| {
            let nll: f64 = gold.iter().map(|answer| answer.nll).sum();
            let tokens: usize = gold.iter().map(|answer| answer.tokens).sum();
            let value = (nll / tokens.max(1) as f64).exp();
            Resampled::new(value, gold.len(), || stats::perplexity(&gold, bootstrap))
        });
        let resampled = |values: Vec<(f64, Option<usize>)>| {
            let (values, pairs): (Vec<f64>, Vec<Option<usize>>) = values.into_iter().unzip();
            let pairs: Option<Vec<usize>> = pairs.into_iter().collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let resample = || stats::mean(&values, pairs.as_deref(), bootstrap);
            Resampled::new(mean, values.len(), resample)
        };
        let own = |item: &Reduced| {
            let (nll, tokens) = item.own?;
            Some(((nll / tokens.max(1) as f64).exp(), item.pair))
        };
        let diversity: Option<Vec<_>> =
            items.iter().map(|item| Some((item.diversity?, item.pair))).collect();
        Ok(Some(CellSummary {
            items: items.len(),
            right: hits,
            accuracy,
            reference: by_reference,
            margin: mean(&|item| item.margin),
            gold_perplexity,
            own_perplexity: resampled(items.iter().filter_map(own).collect()),
            diversity: diversity.and_then(resampled),
            kl: mean(&|item| item.kl),
            top1_agreement: mean(&|item| item.same_top.map(|same| f64::from(u8::from(same)))),
        }))
    }

    /// Compares what two arms lose against a baseline on the same items; `None` if one was not run.
    ///
    /// # Errors
    /// What the statistics refuse.
    pub fn compare(
        &self,
        task: &Task<'_>,
        column: &Column,
        [baseline, arm, control]: [&str; 3],
        bootstrap: &Bootstrap,
    ) -> Result<Option<Compared>> {
        let of = |arm: &str| outcomes(self.items(task, arm), column);
        let (base, hit, other) = (of(baseline)?, of(arm)?, of(control)?);
        if base.is_empty() || hit.len() != base.len() || other.len() != base.len() {
            return Ok(None);
        }
        let pairs: Option<Vec<usize>> =
            self.items(task, arm).iter().map(|item| item.pair).collect();
        let number = |right: &[bool]| -> Vec<f64> {
            right.iter().map(|&right| f64::from(u8::from(right))).collect()
        };
        let effect = stats::compare_arms(
            &number(&base),
            &number(&hit),
            &number(&other),
            pairs.as_deref(),
            bootstrap,
        )?;
        let table = PairedTable::from_outcomes(&hit, &other)?;
        Ok(Some(Compared { effect, table, mcnemar: mcnemar(&table)?.exact }))
    }
}

/// Two arms on the same items.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Compared {
    /// Intervals, test and finding.
    pub effect: Comparison,
    /// Items by what the arm and its control made of them.
    pub table: PairedTable,
    /// McNemar's exact p.
    pub mcnemar: f64,
}

fn outcomes(items: &[Reduced], column: &Column) -> Result<Vec<bool>> {
    let right = |item: &Reduced| item.right.get(column.metric.name()).copied();
    let right: Option<Vec<bool>> = items.iter().map(right).collect();
    right.ok_or_else(|| {
        let (name, metric) = (&column.name, column.metric.name());
        Error::options(format!("{name} is scored by {metric}, but was not measured that way"))
    })
}
