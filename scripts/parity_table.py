#!/usr/bin/env python3
"""Writes docs/parity.md: how far massval is from transformers on every case of the corpus.

Runs the parity tests, which compare with the fixtures, and tabulates the largest absolute differences they print.
usage: scripts/parity_table.py [--date YYYY-MM-DD]
"""
import argparse
import collections
import datetime
import json
import pathlib
import platform
import re
import subprocess
import sys

SITES = [
    ("logits", "logits"), ("hook_q", "q"), ("hook_k", "k"), ("hook_v", "v"), ("hook_rot_q", "rot_q"),
    ("hook_rot_k", "rot_k"), ("hook_attn_scores", "attn_scores"), ("hook_pattern", "pattern"), ("hook_z", "z"),
    ("hook_attn_out", "attn_out"), ("hook_resid_mid", "resid_mid"), ("hook_pre", "mlp_pre"), ("hook_post", "mlp_post"),
    ("hook_mlp_out", "mlp_out"), ("hook_resid_post", "resid_post"), ("hook_normalized", "ln_final"),
]
LINE = re.compile(r"((?:llama|gpt2|gguf)[\w -]*): (\w+) ([\d.]+e?-?\d*)")
COMMAND = ["cargo", "test", "--locked", "--workspace", "--test", "parity", "--", "--nocapture", "--test-threads=1"]


def processor():
    with open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--date", default=datetime.date.today().isoformat())
    options = options.parse_args()
    root = pathlib.Path(__file__).resolve().parent.parent
    run = subprocess.run(COMMAND, cwd=root, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"the parity tests failed:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
    found = collections.OrderedDict()
    for case, site, apart in LINE.findall(run.stdout):
        found.setdefault(case, {})[site] = apart
    if not found:
        sys.exit("the parity tests printed no differences")
    about = json.loads((root / "fixtures/models/gpt2/about.json").read_text())
    rows = ["| case | " + " | ".join(name for _, name in SITES) + " |", "|---" * (len(SITES) + 1) + "|"]
    for case, sites in found.items():
        rows.append(f"| `{case}` | " + " | ".join(sites.get(key, "–") for key, _ in SITES) + " |")
    text = f"""# Parity with transformers

Largest absolute difference, f32 on the CPU, from transformers {about['transformers']} (torch {about['torch']}, eager
attention) on small random checkpoints; logits against the same model in f64. The tests refuse more than 5e-5. What each
case exercises stands in [fixtures/README.md](../fixtures/README.md).

{chr(10).join(rows)}

Also refused by those tests: left-padded batches and continuation log-probabilities off by more than 5e-5, cached decoding
(token by token, in chunks, in a padded batch) off by more than 1e-4, and another greedy text.

A dash: the model has no such site, or (GGUF) only the logits are compared. `gpt2-rope` is compared with the plain
PyTorch reference beside the fixtures, for transformers has no such model.

Written by `scripts/parity_table.py` on {options.date} ({processor()}).
"""
    page = root / "docs/parity.md"
    kept = ""
    if page.exists() and "\n## " in page.read_text():
        kept = "\n## " + page.read_text().split("\n## ", 1)[1]
    page.write_text(text + kept)
    print(f"wrote {page.relative_to(root)}: {len(found)} cases")


if __name__ == "__main__":
    main()
