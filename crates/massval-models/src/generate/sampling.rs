//! How the next token is chosen from the logits.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How the next token is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[non_exhaustive]
pub enum Sampling {
    /// The token with the largest logit; the smaller id of two equal ones.
    Greedy,
    /// At random by probability, after temperature, then top-k, then top-p, as transformers does.
    Random {
        /// Divides the logits; positive.
        temperature: f64,
        /// Only the k most likely tokens; all, if absent.
        top_k: Option<usize>,
        /// Only the most likely tokens that together reach this probability; all, if absent.
        top_p: Option<f64>,
        /// Equal seeds give equal tokens. Each sequence of a batch draws from its own stream.
        seed: u64,
    },
}

/// The choice for one sequence.
pub(super) enum Sampler {
    Greedy,
    Random { temperature: f64, top_k: usize, top_p: f64, rng: Box<ChaCha8Rng> },
}

impl Sampler {
    pub(super) fn new(sampling: &Sampling, row: usize) -> Result<Self> {
        let Sampling::Random { temperature, top_k, top_p, seed } = *sampling else {
            return Ok(Self::Greedy);
        };
        if !(temperature.is_finite() && temperature > 0.0) {
            let what = format!("temperature {temperature} is not positive; use greedy for 0");
            return Err(Error::input(what));
        }
        if top_k == Some(0) {
            return Err(Error::input("top-k of 0 leaves no token; leave it out to keep all"));
        }
        if top_p.is_some_and(|p| !(p > 0.0 && p <= 1.0)) {
            return Err(Error::input("top-p must be over 0 and at most 1"));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(row as u64);
        Ok(Self::Random {
            temperature,
            top_k: top_k.unwrap_or(usize::MAX),
            top_p: top_p.unwrap_or(1.0),
            rng: Box::new(rng),
        })
    }

    pub(super) fn choose(&mut self, logits: &[f32]) -> Result<u32> {
        // Minus infinity is how a hook forbids a token.
        let wrong = |logit: &f32| logit.is_nan() || *logit == f32::INFINITY;
        if let Some((at, logit)) = logits.iter().enumerate().find(|(_, logit)| wrong(logit)) {
            let what = format!("the logit of token {at} is {logit}, not finite; try --dtype f32");
            return Err(Error::input(what));
        }
        match self {
            Self::Greedy => Ok(argmax(logits)),
            Self::Random { temperature, top_k, top_p, rng } => {
                let candidates = candidates(logits, *temperature, *top_k, *top_p);
                Ok(draw(&candidates, rng.random::<f64>()))
            }
        }
    }
}

fn argmax(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().fold((0, f32::NEG_INFINITY), |best, (id, &logit)| {
        if logit > best.1 { (id, logit) } else { best }
    });
    best.0 as u32
}

/// Tokens and their weights (not normalised), most likely first.
fn candidates(logits: &[f32], temperature: f64, top_k: usize, top_p: f64) -> Vec<(u32, f64)> {
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    // Stable, so that equal logits stay in the order of their ids.
    order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
    order.truncate(top_k);
    let top = order.first().map_or(0.0, |&id| f64::from(logits[id as usize]));
    let weight = |id: u32| ((f64::from(logits[id as usize]) - top) / temperature).exp();
    let mut kept: Vec<(u32, f64)> = order.into_iter().map(|id| (id, weight(id))).collect();
    let total: f64 = kept.iter().map(|(_, w)| w).sum();
    let mut reached = 0.0;
    let enough = kept.iter().position(|(_, w)| {
        reached += w / total;
        reached >= top_p
    });
    if let Some(last) = enough {
        kept.truncate(last + 1);
    }
    kept
}

fn draw(candidates: &[(u32, f64)], uniform: f64) -> u32 {
    let total: f64 = candidates.iter().map(|(_, w)| w).sum();
    let mut left = uniform * total;
    for (id, weight) in candidates {
        left -= weight;
        if left < 0.0 {
            return *id;
        }
    }
    // Rounding may leave a crumb past the last one.
    candidates.last().map_or(0, |(id, _)| *id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(temperature: f64, top_k: Option<usize>, top_p: Option<f64>, seed: u64) -> Sampling {
        Sampling::Random { temperature, top_k, top_p, seed }
    }

    #[test]
    fn greedy_takes_the_first_of_equals() {
        let mut sampler = Sampler::new(&Sampling::Greedy, 0).unwrap();
        assert_eq!(sampler.choose(&[0.0, 3.0, 3.0, 1.0]).unwrap(), 1);
    }

    #[test]
    fn frequencies_follow_the_softmax() {
        let logits = [1.0f32, 2.0, 0.0, -1.0];
        let temperature = 0.7;
        let weights: Vec<f64> =
            logits.iter().map(|&l| (f64::from(l) / temperature).exp()).collect();
        let total: f64 = weights.iter().sum();
        let mut sampler = Sampler::new(&random(temperature, None, None, 5), 0).unwrap();
        let mut counts = [0u32; 4];
        let draws = 20_000;
        for _ in 0..draws {
            counts[sampler.choose(&logits).unwrap() as usize] += 1;
        }
        for (count, weight) in counts.iter().zip(&weights) {
            let expected = weight / total;
            let deviation = (expected * (1.0 - expected) / f64::from(draws)).sqrt();
            assert!((f64::from(*count) / f64::from(draws) - expected).abs() < 5.0 * deviation);
        }
    }

    #[test]
    fn top_k_and_top_p_leave_the_most_likely() {
        let logits = [0.0f32, 4.0, 3.0, 1.0];
        let ids = |c: Vec<(u32, f64)>| c.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!(ids(candidates(&logits, 1.0, 2, 1.0)), [1, 2]);
        // The softmax is 0.01, 0.69, 0.25, 0.03: 0.69 alone is not 0.7.
        assert_eq!(ids(candidates(&logits, 1.0, usize::MAX, 0.7)), [1, 2]);
        assert_eq!(ids(candidates(&logits, 1.0, usize::MAX, 0.6)), [1]);
    }

    #[test]
    fn seeds_and_streams() {
        let logits: Vec<f32> = (0..50).map(|i| (i % 7) as f32 * 0.1).collect();
        let tokens = |seed, row| {
            let mut sampler = Sampler::new(&random(1.0, None, None, seed), row).unwrap();
            (0..20).map(|_| sampler.choose(&logits).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(tokens(1, 0), tokens(1, 0));
        assert_ne!(tokens(1, 0), tokens(2, 0));
        assert_ne!(tokens(1, 0), tokens(1, 1));
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Sampler::new(&random(0.0, None, None, 0), 0).is_err());
        assert!(Sampler::new(&random(1.0, Some(0), None, 0), 0).is_err());
        assert!(Sampler::new(&random(1.0, None, Some(1.5), 0), 0).is_err());
        let mut greedy = Sampler::new(&Sampling::Greedy, 0).unwrap();
        assert!(greedy.choose(&[0.0, f32::NAN]).is_err());
        assert!(greedy.choose(&[0.0, f32::INFINITY]).is_err());
        assert_eq!(greedy.choose(&[f32::NEG_INFINITY, -1.0]).unwrap(), 1);
    }
}
