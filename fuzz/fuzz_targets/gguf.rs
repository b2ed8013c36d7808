//! Any bytes as a GGUF checkpoint.
#![no_main]

use libfuzzer_sys::fuzz_target;
use massval_fuzz::{read_weights, with_file};

fuzz_target!(|data: &[u8]| with_file("fuzz.gguf", data, read_weights));
