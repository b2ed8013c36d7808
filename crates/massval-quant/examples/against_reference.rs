//! Does again what `scripts/quant_reference.py dump` did on a real model's linears, and prints both side by side.
//!
//! usage: against_reference DUMP.safetensors
//!
//! `RAYON_NUM_THREADS` sets the number of threads. Exit code 1 if something is further apart than allowed.

#[path = "../tests/support/cases.rs"]
mod cases;

use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> cases::Result<bool> {
    let path = std::env::args_os().nth(1).ok_or("usage: against_reference DUMP.safetensors")?;
    let bytes = std::fs::read(path)?;
    let mut file = cases::File::new(&bytes)?;
    let mut passed = true;
    let mut methods: Vec<(String, f64, f64)> = Vec::new();
    for index in 0..file.cases.len() {
        let outcome = file.run(index)?;
        let case = &file.cases[index];
        passed &= outcome.passed();
        println!("{}{}\n{outcome}", case.name, if outcome.passed() { "" } else { "  APART" });
        if let Some((ours, theirs)) = outcome.seconds() {
            match methods.iter_mut().find(|(method, ..)| *method == case.method) {
                Some(method) => (method.1, method.2) = (method.1 + ours, method.2 + theirs),
                None => methods.push((case.method.clone(), ours, theirs)),
            }
        }
    }
    for (method, ours, theirs) in methods {
        let ratio = ours / theirs;
        println!("{method}: {ours:.3} s, reference {theirs:.3} s, ratio {ratio:.3}");
    }
    Ok(passed)
}
