//! PyTorch's files: the same numbers as the safetensors they were made from, and damaged ones.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;

use super::super::{Format, StoredType, Weights};
use super::{Folder, refused, safetensors_file};

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(path)
}

const DICT: &[u8] = include_bytes!("../../../../../fixtures/tensor-files/dict.pt");
const LEGACY: &[u8] = include_bytes!("../../../../../fixtures/tensor-files/dict-legacy.pt");
const TWICE: &[u8] = include_bytes!("../../../../../fixtures/tensor-files/dict-twice.pt");

/// Every tensor of `b` is the same in `a`.
#[track_caller]
fn same(a: &Weights, b: &Weights) {
    for info in b.tensors() {
        assert_eq!(a.info(&info.name), Some(info));
        assert_eq!(a.read_native(&info.name).unwrap(), b.read_native(&info.name).unwrap());
        assert_eq!(a.read_f32(&info.name).unwrap(), b.read_f32(&info.name).unwrap());
        if info.shape.len() == 2 {
            let transposed = |weights: &Weights| weights.read_f32_transposed(&info.name).unwrap();
            assert_eq!(transposed(a), transposed(b), "{}", info.name);
        }
    }
}

#[test]
fn views_and_shared_storages_are_the_tensors_they_were() {
    let weights = Weights::open(&fixture("pytorch-llama/tied")).unwrap();
    let safetensors = Weights::open(&fixture("models/llama-gqa-tied")).unwrap();
    assert_eq!(weights.format(), Format::PyTorch);
    same(&weights, &safetensors);
    let (head, embed) = ("lm_head.weight", "model.embed_tokens.weight");
    assert_eq!(weights.tensors().len(), safetensors.tensors().len() + 1);
    assert_eq!(weights.read_f32(head).unwrap(), weights.read_f32(embed).unwrap());
    assert_eq!(weights.info(head).unwrap().dtype, StoredType::BF16);
    assert_eq!(weights.skipped(), [""; 0]);
}

#[test]
fn shards_and_their_index_are_one_checkpoint() {
    let folder = fixture("pytorch-llama/sharded");
    let safetensors = Weights::open(&fixture("models/llama-gqa-untied-sharded")).unwrap();
    for path in [folder.clone(), folder.join("pytorch_model.bin.index.json")] {
        let weights = Weights::open(&path).unwrap();
        assert_eq!((weights.files().len(), weights.format()), (2, Format::PyTorch));
        assert_eq!(weights.total_bytes(), safetensors.total_bytes());
        same(&weights, &safetensors);
    }
}

#[test]
fn safetensors_are_preferred() {
    let folder = Folder::new();
    folder.write("pytorch_model.bin", DICT);
    assert_eq!(Weights::open(folder.0.path()).unwrap().format(), Format::PyTorch);
    let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    folder.write("model.safetensors", safetensors_file(header, 4));
    assert_eq!(Weights::open(folder.0.path()).unwrap().format(), Format::Safetensors);
}

#[test]
fn a_single_file_of_any_name_is_opened_and_other_entries_are_listed() {
    let folder = Folder::new();
    for name in ["w.bin", "w.pt", "w.PTH"] {
        let weights = folder.open(name, DICT).unwrap();
        assert_eq!(weights.skipped(), ["step"]);
        assert_eq!(weights.info("layer.k").unwrap().dtype, StoredType::F64);
        assert_eq!(weights.read_f32("layer.q").unwrap()[..3], [0.0, 0.25, 0.5]);
    }
    let legacy = folder.open("legacy.bin", LEGACY).unwrap();
    assert_eq!(legacy.read_f32("q").unwrap()[..3], [0.0, 0.25, 0.5]);
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    for (name, bytes) in [("w.bin", DICT), ("legacy.bin", LEGACY)] {
        for length in (0..bytes.len()).step_by(29) {
            refused(name, &bytes[..length], "");
        }
        refused(name, &bytes[..bytes.len() / 2], "PyTorch");
    }
    refused("w.bin", &DICT[..DICT.len() - 30], "truncated");
}

