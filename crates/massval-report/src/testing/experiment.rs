//! A disruption experiment with the shape of a real one; its numbers are near those measured.

use serde_json::json;

use super::scan;
use crate::schema::{
    Arm, ArmRole, Cell, CellMetrics, Comparison, DefinedPerplexity, DisruptResult, Diversity,
    EffectSize, InputIdentity, InputSource, Interval, PerplexityArm, PerplexityResult, Progress,
    Provenance, ResultKind, SCHEMA_VERSION, Score, SiteSelected, SweepPoint, TaskInfo, TaskSide,
    WindowNll, WindowRule,
};

/// Right answers of each arm on each task of [`tasks`].
const CORRECT: [(&str, [usize; 4]); 6] = [
    ("none", [25, 37, 61, 104]),
    ("bottom, k=1", [23, 36, 60, 102]),
    ("random, k=1", [25, 36, 59, 103]),
    ("massive, k=1", [23, 22, 55, 101]),
    ("massive, k=2", [0, 3, 48, 97]),
    ("massive, k=8", [0, 0, 44, 99]),
];

/// The Wilson interval of level 0.95.
pub(crate) fn wilson(correct: usize, n: usize) -> Interval {
    let (z, n) = (1.959_963_984_540_054_f64, n as f64);
    let p = correct as f64 / n;
    let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    Interval { low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
}

fn provenance(command: &str, input: InputIdentity) -> Provenance {
    let command = ["massval", command, "SmolLM2"].map(str::to_owned).to_vec();
    Provenance { command, seed: Some(178), input, ..scan().provenance }
}

/// A run that read a text in windows.
pub(super) fn text_run(command: &str) -> Provenance {
    let input = InputIdentity {
        source: InputSource::Text,
        file: Some("natural.txt".to_owned()),
        tokens: Vec::new(),
        pieces: None,
        ..scan().provenance.input
    };
    provenance(command, input)
}

fn arms() -> Vec<Arm> {
    let arm = |(name, _): &(&str, [usize; 4])| {
        let Some((role, k)) = name.split_once(", k=") else { return Arm::baseline(*name) };
        let k: usize = k.parse().expect("a number");
        let (role, which) = match role {
            "bottom" => (ArmRole::Bottom, "smallest"),
            "random" => (ArmRole::Random, "randomly chosen"),
            _ => (ArmRole::Massive, "largest"),
        };
        let channels = if k == 1 { "channel".to_owned() } else { format!("{k} channels") };
        Arm {
            name: (*name).to_owned(),
            role,
            sentence: format!(
                "Each head of Q and K after RoPE, prefill: its {which} {channels} to the joint mean."
            ),
            intervention: Some(json!({"operator": "joint_mean", "select": role.as_str(), "k": k})),
            sweep: Some(SweepPoint { series: role.as_str().to_owned(), channels_per_head: k }),
            selected: disrupted(role, k),
            rounded: Vec::new(),
            massive_norm: None,
        }
    };
    CORRECT.iter().map(arm).collect()
}

fn disrupted(role: ArmRole, k: usize) -> Vec<SiteSelected> {
    let share = |of_one: f64| match role {
        ArmRole::Massive => 1.0 - (1.0 - of_one).powi(k as i32),
        _ => 0.004 * k as f64,
    };
    let at = |(site, of_one): (&str, f64)| SiteSelected {
        site: site.to_owned(),
        channels_per_head: k as f64,
        share: share(of_one),
    };
    [("rot_q", 0.31), ("rot_k", 0.42)].map(at).to_vec()
}

fn tasks() -> Vec<TaskInfo> {
    let task = |name: &str, side, item: &str, items, metric: &str, chance| TaskInfo {
        name: name.to_owned(),
        side,
        item: item.to_owned(),
        items,
        metric: metric.to_owned(),
        chance,
        identity: json!({"generator": name, "seed": 178}),
    };
    let (contextual, parametric) = (TaskSide::Contextual, TaskSide::Parametric);
    let key = "A prompt of 143 tokens that hides a key of five digits and asks for it.";
    let conflict = "A fact, overridden in the prompt, and a question for it.";
    let capital = "A country, and four cities as its capital.";
    let city = "A sentence that places a city in a country, true or false.";
    vec![
        // A parametric task first: tables must bring the contextual ones forward.
        task("cities", parametric, city, 200, "log-likelihood", Some(0.5)),
        task("passkey", contextual, key, 25, "strict", None),
        task("conflict", contextual, conflict, 40, "log-likelihood", Some(0.5)),
        task("capitals", parametric, capital, 80, "log-likelihood", Some(0.25)),
    ]
}

fn around(value: f64) -> Interval {
    Interval { low: 0.95 * value, high: 1.08 * value }
}

fn cell(arm: usize, task: &TaskInfo, correct: usize) -> Cell {
    let score = Score::new(correct, task.items, wilson(correct, task.items)).expect("a score");
    let metrics = match task.name.as_str() {
        "passkey" => CellMetrics {
            reference: Some(score),
            perplexity: Some(DefinedPerplexity {
                value: [2.1, 2.2, 2.1, 3.9, 48.0, 310.0][arm],
                interval: Some(around([2.1, 2.2, 2.1, 3.9, 48.0, 310.0][arm])),
                definition: "of the model's own answer without the prompt".to_owned(),
            }),
            diversity: Some(Diversity {
                n_gram: 2,
                value: [0.91, 0.90, 0.91, 0.83, 0.41, 0.12][arm],
                interval: Some(around([0.91, 0.90, 0.91, 0.83, 0.41, 0.12][arm])),
            }),
            kl_nats: Some([0.0, 0.02, 0.01, 0.4, 3.2, 5.9][arm]),
            top1_agreement: Some([1.0, 0.99, 0.99, 0.9, 0.2, 0.04][arm]),
            margin_nats: None,
        },
        "capitals" => CellMetrics {
            margin_nats: Some([1.4, 1.38, 1.37, 1.1, 0.6, 0.3][arm]),
            ..CellMetrics::default()
        },
        _ => CellMetrics::default(),
    };
    Cell { arm: CORRECT[arm].0.to_owned(), task: task.name.clone(), score, metrics }
}

fn comparison(
    task: &TaskInfo,
    arm: &str,
    counts: [usize; 2],
    p: f64,
    (low, high): (f64, f64),
    h: f64,
) -> Comparison {
    let [only_arm, only_against] = counts;
    let p_adjusted = (4.0 * p).min(1.0);
    let effect = p_adjusted < 0.05;
    let verdict = match (effect, high < 0.0) {
        (true, _) => "the interval excludes 0 and the difference outlives correction",
        (false, true) => "the difference does not outlive correction for 4 comparisons",
        (false, false) => "the interval holds 0",
    };
    Comparison {
        task: task.name.clone(),
        arm: arm.to_owned(),
        against: "random, k=1".to_owned(),
        n: task.items,
        difference: (only_arm as f64 - only_against as f64) / task.items as f64,
        interval: Interval { low, high },
        only_arm,
        only_against,
        p,
        p_adjusted: Some(p_adjusted),
        effect_size: Some(EffectSize { name: "Cohen's h".to_owned(), value: h }),
        effect,
        verdict: verdict.to_owned(),
    }
}

/// Six arms on two contextual and two parametric tasks, complete.
pub(crate) fn disrupt() -> DisruptResult {
    let (arms, tasks) = (arms(), tasks());
    let order = [3, 0, 1, 2];
    let cells: Vec<Cell> = (0..arms.len())
        .flat_map(|arm| {
            tasks.iter().zip(order).map(move |(task, at)| cell(arm, task, CORRECT[arm].1[at]))
        })
        .collect();
    let comparisons = vec![
        comparison(&tasks[1], "massive, k=2", [0, 25], 6e-8, (-1.0, -0.867), -3.1),
        comparison(&tasks[1], "massive, k=1", [0, 2], 0.5, (-0.2, 0.0), -0.57),
        comparison(&tasks[3], "massive, k=2", [4, 15], 0.0192, (-0.2375, -0.0375), -0.29),
        comparison(&tasks[0], "massive, k=2", [10, 16], 0.327, (-0.08, 0.02), -0.06),
    ];
    let input = InputIdentity {
        source: InputSource::Tasks,
        file: None,
        sha256: "5".repeat(64),
        chat: false,
        special_tokens: false,
        tokens: Vec::new(),
        pieces: None,
    };
    DisruptResult {
        schema_version: SCHEMA_VERSION,
        kind: ResultKind::Disrupt,
        provenance: provenance("disrupt", input),
        complete: true,
        progress: Progress::of(&arms, &tasks, &cells),
        confidence: 0.95,
        arms,
        tasks,
        cells,
        comparisons,
    }
}

/// The perplexity of a text under the arms of [`disrupt`].
pub(crate) fn perplexity() -> PerplexityResult {
    let values = [27.37, 28.6, 27.6, 57.6, 1552.0, 20_321.0f64];
    let entry = |(arm, value): (Arm, f64)| {
        let mean_nll = value.ln();
        let baseline = arm.role == ArmRole::None;
        let windows = [0.03, -0.03].map(|d| WindowNll { tokens: 1023, mean_nll: mean_nll + d });
        PerplexityArm {
            arm,
            tokens: 2046,
            mean_nll,
            perplexity: mean_nll.exp(),
            interval: Some(Interval { low: value * 0.94, high: value * 1.07 }),
            kl_nats: (!baseline).then(|| (value / 27.37).ln()),
            top1_agreement: (!baseline).then(|| 27.37 / value),
            windows: windows.to_vec(),
        }
    };
    PerplexityResult {
        schema_version: SCHEMA_VERSION,
        kind: ResultKind::Perplexity,
        provenance: text_run("perplexity"),
        definition: "exp of the mean negative log-likelihood of all tokens but the first of each \
                     window; windows of 1024 tokens without overlap, no BOS."
            .to_owned(),
        text: "natural.txt".to_owned(),
        window: WindowRule { tokens: 1024, stride: 1024, bos: false },
        confidence: 0.95,
        arms: arms().into_iter().zip(values).map(entry).collect(),
    }
}
