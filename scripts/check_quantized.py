"""Loads checkpoints that `massval quantize` has written with transformers and compressed-tensors, and compares logits.

usage: check_quantized.py [--massval BINARY] [--text FILE] [--tokens N] [--ids IDS] FOLDER..

Every folder must be one of `--format compressed-tensors`; `massval convert` makes one of any other. Prints a line for
each and fails if logits differ by more than 1e-3 anywhere, or if transformers cannot load one. Token ids, separated by
commas, are for models without a tokenizer. Needs torch, transformers, accelerate and
compressed-tensors (PyPI): scripts/requirements-reference.txt, and compressed-tensors==0.20.0.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

BOUND = 1e-3


def massval_logits(binary, folder, read):
    with tempfile.TemporaryDirectory() as place:
        out = pathlib.Path(place) / "logits.safetensors"
        command = [binary, "logits", folder, *read, "--all-positions", "--out", out]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return load_file(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--massval", default="target/debug/massval")
    parser.add_argument("--text", default="fixtures/text/natural.txt")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--ids")
    arguments = parser.parse_args()
    read = ["--text", arguments.text, "--max-tokens", str(arguments.tokens)]
    if arguments.ids:
        read = ["--tokens", arguments.ids]
    failed = False
    for folder in arguments.folders:
        ours = massval_logits(arguments.massval, folder, read)
        try:
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        except (RuntimeError, ValueError) as error:
            failed = True
            print(f"{folder}: not loaded: {error}")
            continue
        with torch.no_grad():
            theirs = model(ours["token_ids"].long().reshape(1, -1)).logits[0]
        apart = (ours["logits"] - theirs).abs().amax(-1)
        beyond = (~(apart <= BOUND)).sum().item()
        failed |= beyond > 0
        print(f"{folder}: largest difference of {theirs.numel()} logits {apart.max().item():.2e}, of at most {BOUND}", end="")
        print(f"; beyond it at {beyond} of {len(apart)} positions" if beyond else "")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
