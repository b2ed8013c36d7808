//! Running arms on tasks: batches of items, each prompt read once for each arm.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use massval_disrupt::{Intervention, Positions, PromptInfo, When};
use massval_models::tokenizer::Tokenizer;
use massval_models::{Decoder, GenerateOptions, Job, Model};

use crate::estimate::LOOKED_AT;
use crate::prompt::Prepared;
use crate::record::{Answer, End, Record};
use crate::score::{ChoiceScore, choose, decided, score};
use crate::session::{Session, divergence, top};
use crate::subject::{Did, Subject};
use crate::text::{TextWindow, score_window};
use crate::{Arm, Error, Result, Task};

/// Tasks and arms, and how they are run.
pub struct Experiment<'m> {
    /// The model.
    pub model: &'m Model,
    /// The tasks.
    pub tasks: Vec<Task<'m>>,
    /// The arms. KL and agreement compare with the first that leaves the model alone, and need it before the
    /// others.
    pub arms: Vec<Arm>,
    /// How they are run.
    pub options: RunOptions,
    /// The decoders of the arms that have weights of their own, by the arms' names.
    pub decoders: BTreeMap<String, &'m Decoder>,
}

/// How an experiment is run. Nothing here changes a result, but for rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunOptions {
    /// At most so many prompt tokens in a batch, padding included (one prompt may be longer).
    pub batch_tokens: usize,
    /// At most so many prompts in a batch.
    pub batch_rows: usize,
    /// Write every answer to its end, not only until its score is decided, and read it once more for the
    /// reference's perplexity.
    pub full_answers: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self { batch_tokens: 2048, batch_rows: 16, full_answers: false }
    }
}

impl RunOptions {
    /// With answers written to their end.
    #[must_use]
    pub fn with_full_answers(mut self, wanted: bool) -> Self {
        self.full_answers = wanted;
        self
    }
}

/// Records of a batch under one arm, and its log-probabilities of the token after each prompt.
type ArmRecords = (Vec<Record>, Vec<Vec<f32>>);

