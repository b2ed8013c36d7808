//! Any bytes as a safetensors file: a checkpoint, and dumped tensors.
#![no_main]

use libfuzzer_sys::fuzz_target;
use massval_fuzz::{read_tensors, read_weights, with_file};

fuzz_target!(|data: &[u8]| with_file("fuzz.safetensors", data, |path| {
    read_weights(path);
    read_tensors(path);
}));
