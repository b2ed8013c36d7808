//! Rounding a cache against a plain version that looks at one entry at a time.

use proptest::prelude::*;

use super::*;
use crate::{Error, Grid};

fn case() -> impl Strategy<Value = (CacheShape, Vec<f32>)> {
    (1usize..3, 1usize..24, 1usize..4).prop_flat_map(|(heads, tokens, quarter)| {
        let shape = CacheShape { heads, tokens, head_dim: quarter * 4 };
        let entries = prop::collection::vec(-3.0f32..5.0, heads * tokens * shape.head_dim);
        (Just(shape), entries)
    })
}

fn axis() -> impl Strategy<Value = KvAxis> {
    prop_oneof![Just(KvAxis::PerChannel), Just(KvAxis::PerToken)]
}

proptest! {
    #[test]
    fn each_entry_is_rounded_by_its_own_group(
        (shape, cache) in case(), axis in axis(), group in proptest::option::of(1usize..5),
        first_tokens in 0usize..5, residual in 0usize..9, seed in any::<u64>(),
    ) {
        let group = group.filter(|g| axis == KvAxis::PerChannel || shape.head_dim % g == 0);
        let group = group.map(GroupSize::new).transpose()?;
        let scheme = KvScheme { group, first_tokens, residual, ..KvScheme::new(Bits::Three, axis) };
        let protected: Vec<bool> =
            (0..shape.heads * shape.head_dim).map(|i| (seed >> (i % 60)) & 3 == 0).collect();
        let tokens = scheme.settled(shape.tokens);
        let mut rounded = cache.clone();
        let report = scheme.round(&mut rounded, shape, tokens.clone(), Some(&protected))?;

        let at = |h: usize, t: usize, c: usize| (h * shape.tokens + t) * shape.head_dim + c;
        let mut error = 0.0;
        for h in 0..shape.heads {
            for t in 0..shape.tokens {
                for c in 0..shape.head_dim {
                    let is_protected = |c: usize| protected[h * shape.head_dim + c];
                    let before = cache[at(h, t, c)];
                    if !tokens.contains(&t) || is_protected(c) {
                        prop_assert_eq!(rounded[at(h, t, c)], before);
                        continue;
                    }
                    let own: Vec<f32> = match axis {
                        KvAxis::PerToken => {
                            let length = group.map_or(shape.head_dim, GroupSize::get);
                            let start = c / length * length;
                            let own = (start..start + length).filter(|&c| !is_protected(c));
                            own.map(|c| cache[at(h, t, c)]).collect()
                        }
                        KvAxis::PerChannel => {
                            let length = group.map_or(tokens.len(), GroupSize::get);
                            let start = tokens.start + (t - tokens.start) / length * length;
                            (start..start + length).map(|t| cache[at(h, t, c)]).collect()
                        }
                    };
                    let grid = Grid::fit(&own, &scheme.weights()).expect("small values");
                    prop_assert_eq!(rounded[at(h, t, c)], grid.snap(before));
                    error += f64::from(grid.snap(before) - before).powi(2);
                }
            }
        }
        prop_assert!((report.squared_error - error).abs() <= 1e-9 * (1.0 + error));
        let entries = shape.heads * shape.head_dim * tokens.len();
        prop_assert_eq!(report.entries, entries as u64);
    }

    #[test]
    fn a_cache_that_grows_ends_like_one_that_came_at_once(
        (shape, cache) in case(), axis in axis(), step in 1usize..5,
    ) {
        let scheme = KvScheme { first_tokens: 1, residual: 2, ..KvScheme::new(Bits::Two, axis) };
        let scheme = scheme.groups(2)?;
        let mut whole = cache.clone();
        scheme.round(&mut whole, shape, scheme.settled(shape.tokens), None)?;
        let mut grown = cache;
        let mut done = 0;
        for held in (1..=shape.tokens).filter(|n| n % step == 0 || *n == shape.tokens) {
            let settled = scheme.settled(held);
            let fresh = settled.start.max(done)..settled.end;
            scheme.round(&mut grown, shape, fresh, None)?;
            done = settled.end.max(done);
        }
        prop_assert_eq!(grown, whole);
    }

    #[test]
    fn kept_outliers_lower_the_error((shape, cache) in case(), axis in axis()) {
        let scheme = KvScheme::new(Bits::Two, axis);
        let outliers = OutlierShare::new(0.1)?;
        let mut plain = cache.clone();
        let without = scheme.round(&mut plain, shape, 0..shape.tokens, None)?;
        let mut kept = cache.clone();
        let scheme = KvScheme { outliers, ..scheme };
        let with = scheme.round(&mut kept, shape, 0..shape.tokens, None)?;
        let vector = if axis == KvAxis::PerToken { shape.head_dim } else { shape.tokens };
        let vectors = cache.len() / vector;
        prop_assert_eq!(with.outliers, (vectors * outliers.count(vector)) as u64);
        let same = cache.iter().zip(&kept).filter(|(a, b)| a == b).count();
        prop_assert!(same as u64 >= with.outliers);
        // Not a law for every vector, but four levels over a wider range are worse on the whole.
        prop_assert!(with.squared_error <= 1.5 * without.squared_error + 1.0);
    }
}