impl Experiment<'_> {
    /// The decoder that an arm is run on.
    ///
    /// # Errors
    /// [`Error::Options`] if the arm has weights of its own and nobody gave them, or the other way round.
    pub(crate) fn decoder(&self, arm: &Arm) -> Result<&Decoder> {
        match (&arm.weights, self.decoders.get(&arm.name)) {
            (None, None) => Ok(self.model.decoder()),
            (Some(_), Some(decoder)) => Ok(decoder),
            _ => Err(Error::options(format!(
                "arm {} and the decoder that was given for it are at odds over its weights",
                arm.name
            ))),
        }
    }

    /// How many items are asked for, over all tasks.
    #[must_use]
    pub fn items(&self) -> usize {
        self.tasks.iter().map(|task| task.items).sum()
    }

    /// Everything that decides the results, apart from the model: for the folder of a run.
    #[must_use]
    pub fn identity(&self) -> serde_json::Value {
        let tasks: serde_json::Map<_, _> =
            self.tasks.iter().map(|task| (task.name.clone(), task.identity())).collect();
        serde_json::json!({
            "tasks": tasks,
            "arms": self.arms,
            "full_answers": self.options.full_answers,
        })
    }

    /// After how many items, counted over all tasks, a batch ends.
    ///
    /// # Errors
    /// What making an item may meet.
    pub fn batch_ends(&self) -> Result<BTreeSet<usize>> {
        let tokenizer = self.model.tokenizer()?;
        let (mut ends, mut before) = (BTreeSet::new(), 0);
        for task in &self.tasks {
            let mut next = 0;
            while next < task.items {
                self.batch(task, tokenizer, &mut next, task.items)?;
                ends.insert(before + next);
            }
            before += task.items;
        }
        Ok(ends)
    }

    /// Checks that `record` is what stands at this place among the records of a run, counted from 0.
    ///
    /// # Errors
    /// [`Error::Folder`] naming `path` if it is not.
    pub fn expects(&self, number: usize, record: &Record, path: &Path) -> Result<()> {
        let arms = self.arms.len().max(1);
        let arm = self.arms.get(number % arms).map(|arm| arm.name.as_str());
        let mut index = number / arms;
        for task in &self.tasks {
            if index < task.items {
                if record.task == task.name && record.index == index && arm == Some(&record.arm) {
                    return Ok(());
                }
                break;
            }
            index -= task.items;
        }
        Err(Error::Folder {
            path: path.to_owned(),
            what: format!(
                "record {} of items.jsonl ({}, arm {}) is not this run's; use another folder",
                number + 1,
                record.id,
                record.arm
            ),
        })
    }

    /// Checks names, arms and every prompt's length, before anything is computed.
    ///
    /// # Errors
    /// [`Error::Options`] for names that are not unique or a missing task or arm; [`Error::Task`] for a
    /// prompt that does not fit the model; what interventions refuse.
    pub fn check(&self) -> Result<()> {
        self.check_first(usize::MAX)
    }

    /// The same, but of each task no more than the first 256 items, as [`estimate`](Self::estimate) takes
    /// them: of many items one does not prepare all just to learn how long they would take.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_some(&self) -> Result<()> {
        self.check_first(LOOKED_AT)
    }

    fn check_first(&self, most: usize) -> Result<()> {
        if self.tasks.is_empty() || self.arms.is_empty() {
            return Err(Error::options("an experiment needs at least one task and one arm"));
        }
        unique("task", self.tasks.iter().map(|task| task.name.as_str()))?;
        let columns = self.tasks.iter().flat_map(|task| &task.columns);
        unique("column", columns.map(|column| column.name.as_str()))?;
        unique("arm", self.arms.iter().map(|arm| arm.name.as_str()))?;
        for arm in &self.arms {
            Subject::new(self.decoder(arm)?, arm)?;
        }
        let decodes = self.tasks.iter().any(|task| task.ask.write > 1 || task.ask.compare);
        if let Some(arm) = self.arms.iter().find(|arm| acts(arm, |i| i.when == When::Decode))
            && !decodes
        {
            return Err(Error::options(format!(
                "arm {} acts on generated tokens alone, but no task reads one back; let answers have more \
                 tokens",
                arm.name
            )));
        }
        let tokenizer = self.model.tokenizer()?;
        let mut missed: Vec<&Intervention> =
            self.arms.iter().filter_map(|arm| arm.intervention.as_ref()).collect();
        for task in &self.tasks {
            for index in 0..task.items.min(most) {
                let prepared = self.prepare(task, tokenizer, index)?;
                let (tokens, evidence) = (prepared.tokens.len(), prepared.evidence.as_ref());
                missed.retain(|intervention| !intervention.reaches(tokens, evidence));
                let at_evidence = |i: &Intervention| i.positions == Positions::Evidence;
                if prepared.evidence.is_none()
                    && let Some(arm) = self.arms.iter().find(|arm| acts(arm, at_evidence))
                {
                    let what = format!(
                        "item {} has no evidence, which arm {} disrupts; use other positions, or a task \
                         whose answer stands in the prompt",
                        prepared.item.id, arm.name
                    );
                    return Err(Error::task(&task.name, what));
                }
            }
        }
        let all = self.tasks.iter().all(|task| task.items <= most);
        match missed.first().filter(|_| all) {
            Some(intervention) => Err(intervention.out_of_reach().into()),
            None => Ok(()),
        }
    }

    /// Runs every arm on every item from number `done` on (over all tasks, in order), and hands each batch's
    /// records to `record`: item by item, and of each item arm by arm. `progress` is told items done and
    /// items in all.
    ///
    /// # Errors
    /// [`Error::Disrupt`] for an intervention that selects nothing in the run's first batch, before anything
    /// else is computed; what the model, a set or `record` refuses; [`Error::NotFinite`] for logits that are
    /// none.
    pub fn run(
        &self,
        done: usize,
        record: &mut dyn FnMut(&[Record]) -> Result<()>,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<()> {
        let (mut finished, all) = (done, self.items());
        let mut skip = done;
        for arm in &self.arms {
            Subject::new(self.decoder(arm)?, arm)?; // before anything is computed
        }
        let tokenizer = self.model.tokenizer()?;
        progress(finished, all);
        for task in &self.tasks {
            let mut next = skip.min(task.items);
            skip -= next;
            while next < task.items {
                let batches = self.batches_at_once(task, tokenizer, &mut next)?;
                let records = self.run_batches(task, tokenizer, &batches, finished == 0)?;
                for (batch, records) in batches.iter().zip(&records) {
                    record(records)?;
                    finished += batch.len();
                }
                progress(finished, all);
            }
        }
        Ok(())
    }

    /// The next batches, as many as may be under way together: one, unless the model is streamed.
    fn batches_at_once(
        &self,
        task: &Task<'_>,
        tokenizer: &Tokenizer,
        next: &mut usize,
    ) -> Result<Vec<Vec<Prepared>>> {
        let mut batches: Vec<Vec<Prepared>> = Vec::new();
        let mut most = 0;
        while *next < task.items {
            let mut after = *next;
            let batch = self.batch(task, tokenizer, &mut after, task.items)?;
            most = most.max(self.working_bytes(&batch, task));
            let at_once = self.model.decoder().jobs_at_once(most) / self.arms.len().max(1);
            if !batches.is_empty() && batches.len() >= at_once {
                break;
            }
            batches.push(batch);
            *next = after;
        }
        Ok(batches)
    }

    /// Bytes that a batch holds under one arm: its cache, and logits.
    fn working_bytes(&self, batch: &[Prepared], task: &Task<'_>) -> u64 {
        let decoder = self.model.decoder();
        let (config, size) = (decoder.config(), decoder.dtype().size());
        let longest = batch.iter().map(|item| item.tokens.len()).max().unwrap_or(0);
        let choice = batch.iter().flat_map(|item| item.choices.iter().map(Vec::len)).max();
        let answer = task.ask.write.max(choice.unwrap_or(0));
        let cache = 2 * config.layers * config.kv_heads * config.head_dim * size;
        let logits = 2 * (1 + choice.unwrap_or(0)) * config.vocab_size * size_of::<f32>();
        (batch.len() * ((longest + answer) * cache + logits)) as u64
    }

    fn prepare(&self, task: &Task<'_>, tokenizer: &Tokenizer, index: usize) -> Result<Prepared> {
        let prepared = task.form.prepare(tokenizer, task.dataset.item(index)?)?;
        let longest = prepared.choices.iter().map(Vec::len).max().filter(|_| task.ask.compare);
        let needed = prepared.tokens.len() + task.ask.write.max(longest.unwrap_or(0));
        let positions = self.model.decoder().config().positions();
        match positions {
            Some(positions) if needed > positions => Err(Error::task(
                &task.name,
                format!(
                    "item {} has {} tokens and needs {needed} with its answer, but the model has \
                     positions for {positions}; choose shorter items",
                    prepared.item.id,
                    prepared.tokens.len()
                ),
            )),
            _ => Ok(prepared),
        }
    }

    /// The next items before number `end`, as many as fit into a batch, one at least.
    pub(crate) fn batch(
        &self,
        task: &Task<'_>,
        tokenizer: &Tokenizer,
        next: &mut usize,
        end: usize,
    ) -> Result<Vec<Prepared>> {
        let mut batch: Vec<Prepared> = Vec::new();
        let mut longest = 0;
        while *next < end && batch.len() < self.options.batch_rows.max(1) {
            let prepared = self.prepare(task, tokenizer, *next)?;
            let wider = longest.max(prepared.tokens.len());
            if !batch.is_empty() && wider * (batch.len() + 1) > self.options.batch_tokens {
                break;
            }
            longest = wider;
            batch.push(prepared);
            *next += 1;
        }
        Ok(batch)
    }

    /// Records of each batch, item by item, and of each item arm by arm. In the `first` batch every intervention
    /// has to select something.
    fn run_batches(
        &self,
        task: &Task<'_>,
        tokenizer: &Tokenizer,
        batches: &[Vec<Prepared>],
        first: bool,
    ) -> Result<Vec<Vec<Record>>> {
        let works: Vec<(&Vec<Prepared>, &Arm)> = batches
            .iter()
            .flat_map(|batch| self.arms.iter().map(move |arm| (batch, arm)))
            .collect();
        let decoder = self.model.decoder();
        let at_once = decoder.jobs_at_once(
            batches.iter().map(|batch| self.working_bytes(batch, task)).max().unwrap_or(0),
        );
        let mut done = Vec::with_capacity(works.len());
        for part in works.chunks(at_once) {
            // Those that share a decoder go through its layers together.
            let shared = part.chunk_by(|a, b| a.1.weights.is_none() && b.1.weights.is_none());
            let mut results = Vec::with_capacity(part.len());
            for part in shared {
                let Some((_, arm)) = part.first() else { continue };
                let jobs = part.iter().map(|&(batch, arm)| self.job(task, tokenizer, batch, arm));
                results.extend(self.decoder(arm)?.together(jobs.collect()));
            }
            for (&(_, arm), result) in part.iter().zip(results) {
                let (records, next) = result?;
                // A later one than the first batch is not checked: items differ.
                if let (true, Some(record)) =
                    (first && done.len() < self.arms.len(), records.first())
                {
                    let did = Did { tally: record.tally.clone(), kv: record.kv };
                    did.check_selected(arm)?;
                }
                done.push((records, next));
            }
        }
        let by_batch = done.chunks_mut(self.arms.len().max(1));
        Ok(batches.iter().zip(by_batch).map(|(batch, arms)| self.gathered(batch, arms)).collect())
    }

    fn job<'a>(
        &'a self,
        task: &'a Task<'_>,
        tokenizer: &'a Tokenizer,
        batch: &'a [Prepared],
        arm: &'a Arm,
    ) -> Job<'a, Result<ArmRecords>> {
        Box::new(move |decoder| {
            let mut subject = Subject::new(decoder, arm)?;
            self.run_arm(task, tokenizer, batch, arm, &mut subject)
        })
    }

    /// The records of one batch, compared with those of the first arm that leaves the model alone.
    fn gathered(&self, batch: &[Prepared], by_arm: &mut [ArmRecords]) -> Vec<Record> {
        let alone = self.arms.iter().position(Arm::is_alone);
        if let Some(alone) = alone
            && let Some(((_, base), later)) = by_arm[alone..].split_first_mut()
        {
            for (records, next) in later {
                for ((record, base), next) in records.iter_mut().zip(base.iter()).zip(next.iter()) {
                    record.kl = Some(divergence(base, next));
                    record.same_top = Some(top(base) == top(next));
                }
            }
        }
        let mut by_arm: Vec<_> =
            by_arm.iter_mut().map(|(records, _)| std::mem::take(records).into_iter()).collect();
        let mut records = Vec::with_capacity(batch.len() * by_arm.len());
        for _ in batch {
            records.extend(by_arm.iter_mut().filter_map(Iterator::next));
        }
        records
    }

    /// Records of a batch under one arm, and its predictions after the prompts.
    pub(crate) fn run_arm(
        &self,
        task: &Task<'_>,
        tokenizer: &Tokenizer,
        batch: &[Prepared],
        arm: &Arm,
        subject: &mut Subject<'_>,
    ) -> Result<ArmRecords> {
        let decoder = subject.decoder();
        let infos: Vec<PromptInfo> = batch.iter().map(info).collect();
        let mut hooks = subject.hooks(&infos)?;
        let prompts: Vec<&[u32]> = batch.iter().map(|item| item.tokens.as_slice()).collect();
        let session = Session::read(decoder, &prompts, &mut hooks)?;
        let next: Vec<Vec<f32>> = session.next_log_probs().collect();
        let compared = match task.ask.compare {
            true => {
                let choices: Vec<_> = batch.iter().map(|item| item.choices.clone()).collect();
                session.compare(decoder, &choices, &mut hooks)?
            }
            false => vec![Vec::new(); batch.len()],
        };
        let written = match task.ask.write {
            0 => None,
            most => {
                let mut done = |row: usize, tokens: &[u32]| {
                    let text = tokenizer.decode(tokens, true)?;
                    let Some(prepared) = batch.get(row) else { return Ok(true) };
                    Ok(!self.options.full_answers && decided(&prepared.item.gold, &text, task.rule))
                };
                let options = GenerateOptions::greedy(most).with_stop(tokenizer.eos_ids());
                Some(session.write(decoder, &options, &mut hooks, &mut done)?)
            }
        };
        hooks.finish()?;

        let mut records = Vec::with_capacity(batch.len());
        for (row, prepared) in batch.iter().enumerate() {
            let Prepared { item, tokens, evidence, choices } = prepared;
            let mut record = Record {
                task: task.name.clone(),
                arm: arm.name.clone(),
                index: item.index,
                id: item.id.clone(),
                pair: item.pair,
                prompt_tokens: tokens.len(),
                evidence: evidence.clone(),
                answer: None,
                scores: None,
                choices: Vec::new(),
                picks: None,
                kl: None,
                same_top: None,
                tally: Vec::new(),
                kv: None,
            };
            let log_probs = compared.get(row).map(Vec::as_slice).unwrap_or_default();
            for ((choice, tokens), &log_prob) in item.choices.iter().zip(choices).zip(log_probs) {
                let (tokens, bytes) = (tokens.len(), choice.text.len());
                record.choices.push(ChoiceScore { role: choice.role, log_prob, tokens, bytes });
            }
            if !record.choices.is_empty() {
                record.picks = Some(choose(&record.choices)?);
            }
            if let Some(written) = written.as_ref().and_then(|all| all.get(row)) {
                let text = tokenizer.decode(&written.tokens, true)?;
                record.scores = Some(score(&item.gold, &text, task.rule)?);
                let end = match (written.stopped, written.tokens.len() == task.ask.write) {
                    (true, _) => End::Stop,
                    (false, true) => End::Length,
                    (false, false) => End::Decided,
                };
                let tokens = written.tokens.len();
                record.answer = Some(Answer { text, tokens, end, own_nll: None });
            }
            records.push(record);
        }
        if self.options.full_answers {
            for record in &mut records {
                if let Some(answer) = &mut record.answer {
                    answer.own_nll = own_nll(tokenizer, subject, &answer.text, record.index)?;
                }
            }
        }
        if let Some(first) = records.first_mut() {
            Did { tally: first.tally, kv: first.kv } = subject.take_did();
        }
        Ok((records, next))
    }
}

fn acts(arm: &Arm, how: impl Fn(&Intervention) -> bool) -> bool {
    arm.intervention.as_ref().is_some_and(how)
}

fn info(prepared: &Prepared) -> PromptInfo {
    PromptInfo { key: prepared.item.index as u64, evidence: prepared.evidence.clone() }
}

/// The reference's: the answer alone, without special tokens and without the prompt.
fn own_nll(
    tokenizer: &Tokenizer,
    subject: &mut Subject<'_>,
    text: &str,
    index: usize,
) -> Result<Option<f64>> {
    let special = massval_models::tokenizer::SpecialTokens::None;
    let tokens = tokenizer.encode(text, special)?;
    if tokens.len() < 2 {
        return Ok(None);
    }
    let scored = 1..tokens.len();
    let window = TextWindow { tokens, scored };
    Ok(Some(score_window(subject, &window, index)?.nll))
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Error::options(format!(
                "two {what}s are called `{name}`; name them apart"
            )));
        }
    }
    Ok(())
}
