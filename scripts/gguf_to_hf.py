"""Turns a Llama GGUF into a Hugging Face folder in f32, so that transformers can run the same weights.

usage: gguf_to_hf.py FILE.gguf FOLDER

transformers dequantises the blocks and undoes the row order of Q and K. Two things it gets wrong are put right: the
`Digits` rule of SmolLM's tokenizer, and epsilon, which comes out of the file as the f32 nearest to 1e-5.
FOLDER appears only when it is complete.
"""
import json
import os
import pathlib
import shutil
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from gguf import GGUFReader
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

SMOLLM_PRE_TOKENIZER = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ],
}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, target = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = pathlib.Path(tempfile.mkdtemp(prefix=".gguf_to_hf.", dir=target.parent))
    try:
        convert(source, scratch)
        if target.exists():
            shutil.rmtree(target)
        scratch.chmod(0o755)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def convert(source, folder):
    model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    tied = not any(tensor.name == "output.weight" for tensor in GGUFReader(source).tensors)
    config = model.config.to_dict()
    for field in ("_name_or_path", "_model_name_or_path", "quantization_config"):
        config.pop(field, None)
    config |= {
        "architectures": [type(model).__name__],
        "tie_word_embeddings": tied,
        "rms_norm_eps": float(f"{config['rms_norm_eps']:.6g}"),
        "dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    weights = {
        name: value.contiguous().clone()
        for name, value in model.state_dict().items()
        if not (tied and name == "lm_head.weight")
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(folder)
    field = GGUFReader(source).fields.get("tokenizer.ggml.pre")
    if field is not None and field.contents() == "smollm":
        path = folder / "tokenizer.json"
        tokenizer = json.loads(path.read_text())
        tokenizer |= {"pre_tokenizer": SMOLLM_PRE_TOKENIZER, "post_processor": None}
        path.write_text(json.dumps(tokenizer, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
