//! The published algorithms in PyTorch, on small linears: `fixtures/quant`, made by its `export.py`.

#[path = "support/cases.rs"]
mod cases;

use std::path::Path;

#[test]
fn every_case_of_the_reference_comes_out_the_same() -> cases::Result<()> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/quant/reference.safetensors");
    let bytes = std::fs::read(path)?;
    let mut file = cases::File::new(&bytes)?;
    assert!(file.cases.len() >= 14, "{} cases", file.cases.len());
    for index in 0..file.cases.len() {
        let outcome = file.run(index)?;
        let case = &file.cases[index];
        assert!(outcome.passed(), "{}\n{outcome}", case.name);
    }
    Ok(())
}
