//! Any bytes as a `.pt` file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use massval_fuzz::{read_tensors, with_file};

fuzz_target!(|data: &[u8]| with_file("fuzz.pt", data, read_tensors));
