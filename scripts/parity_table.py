#!/usr/bin/env python3
"""Writes docs/parity.md and crates/massval/data/parity.json: how far massval is from transformers on every case.

Runs the parity tests, which compare with the fixtures, and tabulates the largest absolute differences they print.
usage: scripts/parity_table.py [--date YYYY-MM-DD]
"""
import argparse
import datetime
import json
import pathlib
import platform
import subprocess
import sys

SITES = """logits embed resid_pre q k v q_normed k_normed rot_q rot_k attn_scores pattern z attn_out resid_mid mlp_pre
mlp_post mlp_out resid_post ln_final""".split()
COMMAND = ["cargo", "test", "--locked", "--workspace", "--test", "parity", "--test", "gguf"]
FLAGS = ["--nocapture", "--test-threads=1"]


def processor():
    with open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def run(root):
    command = [*COMMAND, "--", *FLAGS]
    tests = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if tests.returncode != 0:
        sys.exit(f"the parity tests failed:\n{tests.stdout[-2000:]}{tests.stderr[-2000:]}")
    lines = tests.stdout.splitlines()
    found = [json.loads(line.split("parity ", 1)[1]) for line in lines if "parity {" in line]
    if not found:
        sys.exit("the parity tests printed no differences")
    gguf = [json.loads(line.split("gguf ", 1)[1]) for line in lines if "gguf {" in line]
    return found, sorted(gguf, key=lambda case: case["case"])


def write_record(path, found, about, date):
    cases = [
        case | {"differences": {site: float(f"{apart:.1e}") for site, apart in case["differences"].items()}}
        for case in found
    ]
    lines = ",\n".join("    " + json.dumps(case) for case in cases)
    head = f'  "transformers": "{about["transformers"]}",\n  "torch": "{about["torch"]}",\n  "date": "{date}",'
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'{{\n{head}\n  "cases": [\n{lines}\n  ]\n}}\n')


def rounding(root, case):
    """How far transformers' own f32 run is from its f64 run, over all sites."""
    about = root / "fixtures/models" / case / "about.json"
    return json.loads(about.read_text())["max_abs_f32_minus_f64"] if about.exists() else None


def short(apart):
    if apart is None:
        return "–"
    return f"{apart:.1e}".replace("e-0", "e-") if apart else "0"


def tables(root, found):
    traits = ["| architecture | case | positions | norm | attention | block | MLP |", "|---" * 7 + "|"]
    names = ("position", "norm", "attention", "block", "mlp")
    rows = ["| case | theirs | " + " | ".join(SITES) + " |", "|---" * (len(SITES) + 2) + "|"]
    for case in found:
        cells = [", ".join(case["traits"][name]) for name in names]
        traits.append(f"| {case['architecture']} | `{case['case']}` | " + " | ".join(cells) + " |")
        apart = case["differences"]
        cells = [short(rounding(root, case["case"]))] + [short(apart.get(site)) for site in SITES]
        rows.append(f"| `{case['case']}` | " + " | ".join(cells) + " |")
    return traits, rows


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--date", default=datetime.date.today().isoformat())
    options = options.parse_args()
    root = pathlib.Path(__file__).resolve().parent.parent
    found, gguf = run(root)
    found.sort(key=lambda case: (case["architecture"], case["case"]))
    about = json.loads((root / "fixtures/models/gpt2/about.json").read_text())
    write_record(root / "crates/massval/data/parity.json", found, about, options.date)
    traits, rows = tables(root, found)
    ggufs = ", ".join(f"`{case['case']}` {short(case['logits'])}" for case in gguf)
    families = len({case["architecture"] for case in found})
    text = f"""# Parity with transformers

{len(found)} cases of {families} architectures: small random checkpoints, and what transformers {about['transformers']}
(torch {about['torch']}, eager attention) gives on them. What each case exercises stands in
[fixtures/README.md](../fixtures/README.md); `massval models` sums this up for each architecture.

## What the cases are

{chr(10).join(traits)}

## Largest absolute differences

In f32 on the CPU; logits against the same model in f64. The tests refuse more than 5e-5. "Theirs" is how far
transformers' own run in f32 is from its run in f64, over all sites: what rounding alone may do.

{chr(10).join(rows)}

A dash: the model has no such site, or (GGUF) only the logits are compared. `gpt2-rope` is compared with the plain
PyTorch reference beside the fixtures, for transformers has no such model.

Also refused by those tests: left-padded batches and continuation log-probabilities off by more than 5e-5, cached decoding
(token by token, in chunks, in a padded batch) off by more than 1e-4, and another greedy text. Cached decoding is not
compared with one pass where the rotation changes with the length of the sequence (`llama-dynamic-ntk`,
`phi3-longrope`): keys in a cache keep the angles of their own pass there, in transformers as here. In a padded batch of
those two, transformers turns every sequence by the length of the longest; here each is computed as it is alone, and
compared with that.

## GGUF

The families that llama.cpp exports, names and layouts as its converter gives them; logits against transformers with the
same weights ([fixtures/gguf-families](../fixtures/gguf-families)): {ggufs}.

The quantizers are compared with the published algorithms in [quantization.md](quantization.md).

Written by `scripts/parity_table.py` on {options.date} ({processor()}).
"""
    page = root / "docs/parity.md"
    kept = ""
    if page.exists() and "\n## wgpu" in page.read_text():
        kept = "\n## wgpu" + page.read_text().split("\n## wgpu", 1)[1]
    page.write_text(text + kept)
    print(f"wrote {page.relative_to(root)}: {len(found)} cases")


if __name__ == "__main__":
    main()