#[test]
fn a_shard_cut_in_the_middle_is_named() {
    let folder = Folder::new();
    let source = fixture("pytorch-llama/sharded");
    for entry in std::fs::read_dir(&source).unwrap() {
        let entry = entry.unwrap();
        folder.write(entry.file_name().to_str().unwrap(), std::fs::read(entry.path()).unwrap());
    }
    Weights::open(folder.0.path()).unwrap();
    let shard = "pytorch_model-00002-of-00002.bin";
    let whole = std::fs::read(source.join(shard)).unwrap();
    folder.write(shard, &whole[..whole.len() / 2]);
    let error = Weights::open(folder.0.path()).unwrap_err().to_string();
    assert!(error.contains(shard) && error.contains("truncated"), "{error}");
    // The first shard in its place: its tensors are there twice, and its own are missing.
    folder.write(shard, std::fs::read(source.join("pytorch_model-00001-of-00002.bin")).unwrap());
    let error = Weights::open(folder.0.path()).unwrap_err().to_string();
    assert!(error.contains(shard) && error.contains("places tensor"), "{error}");
}

#[test]
fn two_tensors_under_one_name_are_refused() {
    refused("w.bin", TWICE, "tensor `a.b` is there twice");
}

#[test]
fn a_damaged_storage_is_found_when_it_is_read() {
    let folder = Folder::new();
    let mut damaged = DICT.to_vec();
    // 1.25 as f64, within the storage of `layer.k`.
    let at = damaged.windows(8).position(|bytes| bytes == 1.25f64.to_le_bytes()).unwrap();
    damaged[at] ^= 1;
    let weights = folder.open("w.bin", damaged).unwrap();
    let error = weights.read_f32("layer.k").unwrap_err().to_string();
    assert!(error.contains("w.bin") && error.contains("layer.k"), "{error}");
    assert!(weights.read_f32("layer.q").is_ok());
}

/// A checkpoint of one F32 tensor `w` of this shape and strides, over a storage said to have
/// `declared` numbers; the file has `held` bytes of it.
fn archive(shape: &[u32], strides: &[u32], declared: u32, held: usize) -> Vec<u8> {
    let integer = |n: &u32| [b"J".as_slice(), &n.to_le_bytes()].concat();
    let tuple = |ns: &[u32]| {
        [b"(", ns.iter().flat_map(integer).collect::<Vec<_>>().as_slice(), b"t"].concat()
    };
    let mut pickle = b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((".to_vec();
    pickle.extend(b"X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu");
    pickle.extend(integer(&declared));
    pickle.extend(b"tQK\0");
    pickle.extend(tuple(shape));
    pickle.extend(tuple(strides));
    pickle.extend(b"\x89ccollections\nOrderedDict\n)RtRs.");
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [("a/data.pkl", pickle), ("a/data/0", vec![0; held])] {
        zip.start_file(name, options).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_tensor_larger_than_its_file_asks_for_no_memory() {
    let sound = archive(&[2, 3], &[3, 1], 6, 24);
    assert_eq!(Folder::new().open("w.bin", sound).unwrap().read_f32("w").unwrap(), [0.0; 6]);
    // One number, repeated: 4 GB of zeros.
    let repeated = archive(&[1 << 30, 1], &[0, 0], 1, 4);
    refused("w.bin", repeated, "takes 4294967296 bytes, more than the whole file");
    refused("w.bin", archive(&[1 << 30], &[1], 6, 24), "w.bin");
    refused("w.bin", archive(&[1 << 30], &[1], 1 << 30, 24), "more than the whole file");
    refused("w.bin", archive(&[0, 3], &[3, 1], 6, 24), "no elements");
    // Within the file's length, but not within the storage.
    let short = Folder::new();
    let weights = short.open("w.bin", archive(&[7], &[1], 7, 24)).unwrap();
    let error = weights.read_f32("w").unwrap_err().to_string();
    assert!(error.contains("w.bin") && error.contains("'w'"), "{error}");
}

#[test]
fn code_in_a_pickle_is_not_run() {
    let folder = Folder::new();
    let touched = folder.0.path().join("touched");
    let touch = format!("touch {}", touched.display());
    let mut code = b"\x80\x02cos\nsystem\nX".to_vec();
    code.extend((touch.len() as u32).to_le_bytes());
    code.extend(touch.as_bytes());
    code.extend(b"\x85R.");
    assert!(folder.open("w.bin", code).is_err());
    assert!(!touched.exists());
}
