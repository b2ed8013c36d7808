//! Quantized checkpoints, by the names and types of their tensors.

use super::{Folder, safetensors_file};

fn refuse(name: &str, dtype: &str, bytes: usize) -> crate::Result<()> {
    let header =
        format!(r#"{{"{name}":{{"dtype":"{dtype}","shape":[1],"data_offsets":[0,{bytes}]}}}}"#);
    let folder = Folder::new();
    folder.open("w.safetensors", safetensors_file(&header, bytes)).unwrap().refuse_quantized()
}

#[test]
fn packed_tensors_are_named_with_their_method() {
    for (name, dtype, bytes, whose) in [
        ("model.layers.0.mlp.up_proj.qweight", "I32", 4, "GPTQ or AWQ"),
        ("model.layers.0.mlp.up_proj.g_idx", "I32", 4, "GPTQ"),
        ("model.layers.0.mlp.up_proj.weight_scale", "BF16", 2, "FP8"),
        ("model.layers.0.mlp.up_proj.weight_scale_inv", "F32", 4, "FP8"),
        ("model.layers.0.mlp.up_proj.weight_packed", "I32", 4, "compressed-tensors"),
        ("model.layers.0.mlp.up_proj.SCB", "F32", 4, "bitsandbytes"),
        (
            "model.layers.0.mlp.up_proj.weight.quant_state.bitsandbytes__nf4",
            "U8",
            1,
            "bitsandbytes",
        ),
        ("model.layers.0.mlp.experts.down_proj_blocks", "U8", 1, "MXFP4"),
        ("model.layers.0.mlp.up_proj.weight", "F8_E4M3", 1, "F8_E4M3"),
        ("model.layers.0.mlp.up_proj.weight", "I8", 1, "I8"),
    ] {
        let error = refuse(name, dtype, bytes).unwrap_err().to_string();
        assert!(error.contains("w.safetensors") && error.contains(name), "{error}");
        assert!(error.contains(whose) && error.contains("is quantized"), "{error}");
    }
}

#[test]
fn plain_tensors_are_not() {
    refuse("model.layers.0.mlp.up_proj.weight", "BF16", 2).unwrap();
    refuse("h.0.attn.bias", "U8", 1).unwrap(); // GPT-2's causal mask
    refuse("position_ids", "I64", 8).unwrap();
}
