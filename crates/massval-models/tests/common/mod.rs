//! The fixtures' cases and the device that the tests run on.

#![allow(dead_code)] // each test uses its part

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::{DType, Device};
use massval_models::Model;
use massval_models::tensorfile::{self, TensorData};

/// Every checkpoint under `fixtures/models`: one corpus for all tests and devices.
pub fn cases() -> Vec<String> {
    let folders = std::fs::read_dir(fixture("models")).expect("fixtures");
    let mut cases: Vec<String> = folders
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.join("expected.safetensors").exists())
        .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    cases.sort();
    assert!(cases.len() >= 38, "cases are missing: {cases:?}");
    cases
}

pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

/// The GPU if the build has a backend for one (features `wgpu`, `vulkan`, `cuda`), else the CPU.
pub fn device() -> Device {
    Device::default()
}

pub fn model(case: &str) -> Model {
    let path = fixture("models").join(case);
    Model::load(&path, &device(), DType::F32, &mut |_, _| {})
        .unwrap_or_else(|e| panic!("{case}: {e}"))
}

/// The expected tensors of a case, by name: shape and values.
pub struct Expected(BTreeMap<String, (Vec<usize>, Vec<f64>)>);

impl Expected {
    pub fn new(path: &str) -> Self {
        let tensors = tensorfile::read(&fixture(path)).expect("the fixture's tensors").tensors;
        let values = |data: &TensorData| match data {
            TensorData::F64(v) => v.clone(),
            TensorData::F32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            TensorData::I64(v) => v.iter().map(|&x| x as f64).collect(),
            other => panic!("{path}: {:?}", other.dtype()),
        };
        Self(tensors.into_iter().map(|t| (t.name, (t.shape, values(&t.data)))).collect())
    }

    pub fn of(case: &str) -> Self {
        Self::new(&format!("models/{case}/expected.safetensors"))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub fn get(&self, name: &str) -> (&[usize], &[f64]) {
        let (shape, values) = self.0.get(name).unwrap_or_else(|| panic!("no {name}"));
        (shape, values)
    }

    /// `[rows, seq]` ids as one vector for each row.
    pub fn ids(&self, name: &str) -> Vec<Vec<u32>> {
        let (shape, values) = self.get(name);
        let seq = *shape.last().expect("a shape");
        values.chunks(seq).map(|row| row.iter().map(|&id| id as u32).collect()).collect()
    }
}

/// The largest absolute difference; equal infinities differ by nothing.
pub fn difference(ours: &[f32], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let apart = |(a, b): (&f32, &f64)| {
        let a = f64::from(*a);
        if a == *b { 0.0 } else { (a - b).abs() }
    };
    let worst = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) };
    ours.iter().zip(theirs).map(apart).fold(0.0, worst)
}
