//! Grids against the plain formulas in `f64`.

use proptest::prelude::*;

use super::*;
use crate::{Bits, Granularity};

fn scheme(bits: Bits, symmetry: Symmetry) -> WeightScheme {
    WeightScheme { symmetry, ..WeightScheme::new(bits, Granularity::Channel) }
}

fn any_bits() -> impl Strategy<Value = Bits> {
    proptest::sample::select(Bits::ALL.to_vec())
}

fn any_symmetry() -> impl Strategy<Value = Symmetry> {
    proptest::sample::select(vec![
        Symmetry::Symmetric(SymmetricStep::Full),
        Symmetry::Symmetric(SymmetricStep::Narrow),
        Symmetry::Asymmetric(ZeroPoint::Any),
        Symmetry::Asymmetric(ZeroPoint::NonZero),
    ])
}

fn values() -> impl Strategy<Value = Vec<f32>> {
    (prop::collection::vec(-4.0f32..4.0, 1..70), -3.0f32..3.0)
        .prop_map(|(values, shift)| values.into_iter().map(|x| x + shift).collect())
}

proptest! {
    #[test]
    fn codes_and_values_are_the_plain_formula(
        values in values(), bits in any_bits(), symmetry in any_symmetry(),
    ) {
        let grid = Grid::fit(&values, &scheme(bits, symmetry)).expect("small values");
        let (scale, zero) = (f64::from(grid.scale()), f64::from(grid.zero()));
        for &x in &values {
            let plain = (x / grid.scale()).round_ties_even() + f32::from(grid.zero());
            let plain = plain.clamp(0.0, f32::from(bits.max_code()));
            prop_assert_eq!(f32::from(grid.code(x)), plain);
            let value = scale * (f64::from(plain) - zero);
            prop_assert!((f64::from(grid.value(grid.code(x))) - value).abs() <= value.abs() * 1e-7);
            prop_assert_eq!(grid.snap(x), grid.value(grid.code(x)));
            let wide = WideGrid::from(grid);
            let step = WideGrid::step(wide.scale, wide.low, wide.high, x.into());
            prop_assert!((step - f64::from(plain) + zero).abs() <= 1.0);
        }
    }

    #[test]
    fn nothing_in_range_is_further_than_half_a_step(
        values in values(), bits in any_bits(), symmetry in any_symmetry(),
    ) {
        let grid = Grid::fit(&values, &scheme(bits, symmetry)).expect("small values");
        for &x in &values {
            // The rounded zero point may move the ends of an asymmetric range by half a step.
            let allowed = if symmetry.is_symmetric() { 0.5 } else { 1.0 };
            prop_assert!((grid.snap(x) - x).abs() <= grid.scale() * (allowed + 1e-4));
        }
    }

    #[test]
    fn a_searched_range_is_never_worse(
        values in values(), bits in any_bits(), symmetry in any_symmetry(), exponent in 1.0f32..3.0,
    ) {
        let plain = scheme(bits, symmetry);
        let search = RangeSearch::new(50, 0.7, exponent).expect("a valid search");
        let searched = WeightScheme { range: RangeRule::Search(search), ..plain };
        let (a, b) = (Grid::fit(&values, &plain), Grid::fit(&values, &searched));
        let (a, b) = (a.expect("small values"), b.expect("small values"));
        let error = |grid: Grid| -> f64 {
            let wrong = |&x: &f32| f64::from((grid.snap(x) - x).abs()).powf(exponent.into());
            values.iter().map(wrong).sum()
        };
        prop_assert!(error(b) <= error(a) * (1.0 + 1e-4) + 1e-12);
        prop_assert!(b.scale() <= a.scale());
    }

    #[test]
    fn zero_stays_zero(values in values(), bits in any_bits(), symmetry in any_symmetry()) {
        let grid = Grid::fit(&values, &scheme(bits, symmetry)).expect("small values");
        prop_assert_eq!(grid.snap(0.0), 0.0);
        prop_assert!(symmetry != Symmetry::Asymmetric(ZeroPoint::NonZero) || grid.zero() > 0);
    }
}

#[test]
fn steps_are_those_of_the_formats() {
    let full = Grid::fit(&[-3.0, 1.0], &scheme(Bits::Four, Symmetry::default()));
    assert_eq!(full, Some(Grid { scale: 3.0 / 7.5, zero: 8, max_code: 15 }));
    let narrow = Symmetry::Symmetric(SymmetricStep::Narrow);
    let narrow = Grid::fit(&[-254.0], &scheme(Bits::Eight, narrow)).expect("fits");
    assert_eq!((narrow.scale(), narrow.code(-254.0), narrow.code(254.0)), (2.0, 1, 255));
}

#[test]
fn zeros_have_a_grid_and_too_large_a_range_has_none() {
    for symmetry in [Symmetry::default(), Symmetry::Asymmetric(ZeroPoint::Any)] {
        let grid = Grid::fit(&[0.0; 5], &scheme(Bits::Four, symmetry)).expect("fits");
        assert_eq!((grid.scale(), grid.zero(), grid.code(0.0)), (1.0, 8, 8));
    }
    let half = WeightScheme::new(Bits::Two, Granularity::Channel).scales(ScaleType::F16);
    assert_eq!(Grid::fit(&[1e9], &half), None);
    assert_eq!(Grid::fit(&[-3e38, 3e38], &half.scales(ScaleType::F32).asymmetric()), None);
}
