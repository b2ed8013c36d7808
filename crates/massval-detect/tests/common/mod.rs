//! The definition, written as plainly as possible: what every front end is measured against.

use massval_detect::{Element, TokenSelection};

/// `sqrt(sum of x^2)` over the selected tokens in `f64`, one value at a time; also how many there were.
///
/// `at(batch, head, token, channel)` is the tensor.
pub fn slow_norms<T: Element>(
    [batch, heads, seq, head_dim]: [usize; 4],
    tokens: &TokenSelection,
    at: impl Fn(usize, usize, usize, usize) -> T,
) -> (u64, Vec<f64>) {
    let real = |b: usize, s: usize| {
        tokens.positions().contains(&s)
            && tokens.padding_mask().is_none_or(|mask| mask[b * seq + s])
    };
    let tokens: Vec<(usize, usize)> = (0..batch)
        .flat_map(|b| (0..seq).map(move |s| (b, s)))
        .filter(|&(b, s)| real(b, s))
        .collect();
    let mut norms = Vec::new();
    for head in 0..heads {
        for channel in 0..head_dim {
            let squares = tokens.iter().map(|&(b, s)| at(b, head, s, channel).to_f64().powi(2));
            norms.push(squares.sum::<f64>().sqrt());
        }
    }
    (tokens.len() as u64, norms)
}

/// The largest relative difference; a norm that should be zero must be zero.
pub fn worst(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let error = |(&found, &expected): (&f32, &f64)| match expected {
        0.0 if found == 0.0 => 0.0,
        _ => (f64::from(found) - expected).abs() / expected,
    };
    found.iter().zip(expected).map(error).fold(0.0, f64::max)
}
