#!/usr/bin/env python3
"""Writes a checkpoint of Llama-2-7B's shape with random bf16 weights (13.5 GB), to try what is larger than memory.

usage: scripts/make_large_checkpoint.py FOLDER [--layers N] [--seed S]

Needs nothing but Python. Shards of one layer each, an index, a config; no tokenizer: give token ids (--tokens).
Weights are drawn from +-[2^-7, 2^-5), norms are ones.
"""
import argparse
import json
import pathlib
import random

WIDTH, HIDDEN, VOCAB = 4096, 11008, 32000
CHUNK = 1 << 25


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": WIDTH,
        "intermediate_size": HIDDEN, "num_hidden_layers": arguments.layers, "num_attention_heads": 32,
        "num_key_value_heads": 32, "rms_norm_eps": 1e-05, "max_position_embeddings": 4096, "vocab_size": VOCAB,
        "tie_word_embeddings": False, "torch_dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    (arguments.folder / "config.json").write_text(json.dumps(config, indent=1))
    shards = [{"model.embed_tokens.weight": (VOCAB, WIDTH)}]
    shards += [layer(number) for number in range(arguments.layers)]
    shards += [{"model.norm.weight": (WIDTH,), "lm_head.weight": (VOCAB, WIDTH)}]
    draw = random.Random(arguments.seed)
    names, total = {}, 0
    for number, shapes in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        total += write(arguments.folder / file, shapes, draw)
        names |= {name: file for name in shapes}
    index = {"metadata": {"total_size": total}, "weight_map": names}
    (arguments.folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))
    print(f"{arguments.folder}: {total / 1e9:.2f} GB in {len(shards)} shards")


def layer(number):
    name = f"model.layers.{number}."
    shapes = {f"{name}self_attn.{letter}_proj.weight": (WIDTH, WIDTH) for letter in "qkvo"}
    shapes |= {f"{name}mlp.{which}_proj.weight": (HIDDEN, WIDTH) for which in ("gate", "up")}
    shapes |= {f"{name}mlp.down_proj.weight": (WIDTH, HIDDEN)}
    return shapes | {f"{name}{which}_layernorm.weight": (WIDTH,) for which in ("input", "post_attention")}


def write(path, shapes, draw):
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes.items():
            size = header[name]["data_offsets"][1] - header[name]["data_offsets"][0]
            if len(shape) == 1:
                out.write(b"\x80\x3f" * (size // 2))
                continue
            while size:
                part = min(size, CHUNK)
                out.write(weights(part, draw))
                size -= part
    return end


def weights(size, draw):
    """Random sign, mantissa and last bit of the exponent; the rest of the exponent is that of 2^-7."""
    bits = int.from_bytes(draw.randbytes(size), "little")
    keep = int.from_bytes(b"\xff\x80" * (size // 2), "little")
    base = int.from_bytes(b"\x00\x3c" * (size // 2), "little")
    return (bits & keep | base).to_bytes(size, "little")


if __name__ == "__main__":
    main()
