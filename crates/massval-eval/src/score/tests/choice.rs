//! Alternatives by likelihood.

use massval_data::Role;
use proptest::prelude::*;

use super::super::*;

fn choice(role: Role, log_prob: f64, tokens: usize, bytes: usize) -> ChoiceScore {
    ChoiceScore { role, log_prob, tokens, bytes }
}

#[test]
fn length_decides_between_measures() {
    let scores = choose(&[
        choice(Role::Right, -6.0, 3, 4),
        choice(Role::Wrong, -5.0, 2, 12),
        choice(Role::Wrong, -9.0, 1, 9),
    ])
    .unwrap();
    assert_eq!((scores.sum.winner, scores.sum.margin), (1, -1.0));
    assert_eq!((scores.per_token.winner, scores.per_token.margin), (0, 0.5));
    assert_eq!(scores.per_byte.winner, 1);
    assert!(scores.per_token.is_right() && !scores.per_byte.is_right());
    assert_eq!(scores.sum.memory_margin, None);
}

#[test]
fn in_a_conflict_the_winner_has_a_role() {
    let scores = choose(&[
        choice(Role::Right, -2.0, 1, 1),
        choice(Role::Memory, -1.0, 1, 1),
        choice(Role::Wrong, -5.0, 1, 1),
        choice(Role::Memory, -8.0, 1, 1),
    ])
    .unwrap();
    assert_eq!(scores.sum.role, Role::Memory);
    assert_eq!((scores.sum.margin, scores.sum.memory_margin), (-1.0, Some(1.0)));
}

#[test]
fn a_tie_is_no_success() {
    let scores =
        choose(&[choice(Role::Right, -2.0, 1, 1), choice(Role::Wrong, -2.0, 1, 1)]).unwrap();
    assert!(!scores.sum.is_right());
    assert_eq!(scores.sum.margin, 0.0);
}

#[test]
fn what_cannot_be_compared_is_an_error() {
    let right = choice(Role::Right, -1.0, 1, 1);
    let wrong = choice(Role::Wrong, -1.0, 1, 1);
    let bad = [f64::NAN, f64::NEG_INFINITY, f64::INFINITY];
    for log_prob in bad {
        let error = choose(&[right, ChoiceScore { log_prob, ..wrong }]).unwrap_err().to_string();
        assert!(error.contains("alternative 1"), "{error}");
    }
    assert!(choose(&[right, ChoiceScore { tokens: 0, ..wrong }]).is_err());
    assert!(choose(&[right, ChoiceScore { bytes: 0, ..wrong }]).is_err());
    for choices in [&[][..], &[right], &[wrong], &[right, right]] {
        assert!(choose(choices).is_err());
    }
}

proptest! {
    #[test]
    fn right_exactly_when_the_margin_is_above_zero(
        values in prop::collection::vec((-9i8..0, 1usize..4, 1usize..4, 0u8..3), 0..6),
    ) {
        let role = |r| [Role::Right, Role::Memory, Role::Wrong][r as usize];
        let mut choices = vec![choice(Role::Right, -4.0, 2, 2), choice(Role::Wrong, -4.0, 2, 2)];
        choices.extend(values.iter().map(|&(l, t, b, r)| choice(role(r), f64::from(l), t, b)));
        let scores = choose(&choices).unwrap();
        for pick in [scores.sum, scores.per_token, scores.per_byte] {
            prop_assert_eq!(pick.is_right(), pick.margin > 0.0);
            prop_assert_eq!(pick.role, choices[pick.winner].role);
        }
        prop_assert!(choices.iter().all(|c| c.log_prob <= choices[scores.sum.winner].log_prob));
    }
}
