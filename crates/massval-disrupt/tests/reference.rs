//! Every operator and selection against a plain f64 version, on padded batches.

use burn::tensor::{DType, Device, Tensor, TensorData};
use massval_detect::{PairLayout, RopeBands};
use massval_disrupt::{
    Disruptor, Intervention, Operator, Positions, PromptInfo, Selection, Target, When,
};
use massval_hooks::{Activation, At, Hook, HookPoint, ModelPoints, Phase, Site};
use proptest::prelude::*;

const POINT: HookPoint = HookPoint { layer: Some(1), site: Site::RotK };

/// A batch `[rows, heads, seq, head_dim]` whose row `r` begins with `padding[r]` columns of padding.
#[derive(Debug, Clone)]
struct Case {
    rows: usize,
    heads: usize,
    seq: usize,
    head_dim: usize,
    padding: Vec<usize>,
    values: Vec<f32>,
}

impl Case {
    fn at(&self, row: usize, head: usize, column: usize, channel: usize) -> usize {
        ((row * self.heads + head) * self.seq + column) * self.head_dim + channel
    }

    fn mask(&self) -> Vec<bool> {
        (0..self.rows).flat_map(|r| (0..self.seq).map(move |c| c >= self.padding[r])).collect()
    }

    fn tensor(&self) -> Tensor<4> {
        let shape = [self.rows, self.heads, self.seq, self.head_dim];
        let data = TensorData::new(self.values.clone(), shape);
        Tensor::from_data(data, (&Device::default(), DType::F32))
    }

    fn target(&self) -> Target {
        let sites = [Site::Q, Site::K, Site::V, Site::RotQ, Site::RotK];
        let bands = RopeBands::new(self.head_dim, self.head_dim, 1e4, PairLayout::HalfSplit);
        Target {
            points: ModelPoints::new(3, &sites),
            heads: self.heads,
            kv_heads: self.heads,
            head_dim: self.head_dim,
            bands: bands.ok(),
        }
    }

    /// The channel's values over the tokens of a row.
    fn column(&self, row: usize, head: usize, channel: usize) -> Vec<f64> {
        let tokens = self.padding[row]..self.seq;
        tokens.map(|c| f64::from(self.values[self.at(row, head, c, channel)])).collect()
    }

    /// Channels of a head from the largest norm to the smallest.
    fn ranked(&self, row: usize, head: usize) -> Vec<usize> {
        let norm = |c: usize| self.column(row, head, c).iter().map(|x| x * x).sum::<f64>();
        let mut order: Vec<usize> = (0..self.head_dim).collect();
        order.sort_by(|&a, &b| norm(b).total_cmp(&norm(a)));
        order
    }
}

fn case() -> impl Strategy<Value = Case> {
    (1usize..4, 1usize..4, 3usize..7, 3usize..6)
        .prop_flat_map(|(rows, heads, seq, half)| {
            let count = rows * heads * seq * half * 2;
            let padding = prop::collection::vec(0..seq - 1, rows);
            let values = prop::collection::vec(-4.0f32..4.0, count);
            (Just((rows, heads, seq, half * 2)), padding, values)
        })
        .prop_map(|((rows, heads, seq, head_dim), padding, values)| Case {
            rows,
            heads,
            seq,
            head_dim,
            padding,
            values,
        })
}

fn run(case: &Case, intervention: &Intervention, evidence: &[std::ops::Range<usize>]) -> Vec<f32> {
    let mut hook = Disruptor::new(intervention.clone(), &case.target()).expect("fits");
    let info = |row: usize| PromptInfo { key: row as u64, evidence: evidence.get(row).cloned() };
    hook.begin(&(0..case.rows).map(info).collect::<Vec<_>>());
    let mask = case.mask();
    let at = At::new(POINT, Phase::Prefill, 0, Some(&mask));
    let out = hook.apply(&at, Activation::Heads(case.tensor())).expect("applies");
    out.into_heads().expect("heads").into_data().try_into_vec().expect("f32")
}

fn keys(operator: Operator, selection: Selection) -> Intervention {
    Intervention::new(operator, selection).at(&[Site::RotK])
}

