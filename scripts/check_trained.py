#!/usr/bin/env python3
"""Loads models that massval trained in transformers, and compares logits and greedy text with massval's own.

Needs PyTorch and transformers; MASSVAL_BIN names a built massval, else cargo builds it. Models that are massval's own
architecture have no peer.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

TEXT = "the pass key is 4 7 1 . remember it . what is the pass key ? the pass key is"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    carried = [pathlib.Path(__file__).parent.parent / "fixtures" / f"{name}-small" for name in ("rope", "learned")]
    parser.add_argument("folders", nargs="*", default=carried)
    binary = os.environ.get("MASSVAL_BIN")
    command = [binary] if binary else ["cargo", "run", "-q", "--bin", "massval", "--"]
    for folder in parser.parse_args().folders:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        ids = tokenizer(TEXT, return_tensors="pt").input_ids
        with tempfile.TemporaryDirectory() as temporary:
            out = pathlib.Path(temporary) / "logits.safetensors"
            arguments = ["logits", str(folder), "--prompt", TEXT, "--all-positions", "--out", str(out)]
            subprocess.run(command + arguments, check=True, stdout=subprocess.DEVNULL)
            ours = load_file(out)
        assert ids[0].tolist() == ours["token_ids"].flatten().tolist(), "the tokenizers differ"
        with torch.no_grad():
            theirs = model(ids).logits[0]
        apart = (theirs - ours["logits"].view_as(theirs)).abs().max().item()
        text = tokenizer.decode(model.generate(ids, max_new_tokens=3, do_sample=False)[0, ids.shape[1] :])
        print(f"{folder}: {type(model).__name__}, logits within {apart:.1e}, answers {text!r}")
        assert apart < 5e-5


if __name__ == "__main__":
    main()
