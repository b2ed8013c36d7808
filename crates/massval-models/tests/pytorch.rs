//! A checkpoint gives the same logits from PyTorch's own files as from safetensors.

mod common;

use std::fs;
use std::path::Path;

use burn::tensor::{DType, Device};
use common::fixture;
use massval_hooks::HookSet;
use massval_models::{Batch, LogitsAt, Model};

fn logits(model: &Model) -> Vec<f32> {
    let batch = Batch::left_padded(&[&[3, 1, 4, 1, 5]]).unwrap();
    let at = LogitsAt::All;
    let logits = model.decoder().forward(&batch, None, &mut HookSet::none(), at).unwrap();
    logits.unwrap().into_data().try_into_vec().unwrap()
}

fn load(path: &Path) -> Model {
    Model::load(path, &Device::default(), DType::F32, &mut |_, _| {}).unwrap()
}

#[test]
fn the_same_weights_give_the_same_logits() {
    for (name, case) in [("tied", "llama-gqa-tied"), ("sharded", "llama-gqa-untied-sharded")] {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(fixture(&format!("pytorch-llama/{name}"))).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        let safetensors = fixture(&format!("models/{case}"));
        fs::copy(safetensors.join("config.json"), folder.path().join("config.json")).unwrap();
        let model = load(folder.path());
        assert_eq!(model.checkpoint().format, "PyTorch");
        assert_eq!(logits(&model), logits(&load(&safetensors)), "{case}");
    }
}
