"""What the scripts that measure massval against transformers have in common: arguments, the model for both sides, and
running one side with its time and memory.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile
import time

# `massval --timings` says how long a step took on stderr: "massval: load 0.512 s", "massval: scan 1.734 s".
TIMING = re.compile(r"^massval: (\w+) ([0-9.]+) s$", re.MULTILINE)


def parser(program, description, rounds):
    """The arguments that every script takes; the first three come from scripts/peers.sh."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--massval", type=lambda path: pathlib.Path(path).resolve(), required=True)
    parser.add_argument("--repository", type=pathlib.Path, required=True)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=lambda path: pathlib.Path(path).resolve(), help="a Llama GGUF")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--out", type=pathlib.Path, help="write every number here as JSON")
    return parser


def fetch_model(arguments):
    script = arguments.repository / "scripts/fetch-smollm2.sh"
    output = subprocess.run([script], check=True, stdout=subprocess.PIPE, text=True).stdout
    return pathlib.Path(output.strip())


def hf_folder(arguments, model):
    """The same weights as a Hugging Face folder, made once for each GGUF of this name, size and age."""
    state = model.stat()
    folder = arguments.cache / f"hf-{model.stem}-{state.st_size}-{int(state.st_mtime)}"
    if not folder.exists():
        script = arguments.repository / "scripts/gguf_to_hf.py"
        quiet = os.environ | {"TQDM_DISABLE": "1"}
        subprocess.run([sys.executable, script, model, folder], check=True, stdout=sys.stderr, env=quiet)
    return folder


def timings(errors):
    """Seconds by step, out of what massval said on stderr."""
    return {step: float(number) for step, number in TIMING.findall(errors)}


def measure(command):
    """Runs a command to its end: the JSON on its stdout, its stderr, wall-clock seconds, peak resident bytes."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        said = errors.read().decode(errors="replace")
        if process.returncode != 0:
            sys.stderr.write(said[-2000:])
            sys.exit(f"{pathlib.Path(sys.argv[0]).stem}: exit status {process.returncode} from {' '.join(map(str, command))}")
        output.seek(0)
        return json.load(output), said, wall, usage.ru_maxrss * 1024


def machine():
    name = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    return f"{name}, {len(os.sched_getaffinity(0))} cores"
