//! Any bytes as a PyTorch checkpoint.
#![no_main]

use libfuzzer_sys::fuzz_target;
use massval_fuzz::{read_weights, with_file};

fuzz_target!(|data: &[u8]| with_file("pytorch_model.bin", data, read_weights));
