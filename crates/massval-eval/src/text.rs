//! Perplexity of a text, and how far an intervention moves the model's predictions on it.

use std::ops::Range;

use massval_disrupt::{PromptInfo, SiteTally};
use massval_models::{Batch, Decoder, Job, LogitsAt};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::session::{divergence, log_prob, log_softmax, top};
use crate::subject::{Did, Subject, read};
use crate::{Arm, Error, KvTally, Result};

/// A stretch of text that is read in one pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextWindow {
    /// The tokens that are read.
    pub tokens: Vec<u32>,
    /// Those of them that are scored, each given all before it in the window; the first token has nothing
    /// before it and cannot be among them.
    pub scored: Range<usize>,
}

/// What was measured on one window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowScore {
    /// Tokens that were scored.
    pub tokens: usize,
    /// Sum of their negative log-probabilities, nats.
    pub nll: f64,
    /// Sum over the tokens of the KL divergence from the undisturbed prediction, nats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl: Option<f64>,
    /// At how many tokens the likeliest prediction is the undisturbed model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_top: Option<usize>,
}

/// A text under one arm.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TextScore {
    /// The windows, in order.
    pub windows: Vec<WindowScore>,
    /// What the intervention did.
    pub tally: Vec<SiteTally>,
    /// What rounding the cache did.
    pub kv: Option<KvTally>,
}

impl TextScore {
    /// Tokens that were scored.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.windows.iter().map(|window| window.tokens).sum()
    }

    /// Mean negative log-probability of a token, nats.
    #[must_use]
    pub fn mean_nll(&self) -> f64 {
        self.windows.iter().map(|window| window.nll).sum::<f64>() / self.tokens() as f64
    }

    /// `exp` of [`TextScore::mean_nll`]: every scored token counts the same, in whatever window it is.
    #[must_use]
    pub fn perplexity(&self) -> f64 {
        self.mean_nll().exp()
    }

    /// Mean KL divergence from the undisturbed model's predictions, nats.
    #[must_use]
    pub fn kl(&self) -> Option<f64> {
        let sum: Option<f64> = self.windows.iter().map(|window| window.kl).sum();
        sum.map(|sum| sum / self.tokens() as f64)
    }

    /// Share of tokens at which the likeliest prediction is the undisturbed model's.
    #[must_use]
    pub fn top1_agreement(&self) -> Option<f64> {
        let sum: Option<usize> = self.windows.iter().map(|window| window.same_top).sum();
        sum.map(|sum| sum as f64 / self.tokens() as f64)
    }
}

/// A decoder, and what an arm does to it.
#[derive(Debug, Clone)]
pub struct Scored<'m> {
    /// The decoder.
    pub decoder: &'m Decoder,
    /// What is done to it.
    pub arm: Arm,
}

impl<'m> Scored<'m> {
    /// A decoder as it is.
    #[must_use]
    pub fn alone(decoder: &'m Decoder) -> Self {
        Self { decoder, arm: Arm::none() }
    }
}

