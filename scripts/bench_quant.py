#!/usr/bin/env python3
"""Seconds and memory of `massval quantize`, against the published algorithm in PyTorch (quant_reference.py).

usage: bench_quant.py --method gptq|awq --model FOLDER [--blocks N] [--samples 32] [--tokens 512] [--threads 2]

Both read the same text (Debian's licences) on the same number of threads, one after the other: 4 bits in groups of 64.
PyTorch does the first N blocks, and its time is multiplied; it neither packs nor writes. MASSVAL_BIN names a built
massval, else target/debug/massval is taken. Memory is what the process itself holds (`RssAnon`): pages of the mapped
source file can be dropped at any time, and are given apart.
"""
import argparse
import os
import pathlib
import subprocess
import tempfile
import time

import torch

import quant_reference

LICENCES = [f"/usr/share/common-licenses/{name}" for name in ["GPL-3", "GPL-2", "LGPL-2.1", "MPL-2.0"]]
FORMAT = {"gptq": ["--format", "gptq-v2"], "awq": ["--format", "awq", "--asymmetric"]}


def memory(process):
    """Peaks of RssAnon and RssFile until the process ends, in MB."""
    peaks = {"RssAnon": 0, "RssFile": 0}
    while process.poll() is None:
        try:
            for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
                field, _, value = line.partition(":")
                if field in peaks:
                    peaks[field] = max(peaks[field], int(value.split()[0]) / 1e3)
        except OSError:
            pass
        time.sleep(0.02)
    return peaks


def massval(arguments, folder):
    text = pathlib.Path(folder, "calibration.txt")
    text.write_text("\n".join(pathlib.Path(path).read_text(encoding="utf-8") for path in LICENCES), encoding="utf-8")
    binary = os.environ.get("MASSVAL_BIN", "target/debug/massval")
    command = [binary, "quantize", arguments.model, "--method", arguments.method, "--bits", "4", "--group-size", "64",
               *FORMAT[arguments.method], "--text", str(text), "--samples", str(arguments.samples),
               "--length", str(arguments.tokens), "--threads", str(arguments.threads), "--out", f"{folder}/out"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peaks = memory(process)
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    return time.perf_counter() - begun, peaks


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=["gptq", "awq"], required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--blocks", type=int, help="only the first blocks in PyTorch, multiplied")
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    arguments.text = LICENCES
    torch.set_num_threads(arguments.threads)
    theirs = quant_reference.whole(arguments)
    with tempfile.TemporaryDirectory() as folder:
        ours, peaks = massval(arguments, folder)
    held, mapped = peaks["RssAnon"], peaks["RssFile"]
    print(f"massval quantize --method {arguments.method}: {ours:.1f} s, ratio {ours / theirs:.2f}; peak {held:.0f} MB, "
          f"mapped files {mapped:.0f} MB")


if __name__ == "__main__":
    main()