/// What stands at the selected channels of a head afterwards, by channel; in f64, from the definition.
fn expected(
    case: &Case,
    row: usize,
    head: usize,
    chosen: &[usize],
    operator: Operator,
) -> Vec<f64> {
    let column = |c: usize| case.column(row, head, c);
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let largest = |x: &[f64]| x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let smallest = |x: &[f64]| x.iter().copied().fold(f64::INFINITY, f64::min);
    let each =
        |f: &dyn Fn(&[f64]) -> f64| -> Vec<f64> { chosen.iter().map(|&c| f(&column(c))).collect() };
    match operator {
        Operator::Mean => each(&mean),
        Operator::JointMean => vec![mean(&each(&mean)); chosen.len()],
        Operator::Zero => vec![0.0; chosen.len()],
        Operator::Max => each(&largest),
        Operator::Min => each(&smallest),
        Operator::JointMax => vec![largest(&each(&largest)); chosen.len()],
        Operator::JointMin => vec![smallest(&each(&smallest)); chosen.len()],
        other => panic!("{other} writes no constant"),
    }
}

const CONSTANT: [Operator; 7] = [
    Operator::Mean,
    Operator::JointMean,
    Operator::Zero,
    Operator::Max,
    Operator::Min,
    Operator::JointMax,
    Operator::JointMin,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn constants_are_those_of_the_definition(case in case(), which in 0usize..7, k in 1usize..3, top: bool) {
        let operator = CONSTANT[which];
        let selection = if top { Selection::top(k) } else { Selection::BottomK { k } };
        let out = run(&case, &keys(operator, selection), &[]);
        for row in 0..case.rows {
            for head in 0..case.heads {
                let mut ranked = case.ranked(row, head);
                if !top {
                    ranked.reverse();
                }
                let chosen = &ranked[..k];
                let values = expected(&case, row, head, chosen, operator);
                for column in case.padding[row]..case.seq {
                    for channel in 0..case.head_dim {
                        let at = case.at(row, head, column, channel);
                        let wanted = match chosen.iter().position(|&c| c == channel) {
                            Some(place) => values[place],
                            None => f64::from(case.values[at]),
                        };
                        prop_assert!((f64::from(out[at]) - wanted).abs() < 1e-5);
                    }
                }
            }
        }
    }

    /// A sequence is disrupted alike alone and in a batch, whatever its neighbours and its padding.
    #[test]
    fn sequences_of_a_batch_do_not_see_each_other(case in case(), which in 0usize..10, k in 1usize..3) {
        let intervention = keys(Operator::ALL[which], Selection::RandomK { k });
        let together = run(&case, &intervention, &[]);
        for row in 0..case.rows {
            let seq = case.seq - case.padding[row];
            let mut alone = Case { rows: 1, seq, padding: vec![0], values: Vec::new(), ..case.clone() };
            for head in 0..case.heads {
                let start = case.at(row, head, case.padding[row], 0);
                alone.values.extend(&case.values[start..start + seq * case.head_dim]);
            }
            let mut hook = Disruptor::new(intervention.clone(), &alone.target()).expect("fits");
            hook.begin(&[PromptInfo { key: row as u64, evidence: None }]);
            let at = At::new(POINT, Phase::Prefill, 0, None);
            let out = hook.apply(&at, Activation::Heads(alone.tensor())).expect("applies");
            let out: Vec<f32> = out.into_heads().unwrap().into_data().try_into_vec().unwrap();
            for head in 0..case.heads {
                for column in 0..seq {
                    for channel in 0..case.head_dim {
                        let one = out[alone.at(0, head, column, channel)];
                        let other = together[case.at(row, head, column + case.padding[row], channel)];
                        prop_assert!((one - other).abs() < 1e-5, "{intervention}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_permutation_keeps_the_values(case in case(), k in 1usize..3) {
        let out = run(&case, &keys(Operator::Permute, Selection::top(k)), &[]);
        for row in 0..case.rows {
            for head in 0..case.heads {
                for channel in 0..case.head_dim {
                    let sorted = |values: &[f32]| {
                        let tokens = case.padding[row]..case.seq;
                        let mut column: Vec<f32> =
                            tokens.map(|c| values[case.at(row, head, c, channel)]).collect();
                        column.sort_by(f32::total_cmp);
                        column
                    };
                    prop_assert_eq!(sorted(&out), sorted(&case.values));
                }
            }
        }
    }

    #[test]
    fn only_the_asked_positions_change(case in case(), start in 0usize..3) {
        let evidence: Vec<_> = (0..case.rows).map(|_| start..start + 2).collect();
        let mut intervention = keys(Operator::Zero, Selection::top(1));
        intervention.positions = Positions::Evidence;
        let out = run(&case, &intervention, &evidence);
        for (row, evidence) in evidence.iter().enumerate() {
            for head in 0..case.heads {
                let chosen = case.ranked(row, head)[0];
                for column in case.padding[row]..case.seq {
                    let at = case.at(row, head, column, chosen);
                    let inside = evidence.contains(&(column - case.padding[row]));
                    prop_assert_eq!(out[at], if inside { 0.0 } else { case.values[at] });
                }
            }
        }
    }
}

fn fixed(rows: usize, seq: usize) -> Case {
    let (heads, head_dim) = (2, 8);
    let value = |i: usize| ((i * 37 % 101) as f32 - 50.0) / 10.0;
    let values = (0..rows * heads * seq * head_dim).map(value).collect();
    Case { rows, heads, seq, head_dim, padding: vec![0; rows], values }
}

#[test]
fn noise_has_the_mean_and_variance_of_the_channel() {
    let case = fixed(1, 4000);
    let out = run(&case, &keys(Operator::Noise, Selection::top(1)).seeded(3), &[]);
    for head in 0..case.heads {
        let chosen = case.ranked(0, head)[0];
        let before = case.column(0, head, chosen);
        let after = Case { values: out.clone(), ..case.clone() }.column(0, head, chosen);
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let deviation =
            |x: &[f64]| mean(&x.iter().map(|v| (v - mean(x)).powi(2)).collect::<Vec<_>>()).sqrt();
        assert_ne!(before, after);
        assert!((mean(&before) - mean(&after)).abs() < 0.15, "{} {}", mean(&before), mean(&after));
        assert!((deviation(&before) / deviation(&after) - 1.0).abs() < 0.05);
    }
}

#[test]
fn the_rotary_partner_is_half_a_head_away() {
    let case = fixed(1, 5);
    let mut intervention = keys(Operator::Zero, Selection::top(1));
    intervention.partner = true;
    let out = run(&case, &intervention, &[]);
    let chosen = case.ranked(0, 0)[0];
    for channel in 0..case.head_dim {
        let zero = (0..case.seq).all(|c| out[case.at(0, 0, c, channel)] == 0.0);
        assert_eq!(zero, channel == chosen || channel == (chosen + 4) % 8, "channel {channel}");
    }
}

#[test]
fn the_axis_bug_takes_the_norm_over_heads_position_by_position() {
    let case = fixed(1, 5);
    let out = run(&case, &keys(Operator::Zero, Selection::PerPosition { k: 2 }), &[]);
    for column in 0..case.seq {
        let norm = |channel: usize| {
            (0..case.heads)
                .map(|h| case.values[case.at(0, h, column, channel)].powi(2))
                .sum::<f32>()
        };
        let mut order: Vec<usize> = (0..case.head_dim).collect();
        order.sort_by(|&a, &b| norm(b).total_cmp(&norm(a)));
        for channel in 0..case.head_dim {
            for head in 0..case.heads {
                let at = case.at(0, head, column, channel);
                let wanted = if order[..2].contains(&channel) { 0.0 } else { case.values[at] };
                assert_eq!(out[at], wanted);
            }
        }
    }
}

/// Generated tokens get what the prompt decided: its channels, and its means.
#[test]
fn decoding_writes_what_the_prompt_decided() {
    let case = fixed(2, 6);
    let token = fixed(2, 1);
    for (when, changes_prompt) in [(When::Decode, false), (When::Both, true)] {
        let mut intervention = keys(Operator::Mean, Selection::top(1));
        intervention.when = when;
        let mut hook = Disruptor::new(intervention, &case.target()).unwrap();
        let at = At::new(POINT, Phase::Prefill, 0, None);
        let out = hook.apply(&at, Activation::Heads(case.tensor())).unwrap();
        let out: Vec<f32> = out.into_heads().unwrap().into_data().try_into_vec().unwrap();
        assert_eq!(out != case.values, changes_prompt);

        let at = At::new(POINT, Phase::Decode, 6, None);
        let out = hook.apply(&at, Activation::Heads(token.tensor())).unwrap();
        let out: Vec<f32> = out.into_heads().unwrap().into_data().try_into_vec().unwrap();
        for (row, head) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let chosen = case.ranked(row, head)[0];
            let column = case.column(row, head, chosen);
            let mean = column.iter().sum::<f64>() / column.len() as f64;
            for channel in 0..case.head_dim {
                let at = token.at(row, head, 0, channel);
                let wanted = if channel == chosen { mean } else { f64::from(token.values[at]) };
                assert!((f64::from(out[at]) - wanted).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn prefill_only_leaves_generated_tokens_alone() {
    let (case, token) = (fixed(1, 6), fixed(1, 1));
    let mut hook = Disruptor::new(keys(Operator::Zero, Selection::top(1)), &case.target()).unwrap();
    let at = At::new(POINT, Phase::Decode, 6, None);
    let out = hook.apply(&at, Activation::Heads(token.tensor())).unwrap();
    let out: Vec<f32> = out.into_heads().unwrap().into_data().try_into_vec().unwrap();
    assert_eq!(out, token.values);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let target = fixed(1, 4).target();
    let refused = |change: &dyn Fn(&mut Intervention)| {
        let mut intervention = keys(Operator::Zero, Selection::top(1));
        change(&mut intervention);
        Disruptor::new(intervention, &target).unwrap_err().to_string()
    };
    let says = |text: String, part: &str| assert!(text.contains(part), "{text}");
    says(refused(&|i| i.selection = Selection::top(9)), "at most 8: a head has 8 channels");
    says(refused(&|i| i.layers = "3".parse().unwrap()), "layer 3 does not exist");
    says(refused(&|i| i.heads = "2".parse().unwrap()), "head 2 does not exist at rot_k");
    says(refused(&|i| i.sites.clear()), "no site");
    says(refused(&|i| i.sites = vec![Site::ResidPre]), "cannot be disrupted at resid_pre");
    says(refused(&|i| i.selection = "channels:0.0.8".parse().unwrap()), "channel 8 does not exist");
    says(
        refused(&|i| {
            i.selection = "channels:0.0.3".parse().unwrap();
            i.layers = "1".parse().unwrap();
        }),
        "selects nothing",
    );
    says(
        refused(&|i| {
            i.sites = vec![Site::RotQ];
            i.cached = false;
        }),
        "never cached",
    );
    says(
        refused(&|i| {
            i.when = When::Both;
            i.positions = Positions::First;
        }),
        "tokens of the prompt",
    );
    says(
        refused(&|i| {
            i.sites = vec![Site::V];
            i.partner = true;
        }),
        "values do not rotate",
    );
    says(
        refused(&|i| {
            i.selection = Selection::PerPosition { k: 2 };
            i.operator = Operator::JointMean;
        }),
        "needs the same channels",
    );
}

#[test]
fn a_criterion_that_nothing_meets_is_told() {
    let case = fixed(1, 6);
    let intervention = keys(Operator::Zero, "head-mean:100".parse().unwrap());
    let mut hook = Disruptor::new(intervention.clone(), &case.target()).unwrap();
    let at = At::new(POINT, Phase::Prefill, 0, None);
    hook.apply(&at, Activation::Heads(case.tensor())).unwrap();
    let error = intervention.check(&hook.take_tally()).unwrap_err().to_string();
    let said = "selects nothing; no norm of any prompt that was read meets head-mean:100; lower";
    assert!(error.contains(said), "{error}");
}