/// Scores a text under each of `arms`, and compares those after an undisturbed first one with it.
///
/// A window is one prompt: what an intervention does to prompts it does to the window, and norms are taken
/// over it. `progress` is told windows done and windows in all.
///
/// # Memory
/// Logits of two windows, `[scored, vocab]` in f32; of a decoder that is streamed, of as many as the memory set aside
/// for it takes.
///
/// # Errors
/// [`Error::Options`] if there is no window, or one scores its first token or none;
/// [`Error::NotFinite`] if a logit is not finite; [`Error::Disrupt`] for an intervention that selects nothing
/// in the first window, before the next is read, or reaches no window; what the model refuses.
pub fn score_text(
    decoder: &Decoder,
    windows: &[TextWindow],
    arms: &[Arm],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<TextScore>> {
    let scored: Vec<_> = arms.iter().map(|arm| Scored { decoder, arm: arm.clone() }).collect();
    score_decoders(&scored, windows, progress)
}

/// As [`score_text`], of decoders with the same vocabulary: a model, and others that it has become by changing its
/// weights. They are compared with the first that nothing is done to.
///
/// # Errors
/// As [`score_text`], and [`Error::Options`] for another vocabulary than the first decoder's, or no decoder.
pub fn score_decoders(
    scored: &[Scored<'_>],
    windows: &[TextWindow],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<TextScore>> {
    let Some(decoder) = scored.first().map(|first| first.decoder) else {
        return Err(Error::options("no decoder is to be scored"));
    };
    let vocab = decoder.config().vocab_size;
    if scored.iter().any(|other| other.decoder.config().vocab_size != vocab) {
        return Err(Error::options("decoders of different vocabularies cannot be compared"));
    }
    if windows.is_empty() {
        return Err(Error::options("the text has no window; give more text or shorter windows"));
    }
    for Scored { decoder, arm } in scored {
        Subject::new(decoder, arm)?; // before anything is computed
    }
    let mut scores = vec![(Vec::new(), Did::default()); scored.len()];
    let widest = windows.iter().map(|window| window.scored.len()).max().unwrap_or(0);
    // Logits, and a copy while they are read back.
    let bytes = 2 * (widest * decoder.config().vocab_size * size_of::<f32>()) as u64;
    let at_once = decoder.jobs_at_once(bytes);
    let works: Vec<(usize, usize)> = (0..windows.len())
        .flat_map(|window| (0..scored.len()).map(move |arm| (window, arm)))
        .collect();
    let mut undisturbed: Option<Vec<f32>> = None;
    let mut told = None;
    for part in works.chunks(at_once) {
        let window = part.first().map_or(0, |(window, _)| *window);
        if told.replace(window) != Some(window) {
            progress(window, windows.len());
        }
        let job = |&(index, arm): &(usize, usize)| -> Job<'_, Result<(Vec<f32>, Did)>> {
            let (window, arm) = (&windows[index], &scored[arm].arm);
            Box::new(move |decoder| {
                let mut subject = Subject::new(decoder, arm)?;
                let logits = window_logits(&mut subject, window, index)?;
                Ok((logits, subject.take_did()))
            })
        };
        // Those that share a decoder go through its layers together.
        let shared = part.chunk_by(|a, b| std::ptr::eq(scored[a.1].decoder, scored[b.1].decoder));
        let done = shared.flat_map(|part| {
            let jobs = part.iter().map(job).collect();
            part.first().map_or_else(Vec::new, |first| scored[first.1].decoder.together(jobs))
        });
        for (&(index, arm), done) in part.iter().zip(done) {
            let (logits, did) = done?;
            let (measured, total) = &mut scores[arm];
            total.add(&did.tally, did.kv);
            if index == 0 {
                total.check_selected(&scored[arm].arm)?;
            }
            if arm == 0 {
                undisturbed = None;
            }
            measured.push(measure(&logits, decoder, &windows[index], undisturbed.as_deref())?);
            if scored[arm].arm.is_alone() && undisturbed.is_none() {
                undisturbed = Some(logits);
            }
        }
    }
    progress(windows.len(), windows.len());
    let finished = |(scored, (windows, did)): (&Scored<'_>, (Vec<WindowScore>, Did))| {
        did.check(&scored.arm)?;
        Ok(TextScore { windows, tally: did.tally, kv: did.kv })
    };
    scored.iter().zip(scores).map(finished).collect()
}

/// One window, compared with nothing.
pub(crate) fn score_window(
    subject: &mut Subject<'_>,
    window: &TextWindow,
    index: usize,
) -> Result<WindowScore> {
    let logits = window_logits(subject, window, index)?;
    measure(&logits, subject.decoder(), window, None)
}

/// Logits that predict the scored tokens, row-major `[scored, vocab]`.
fn window_logits(subject: &mut Subject<'_>, window: &TextWindow, index: usize) -> Result<Vec<f32>> {
    let Range { start, end } = window.scored;
    if start == 0 || start >= end || end > window.tokens.len() {
        let tokens = window.tokens.len();
        return Err(Error::options(format!(
            "window {index} of {tokens} tokens is to score tokens {start} to {end}; the first token \
             has nothing to be predicted from"
        )));
    }
    let decoder = subject.decoder();
    let info = PromptInfo { key: index as u64, evidence: None };
    let mut hooks = subject.hooks(&[info])?;
    // The last token is predicted, but predicts nothing that counts; it is read all the same, since
    // norms are over the whole window.
    let batch = Batch::single(&window.tokens)?;
    let logits = decoder.forward(&batch, None, &mut hooks, LogitsAt::From(start - 1))?;
    hooks.finish()?;
    let logits = logits.ok_or_else(|| Error::options("no logits came back"))?;
    let mut logits = read(logits.narrow(1, 0, end - start))?;
    logits.truncate((end - start) * decoder.config().vocab_size);
    Ok(logits)
}

fn measure(
    logits: &[f32],
    decoder: &Decoder,
    window: &TextWindow,
    undisturbed: Option<&[f32]>,
) -> Result<WindowScore> {
    let vocab = decoder.config().vocab_size;
    let targets = &window.tokens[window.scored.clone()];
    let rows: Vec<(f64, f64, bool)> = logits
        .par_chunks_exact(vocab)
        .zip(targets)
        .enumerate()
        .map(|(row, (logits, &target))| {
            let nll = -log_prob(logits, target);
            let Some(base) = undisturbed.and_then(|all| all.get(row * vocab..(row + 1) * vocab))
            else {
                return (nll, 0.0, false);
            };
            let kl = divergence(&log_softmax(base), &log_softmax(logits));
            (nll, kl, top(base) == top(logits))
        })
        .collect();
    let nll: f64 = rows.iter().map(|row| row.0).sum();
    if !nll.is_finite() {
        return Err(Error::NotFinite {
            what: format!(
                "the log-probability of a token of the text is {nll}; try --dtype f32, or a weaker \
                 intervention"
            ),
        });
    }
    let compared = undisturbed.is_some();
    Ok(WindowScore {
        tokens: rows.len(),
        nll,
        kl: compared.then(|| rows.iter().map(|row| row.1).sum()),
        same_top: compared.then(|| rows.iter().filter(|row| row.2).count()),
    })
}
