//! Folders, shards and their index.

use super::super::Weights;
use super::{Folder, safetensors_file};

const INDEX: &str = "model.safetensors.index.json";

fn shard(name: &str) -> Vec<u8> {
    let entry = r#":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    safetensors_file(&format!("{{\"{name}\"{entry}}}"), 4)
}

fn sharded(index: &str) -> Folder {
    let folder = Folder::new();
    folder.write("1.safetensors", shard("a"));
    folder.write("2.safetensors", shard("b"));
    folder.write(INDEX, format!("{{\"weight_map\":{index}}}"));
    folder
}

#[track_caller]
fn folder_refused(folder: &Folder, expected: &[&str]) {
    let error = Weights::open(folder.0.path()).unwrap_err().to_string();
    for expected in expected {
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_folder_of_shards_is_one_checkpoint() {
    let folder = sharded(r#"{"a":"1.safetensors","b":"2.safetensors"}"#);
    for path in [folder.0.path().to_owned(), folder.0.path().join(INDEX)] {
        let weights = Weights::open(&path).unwrap();
        assert_eq!(weights.files().len(), 2);
        assert_eq!(weights.tensors().len(), 2);
        assert_eq!(weights.read_f32("b").unwrap(), [f32::from_le_bytes([0, 1, 2, 3])]);
    }
}

#[test]
fn of_both_the_single_file_is_opened() {
    let folder = sharded(r#"{"a":"1.safetensors","b":"2.safetensors"}"#);
    folder.write("model.safetensors", shard("c"));
    let weights = Weights::open(folder.0.path()).unwrap();
    assert_eq!(weights.tensors().map(|info| info.name.as_str()).collect::<Vec<_>>(), ["c"]);
}

#[test]
fn an_index_that_disagrees_with_its_shards_is_refused() {
    folder_refused(
        &sharded(r#"{"a":"1.safetensors","c":"2.safetensors"}"#),
        &["2.safetensors", "places tensor `c` here"],
    );
    folder_refused(
        &sharded(r#"{"a":"1.safetensors","b":"1.safetensors"}"#),
        &["1.safetensors", "places tensor `b` here"],
    );
    folder_refused(
        &sharded(r#"{"a":"1.safetensors","b":"3.safetensors"}"#),
        &["3.safetensors", "No such file"],
    );
    let folder = sharded(r#"{"a":"1.safetensors"}"#);
    let two = safetensors_file(
        r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
            "z":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
        2,
    );
    folder.write("1.safetensors", two);
    folder_refused(&folder, &["1.safetensors", "tensor `z`, of which the index knows nothing"]);
}

#[test]
fn a_tensor_in_two_shards_is_refused() {
    let folder = sharded(r#"{"a":"1.safetensors","b":"2.safetensors"}"#);
    let both = safetensors_file(
        r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
            "b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
        2,
    );
    folder.write("2.safetensors", both);
    folder_refused(&folder, &["2.safetensors", "`a`"]);
}

#[test]
fn an_index_that_leaves_its_folder_is_refused() {
    folder_refused(&sharded(r#"{"a":"../1.safetensors"}"#), &[INDEX, "own folder"]);
    folder_refused(&sharded(r#"{"a":"/dev/zero"}"#), &[INDEX, "own folder"]);
}

#[test]
fn a_folder_without_weights_says_what_it_has() {
    let folder = Folder::new();
    folder_refused(&folder, &["none of `model.safetensors`", "`pytorch_model.bin`"]);
    folder.write("m.Q4_0.gguf", "x");
    folder_refused(&folder, &["to read `m.Q4_0.gguf`"]);
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let folder = Folder::new();
    for (name, expected) in [("w.bin", "PyTorch"), ("w.txt", "a checkpoint is")] {
        let error = folder.open(name, "text").unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(expected), "{error}");
    }
    let absent = folder.0.path().join("absent.safetensors");
    assert!(Weights::open(&absent).unwrap_err().to_string().contains("absent.safetensors"));
    std::fs::create_dir(folder.0.path().join("model.safetensors")).unwrap();
    folder_refused(&folder, &["not a regular file"]);
}
