//! Random draws that belong to one item. Their arithmetic is here, not in a library that may change
//! it: a seed must give the same items for ever.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// The draws of item `index`: ChaCha8 seeded with the SHA-256 of set, seed and index, so that no item
/// depends on another one, and equal seeds in two sets have nothing in common.
pub(crate) fn item_rng(set: &str, seed: u64, index: usize) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(set.as_bytes());
    hash.update([0]); // no set's name holds it: the parts stay apart
    hash.update(seed.to_le_bytes());
    hash.update((index as u64).to_le_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// One of `0..n`, each as likely; 0 if there is none.
pub(crate) fn below(rng: &mut impl RngCore, n: usize) -> usize {
    if n < 2 {
        return 0;
    }
    let n = n as u64;
    // The largest multiple of n: what is above it would favour small numbers.
    let end = u64::MAX - u64::MAX % n;
    loop {
        let drawn = rng.next_u64();
        if drawn < end {
            return (drawn % n) as usize;
        }
    }
}

/// The first `k` of `0..n` in a random order; all of them if there are no more.
pub(crate) fn distinct(rng: &mut impl RngCore, k: usize, n: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..n).collect();
    shuffle_front(rng, &mut all, k);
    all.truncate(k);
    all
}

/// Brings `items` into a random order.
pub(crate) fn shuffle<T>(rng: &mut impl RngCore, items: &mut [T]) {
    shuffle_front(rng, items, items.len());
}

/// The first `k` swaps of Fisher and Yates.
fn shuffle_front<T>(rng: &mut impl RngCore, items: &mut [T], k: usize) {
    let n = items.len();
    for place in 0..k.min(n) {
        items.swap(place, place + below(rng, n - place));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn draws_are_the_same_for_ever() {
        let mut rng = item_rng("set", 7, 3);
        assert_eq!(distinct(&mut rng, 4, 100), [83, 78, 96, 28]);
    }

    #[test]
    fn set_seed_and_index_all_matter() {
        let first = |set, seed, index| item_rng(set, seed, index).next_u64();
        let draws = [first("a", 0, 0), first("b", 0, 0), first("a", 1, 0), first("a", 0, 1)];
        assert_eq!(draws.iter().collect::<BTreeSet<_>>().len(), 4);
    }

    #[test]
    fn every_number_is_as_likely() {
        let mut rng = item_rng("even", 0, 0);
        let mut count = [0_u32; 6];
        for _ in 0..60_000 {
            count[below(&mut rng, 6)] += 1;
        }
        // Six standard deviations of a binomial count.
        assert!(count.iter().all(|&n| n.abs_diff(10_000) < 550), "{count:?}");
    }

    proptest! {
        #[test]
        fn distinct_numbers_are_distinct_and_in_range(seed: u64, k in 0_usize..40, n in 0_usize..40) {
            let drawn = distinct(&mut item_rng("distinct", seed, 0), k, n);
            prop_assert_eq!(drawn.len(), k.min(n));
            prop_assert!(drawn.iter().all(|&i| i < n));
            prop_assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), drawn.len());
        }
    }
}
