//! Perplexity of a text under interventions, from a file to a result.

use std::collections::BTreeMap;
use std::path::Path;

use massval_data::windows::{Bos, Corpus, TextOptions, Windows};
use massval_eval::stats::{self, Bootstrap, WindowLoss};
use massval_eval::{Arm, Scored, TextScore, TextWindow, score_decoders};
use massval_models::tokenizer::SpecialTokens;
use massval_models::{Decoder, Model};
use massval_report::schema::{
    InputIdentity, InputSource, Interval, PerplexityArm, PerplexityResult, ResultKind,
    SCHEMA_VERSION, WindowNll, WindowRule,
};

use crate::arms::described;
use crate::provenance::{Run, provenance};
use crate::surviving::massive_norms;
use crate::{Error, Result};

/// How perplexity is measured.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PerplexityOptions {
    /// How the text is cut.
    pub windows: Windows,
    /// How documents are found in the file.
    pub text: TextOptions,
    /// Intervals over the windows.
    pub bootstrap: Bootstrap,
}

impl PerplexityOptions {
    /// These windows, of a plain text.
    #[must_use]
    pub fn new(windows: Windows) -> Self {
        Self { windows, text: TextOptions::default(), bootstrap: Bootstrap::default() }
    }
}

/// Perplexity of the text in the file `path`, for each arm. `progress` is told windows done and in all.
///
/// # Errors
/// What cannot be read, cut or fitted into the model's positions, and what arms refuse.
pub fn perplexity(
    model: &Model,
    run: &Run,
    path: &Path,
    arms: &[Arm],
    options: &PerplexityOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<PerplexityResult> {
    perplexity_with(model, run, path, (arms, &BTreeMap::new()), options, progress)
}

/// The same with arms that have weights of their own: their decoders by name. Such arms also say how much is left of
/// the norm of the massive values that the model itself has on the text.
pub(crate) fn perplexity_with(
    model: &Model,
    run: &Run,
    path: &Path,
    (arms, decoders): (&[Arm], &BTreeMap<String, &Decoder>),
    options: &PerplexityOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<PerplexityResult> {
    let ReadText { windows, input, name, rule: cut } = read_text(model, path, options)?;
    let PerplexityOptions { windows: rule, bootstrap, .. } = options;
    let provenance = provenance(run, model.checkpoint(), input)?;
    let scored: Vec<Scored<'_>> = arms
        .iter()
        .map(|arm| {
            let decoder = decoders.get(&arm.name).copied().unwrap_or(model.decoder());
            Scored { decoder, arm: arm.clone() }
        })
        .collect();
    let scores = score_decoders(&scored, &windows, progress)?;
    let left = massive_norms(model.decoder(), &windows, decoders)?;

    let arms = arms
        .iter()
        .zip(&scores)
        .map(|(arm, score)| {
            let mut measured = measured(arm, score, bootstrap)?;
            measured.arm.massive_norm = left.get(&arm.name).copied();
            Ok::<_, Error>(measured)
        })
        .collect::<Result<_>>()?;
    let result = PerplexityResult {
        schema_version: SCHEMA_VERSION,
        kind: ResultKind::Perplexity,
        provenance,
        definition: format!(
            "exp of the mean negative log-probability (natural) of the scored tokens, each weighing the \
             same; {rule}"
        ),
        text: name,
        window: cut,
        confidence: bootstrap.level,
        arms,
    };
    result.validate()?;
    Ok(result)
}

/// A text, cut into windows.
pub(crate) struct ReadText {
    pub(crate) windows: Vec<TextWindow>,
    pub(crate) input: InputIdentity,
    /// What a person calls it.
    pub(crate) name: String,
    /// How it was cut.
    pub(crate) rule: WindowRule,
}

/// Reads the text in the file `path` and cuts it.
pub(crate) fn read_text(
    model: &Model,
    path: &Path,
    options: &PerplexityOptions,
) -> Result<ReadText> {
    let PerplexityOptions { windows: rule, text, .. } = options;
    let tokenizer = model.tokenizer()?;
    if let Some(positions) = model.decoder().config().positions()
        && rule.length > positions
    {
        let length = rule.length;
        let what =
            format!("windows of {length} tokens, but the model has positions for {positions}");
        return Err(Error::Input(what));
    }
    let corpus = Corpus::open(path, rule, text)?;
    let tokens = tokenizer.encode(&corpus.text, SpecialTokens::None)?;
    let windows = rule
        .plan(&tokens, tokenizer.bos_id())?
        .into_iter()
        .map(|window| {
            Ok(TextWindow { tokens: window.ids(&tokens)?, scored: window.scored.clone() })
        })
        .collect::<Result<Vec<_>>>()?;
    let input = InputIdentity {
        source: InputSource::Text,
        file: Some(path.display().to_string()),
        sha256: corpus.sha256.clone(),
        chat: false,
        special_tokens: rule.bos != Bos::None,
        tokens: Vec::new(),
        pieces: None,
    };
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let rule = WindowRule {
        tokens: rule.length,
        stride: rule.stride.unwrap_or(rule.length),
        bos: matches!(rule.bos, Bos::Window | Bos::WindowDropLast),
    };
    Ok(ReadText { windows, input, name, rule })
}

fn measured(arm: &Arm, score: &TextScore, bootstrap: &Bootstrap) -> Result<PerplexityArm> {
    let losses: Vec<WindowLoss> = score
        .windows
        .iter()
        .map(|window| WindowLoss { nll: window.nll, tokens: window.tokens })
        .collect();
    // Resampling a window or two says nothing.
    let interval = match losses.len() {
        0..FEWEST => None,
        _ => {
            let interval = stats::perplexity(&losses, bootstrap)?;
            Some(Interval { low: interval.low, high: interval.high })
        }
    };
    Ok(PerplexityArm {
        arm: described(arm, &score.tally, score.kv)?,
        tokens: score.tokens(),
        mean_nll: score.mean_nll(),
        perplexity: score.perplexity(),
        interval,
        kl_nats: score.kl().map(|kl| kl.max(0.0)),
        top1_agreement: score.top1_agreement(),
        windows: score
            .windows
            .iter()
            .map(|window| WindowNll {
                tokens: window.tokens,
                mean_nll: window.nll / window.tokens as f64,
            })
            .collect(),
    })
}

/// Windows below which no interval is given.
const FEWEST: usize = 5;
