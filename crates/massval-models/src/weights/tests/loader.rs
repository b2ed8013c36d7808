//! The loader's books.

use super::super::{Loader, Missing, Weights, WrongShape};
use super::{Folder, safetensors_file};

fn checkpoint(folder: &Folder) -> Weights {
    let header = r#"{"blk.0.attn.weight":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},
                     "blk.0.norm.weight":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},
                     "ids":{"dtype":"I32","shape":[1],"data_offsets":[24,28]},
                     "rope.inv_freq":{"dtype":"F32","shape":[2],"data_offsets":[16,24]}}"#;
    folder.open("w.safetensors", safetensors_file(header, 28)).unwrap()
}

#[test]
fn everything_taken_or_ignored_is_clean() {
    let folder = Folder::new();
    let weights = checkpoint(&folder);
    let mut loader = Loader::new(&weights);
    assert_eq!(loader.f32_transposed("blk.0.attn.weight", &[2, 1]).unwrap().unwrap().len(), 2);
    assert_eq!(loader.f32("blk.0.norm.weight", &[2]).unwrap().unwrap().len(), 2);
    loader.ignore("rope.inv_freq");
    loader.ignore("ids");
    loader.ignore("absent");
    let report = loader.finish();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.applied, ["blk.0.attn.weight", "blk.0.norm.weight"]);
    assert_eq!(report.ignored, ["rope.inv_freq", "ids"]);
}

#[test]
fn all_that_is_wrong_is_reported_at_once() {
    let folder = Folder::new();
    let weights = checkpoint(&folder);
    let mut loader = Loader::new(&weights);
    assert!(loader.contains("blk.0.norm.weight"));
    assert_eq!(loader.f32("blk.0.norm.weight", &[3]).unwrap(), None);
    assert_eq!(loader.f32("blk.0.atn.weight", &[2, 1]).unwrap(), None);
    assert_eq!(loader.f32_transposed("nothing alike", &[2, 1]).unwrap(), None);
    let report = loader.finish();
    assert!(!report.is_clean());
    let nearest = Some("blk.0.attn.weight".to_owned());
    assert_eq!(
        report.missing,
        [
            Missing { name: "blk.0.atn.weight".into(), nearest },
            Missing { name: "nothing alike".into(), nearest: None },
        ]
    );
    assert_eq!(report.unused, ["blk.0.attn.weight", "ids", "rope.inv_freq"]);
    let name = "blk.0.norm.weight".to_owned();
    let (expected, found, fields) = (vec![3], vec![2], Vec::new());
    assert_eq!(report.wrong_shape, [WrongShape { name, expected, found, fields }]);
}

#[test]
fn a_tensor_that_is_no_weight_is_an_error() {
    let folder = Folder::new();
    let weights = checkpoint(&folder);
    let error = Loader::new(&weights).f32("ids", &[1]).unwrap_err().to_string();
    assert!(error.contains("w.safetensors") && error.contains("`ids` is stored as I32"), "{error}");
}

#[test]
fn numbers_that_are_not_finite_are_an_error() {
    let header = r#"{"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}"#;
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let folder = Folder::new();
        let mut file = safetensors_file(header, 8);
        let end = file.len();
        file[end - 4..].copy_from_slice(&bad.to_le_bytes());
        let weights = folder.open("w.safetensors", file).unwrap();
        let mut loader = Loader::new(&weights);
        for taken in [
            loader.f32("w", &[2, 1]),
            loader.f32_transposed("w", &[2, 1]),
            loader.f32_transposed_unpermuted("w", &[2, 1], 2),
        ] {
            let error = taken.unwrap_err().to_string();
            assert!(error.contains("w.safetensors: tensor `w`: 1 of its 2 numbers"), "{error}");
        }
    }
}

#[test]
fn a_permuted_projection_needs_whole_heads() {
    let folder = Folder::new();
    let weights = checkpoint(&folder);
    let mut loader = Loader::new(&weights);
    let name = "blk.0.attn.weight";
    let plain = weights.read_f32(name).unwrap();
    assert_eq!(loader.f32_transposed_unpermuted(name, &[2, 1], 2).unwrap(), Some(plain));
    for head_dim in [0, 1, 4] {
        let error = loader.f32_transposed_unpermuted(name, &[2, 1], head_dim).unwrap_err();
        assert!(error.to_string().contains("no whole number of heads"), "{error}");
    }
}
