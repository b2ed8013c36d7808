//! Random numbers that depend on what they are for, and on nothing else.

use massval_hooks::{HookPoint, Site};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream of random numbers is for; a stream of its own for each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw {
    seed: u64,
    key: u64,
    point: HookPoint,
    head: usize,
    channel: usize,
    step: u64,
}

impl Draw {
    pub(crate) const fn at(seed: u64, point: HookPoint) -> Self {
        Self { seed, key: 0, point, head: usize::MAX, channel: usize::MAX, step: 0 }
    }

    /// For one prompt.
    pub(crate) const fn key(mut self, key: u64) -> Self {
        self.key = key;
        self
    }

    pub(crate) const fn head(mut self, head: usize) -> Self {
        self.head = head;
        self
    }

    pub(crate) const fn channel(mut self, channel: usize) -> Self {
        self.channel = channel;
        self
    }

    /// For the pass that begins at this token of the prompt's sequence.
    pub(crate) const fn step(mut self, token: u64) -> Self {
        self.step = token;
        self
    }

    pub(crate) fn rng(&self) -> ChaCha8Rng {
        let site = Site::ALL.iter().position(|&site| site == self.point.site);
        // The layer of a site outside the layers, and "no head", are the highest number.
        let small = |value: Option<usize>| {
            value.and_then(|value| u32::try_from(value).ok()).unwrap_or(u32::MAX).to_le_bytes()
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.key.to_le_bytes());
        bytes[16..20].copy_from_slice(&small(self.point.layer));
        bytes[20..24].copy_from_slice(&small(site));
        bytes[24..28].copy_from_slice(&small(Some(self.head)));
        bytes[28..].copy_from_slice(&small(Some(self.channel)));
        let mut rng = ChaCha8Rng::from_seed(bytes);
        rng.set_stream(self.step);
        rng
    }
}
