#!/usr/bin/env python3
"""Scans a checkpoint of Llama-2-7B's shape layer by layer, and compares time and memory with what they should be.

usage: scripts/bench_large.py FOLDER [--limit SIZE] [--tokens N] [--rounds R]

FOLDER keeps two checkpoints (scripts/make_large_checkpoint.py): `full` of 32 layers (13.5 GB) and `one` of a single
layer; they are made if they are not there. Printed for each round: the time to read all files of `full`, 32 times that
of a resident scan of the layer of `one` (the arithmetic), that of the scan of `full`, and the ratio of the last to the
sum of the others; the peak of resident memory, and what --dry-run said. Files are dropped from the system's cache
before they are read. MASSVAL_BIN names a built binary; else a release-like build is made by cargo.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAYERS = 32


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--limit", default="4GiB")
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    full, one = arguments.folder / "full", arguments.folder / "one"
    for folder, layers in [(full, LAYERS), (one, 1)]:
        if not (folder / "model.safetensors.index.json").exists():
            subprocess.run([sys.executable, ROOT / "scripts/make_large_checkpoint.py", folder, "--layers", str(layers)], check=True)
    binary = os.environ.get("MASSVAL_BIN") or build()
    ids = ",".join(str(3 + 37 * i % 31000) for i in range(arguments.tokens))
    scan = lambda folder, *more: [binary, "scan", str(folder), "--tokens", ids, "--timings", *more]

    plan = json.loads(subprocess.run(scan(full, "--memory-limit", arguments.limit, "--dry-run", "--json"),
                                     check=True, capture_output=True, text=True).stdout)  # fmt: skip
    ratios = []
    for _ in range(arguments.rounds):
        reading = read(full)
        layer = run(scan(one, "--memory-limit", "1TiB"))[1]["scan"]
        forget(full)
        begun = time.monotonic()
        peak, _ = run(scan(full, "--memory-limit", arguments.limit))
        took = time.monotonic() - begun
        ratios.append(took / (reading + LAYERS * layer))
        print(f"reading {reading:.1f} s, arithmetic {LAYERS * layer:.1f} s, scan {took:.1f} s: {ratios[-1]:.2f}; "
              f"peak {peak / 2**30:.2f} GiB, predicted {plan['memory'] / 2**30:.2f} GiB ({plan['memory'] / peak:.2f}); "
              f"time predicted {plan['seconds']:.0f} s")  # fmt: skip
    print(f"median ratio {statistics.median(ratios):.2f} (target 1.3), of {arguments.tokens} tokens")


def build():
    subprocess.run(["cargo", "build", "--locked", "--bin", "massval"], cwd=ROOT, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    return str(pathlib.Path(target) / "debug" / "massval")


def read(folder):
    """Seconds to read all files."""
    forget(folder)
    begun = time.monotonic()
    buffer = bytearray(1 << 24)
    for path in sorted(folder.glob("*.safetensors")):
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    return time.monotonic() - begun


def forget(folder):
    for path in folder.glob("*.safetensors"):
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run(command):
    """Peak resident memory in bytes, and the seconds that the binary tells of each step."""
    with tempfile.TemporaryDirectory() as out, tempfile.TemporaryFile() as told:
        child = subprocess.Popen([*command, "--out", out], stdout=subprocess.DEVNULL, stderr=told)
        _, status, used = os.wait4(child.pid, 0)
        told.seek(0)
        text = told.read().decode()
        if status != 0:
            sys.exit(f"{command[0]} failed: {text}")
    return used.ru_maxrss * 1024, {step: float(s) for step, s in re.findall(r"massval: (\w+) ([\d.]+) s", text)}


if __name__ == "__main__":
    main()