#[test]
fn settled_tokens_leave_the_first_the_newest_and_broken_groups() -> Result<()> {
    let plain = KvScheme::new(Bits::Four, KvAxis::PerToken);
    let scheme = KvScheme { first_tokens: 4, residual: 8, ..plain };
    for (tokens, settled) in [(0, 0..0), (4, 0..0), (12, 0..0), (13, 4..5), (30, 4..22)] {
        assert_eq!(scheme.settled(tokens), settled, "{tokens}");
    }
    let channels = KvScheme { axis: KvAxis::PerChannel, ..scheme }.groups(16)?;
    assert_eq!((channels.settled(27), channels.settled(44)), (0..0, 4..36));
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Result<()> {
    let shape = CacheShape { heads: 1, tokens: 2, head_dim: 4 };
    let scheme = KvScheme::new(Bits::Four, KvAxis::PerToken);
    let mut cache = [1.0; 8];
    assert!(matches!(scheme.round(&mut cache[1..], shape, 0..2, None), Err(Error::Shape { .. })));
    assert!(matches!(scheme.round(&mut cache, shape, 0..3, None), Err(Error::Outside { .. })));
    let flags = Some(&[true; 3][..]);
    assert!(matches!(scheme.round(&mut cache, shape, 0..2, flags), Err(Error::Shape { .. })));
    let groups = scheme.groups(3)?;
    assert!(matches!(groups.round(&mut cache, shape, 0..2, None), Err(Error::Group { .. })));
    cache[5] = f32::NAN;
    assert!(matches!(scheme.round(&mut cache, shape, 0..2, None), Err(Error::NonFinite { .. })));
    cache[5] = 1e9;
    assert!(matches!(
        scheme.round(&mut cache, shape, 0..2, None),
        Err(Error::ScaleOverflow { .. })
    ));
    assert!(OutlierShare::new(0.6).is_err() && OutlierShare::new(f64::NAN).is_err());
    Ok(())
}

#[test]
fn a_scheme_survives_json() -> Result<(), serde_json::Error> {
    let scheme: KvScheme = serde_json::from_str(r#"{"bits":2,"axis":"per-channel","group":32}"#)?;
    assert_eq!(scheme.settled(70), 0..64);
    let json = serde_json::to_string(&scheme)?;
    assert_eq!(serde_json::from_str::<KvScheme>(&json)?, scheme);
    assert!(
        serde_json::from_str::<KvScheme>(r#"{"bits":2,"axis":"per-channel","group":0}"#).is_err()
    );
    assert!(
        serde_json::from_str::<KvScheme>(r#"{"bits":2,"axis":"per-token","outliers":2}"#).is_err()
    );
    Ok(())
}
