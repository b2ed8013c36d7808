//! Any bytes as an index of shards.
#![no_main]

use libfuzzer_sys::fuzz_target;
use massval_fuzz::{read_weights, with_file};

fuzz_target!(|data: &[u8]| with_file("model.safetensors.index.json", data, read_weights));
