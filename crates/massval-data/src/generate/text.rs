//! A prompt put together piece by piece.

use std::ops::Range;

/// The prompt made of `before`, `evidence` and `after`, and where the evidence is.
pub(super) fn enclose(before: &str, evidence: &str, after: &str) -> (String, Range<usize>) {
    let prompt = [before, evidence, after].concat();
    (prompt, before.len()..before.len() + evidence.len())
}

/// The sentences of the filler, in order.
pub(super) const FILLER: [&str; 5] = [
    "The grass is green.",
    "The sky is blue.",
    "The sun is yellow.",
    "Here we go.",
    "There and back again.",
];
