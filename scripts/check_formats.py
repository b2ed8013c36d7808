"""Reads linears that massval-quant has written in every format, and compares them with the weights they stand for.

usage: check_formats.py [FOLDER]

FOLDER is what `cargo run -p massval-quant --example write_formats -- FOLDER` has written; without it, that is run.
Needs torch, safetensors and compressed-tensors (PyPI). compressed-tensors' own code reads its two formats and its
configs; AutoAWQ's and GPTQ's are read by their definitions, since their packages are not maintained for the CPU.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32
from compressed_tensors.quantization import QuantizationConfig
from compressed_tensors.quantization.lifecycle.forward import dequantize
from safetensors.torch import load_file

AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def compressed(tensors, config):
    scheme = next(iter(QuantizationConfig.model_validate(config).config_groups.values()))
    scale, bits = tensors["proj.weight_scale"], scheme.weights.num_bits
    zero = tensors.get("proj.weight_zero_point")
    if "proj.weight_packed" in tensors:
        shape = torch.Size(tensors["proj.weight_shape"].tolist())
        weight = unpack_from_int32(tensors["proj.weight_packed"], bits, shape)
        if zero is not None:
            zero = unpack_from_int32(zero, bits, (shape[0], scale.shape[1]), packed_dim=0)
    else:
        weight = tensors["proj.weight"]
    assert (zero is None) == scheme.weights.symmetric
    return dequantize(x_q=weight, scale=scale.float(), zero_point=zero, args=scheme.weights)


def bits_of(words, bits):
    """The values in a stream of words, lowest bits first, along the last dimension."""
    each = (words.long()[..., None] >> torch.arange(32)) & 1
    stream = each.flatten(-2)
    stream = stream[..., : stream.shape[-1] // bits * bits]
    return (stream.unflatten(-1, (-1, bits)) << torch.arange(bits)).sum(-1)


def awq(tensors, config):
    def unpack(words):
        nibbles = bits_of(words, 4).unflatten(-1, (-1, 8))
        values = torch.empty_like(nibbles)
        values[..., AWQ_ORDER] = nibbles
        return values.flatten(-2)

    codes, zeros = unpack(tensors["proj.qweight"]), unpack(tensors["proj.qzeros"])
    group = torch.arange(codes.shape[0]) // (codes.shape[0] // zeros.shape[0])
    return ((codes - zeros[group]) * tensors["proj.scales"].float()[group]).T


def gptq(tensors, config):
    codes = bits_of(tensors["proj.qweight"].T, config["bits"]).T
    zeros = bits_of(tensors["proj.qzeros"], config["bits"])
    zeros = zeros + (1 if config["checkpoint_format"] == "gptq" else 0)
    group = tensors["proj.g_idx"].long()
    return ((codes - zeros[group]) * tensors["proj.scales"].float()[group]).T


def main():
    if len(sys.argv) > 1:
        return check(pathlib.Path(sys.argv[1]))
    with tempfile.TemporaryDirectory() as folder:
        repository = pathlib.Path(__file__).resolve().parent.parent
        command = ["cargo", "run", "-q", "-p", "massval-quant", "--example", "write_formats", "--", folder]
        subprocess.run(command, cwd=repository, check=True)
        check(pathlib.Path(folder))


def check(folder):
    files, wrong = sorted(folder.glob("*.safetensors")), 0
    readers = {"compressed-tensors": compressed, "awq": awq, "gptq": gptq}
    for file in files:
        config, tensors = json.loads(file.with_suffix(".json").read_text()), load_file(file)
        found = readers[config["quant_method"]](tensors, config)
        apart = (found.double() - tensors["dequantized"].double()).abs().max().item()
        wrong += apart > 1e-6
        print(f"{file.stem:<40} {apart:.1e}{'  APART' if apart > 1e-6 else ''}")
    if not files or wrong:
        sys.exit(f"{wrong} of {len(files)} files are not what they stand for")


if __name__ == "__main__":
    main()
