//! Every family that llama.cpp exports: its GGUF gives the logits that transformers gives with the
//! same weights.

mod common;

use burn::tensor::{DType, Device};
use common::{Expected, difference, fixture};
use massval_hooks::HookSet;
use massval_models::{Batch, LogitsAt, Model, NormKind};

const CASES: [(&str, &str); 18] = [
    ("llama", "llama"),
    ("llama3-rope", "llama"),
    ("mixtral", "mixtral"),
    ("qwen2", "qwen2"),
    ("qwen3", "qwen3"),
    ("gemma", "gemma"),
    ("gemma2", "gemma2"),
    ("gemma3", "gemma3_text"),
    ("phi2", "phi"),
    ("phi3", "phi3"),
    ("falcon-7b", "falcon"),
    ("falcon-40b", "falcon"),
    ("olmo", "olmo"),
    ("olmo2", "olmo2"),
    ("gpt2", "gpt2"),
    ("gptneox", "gpt_neox"),
    ("bloom", "bloom"),
    ("mpt", "mpt"),
];

#[test]
fn logits_equal_transformers() {
    let mut wrong = Vec::new();
    for (case, architecture) in CASES {
        let path = fixture(&format!("gguf-families/{case}.gguf"));
        let loaded = Model::load(&path, &Device::default(), DType::F32, &mut |_, _| {});
        let model = match loaded {
            Ok(model) => model,
            Err(error) => {
                wrong.push(format!("{case}: {error}"));
                continue;
            }
        };
        assert_eq!(model.decoder().config().architecture, architecture);
        assert_eq!(model.checkpoint().unread_fields, [""; 0], "{case}");
        let expected = Expected::new(&format!("gguf-families/{case}.expected.safetensors"));
        let ids = expected.ids("token_ids");
        let rows: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        let batch = Batch::left_padded(&rows).unwrap();
        let logits =
            model.decoder().forward(&batch, None, &mut HookSet::none(), LogitsAt::All).unwrap();
        let logits: Vec<f32> = logits.unwrap().into_data().try_into_vec().unwrap();
        let apart = difference(&logits, expected.get("logits").1);
        println!("gguf {}", serde_json::json!({ "case": case, "logits": apart }));
        if apart > 5e-5 {
            wrong.push(format!("{case}: logits differ by {apart:e}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The converter adds Gemma's one to the norms; adding it again would double their weights.
#[test]
fn gemmas_norms_are_plain_ones() {
    for case in ["gemma", "gemma2", "gemma3"] {
        let path = fixture(&format!("gguf-families/{case}.gguf"));
        let checkpoint = massval_models::Checkpoint::inspect(&path).unwrap();
        assert_eq!(checkpoint.config.norm, NormKind::RmsNorm);
        assert!(checkpoint.report.is_clean(), "{case}: {}", checkpoint.report);
    }
}
