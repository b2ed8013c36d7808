"""The measuring half of scripts/bench-disrupt.sh, which prepares what this needs; see there for the usage.

A round is one process of each side, one after the other, the order changing from round to round. Both read the same
items: massval makes them, and writes them to a file for the peer. Compared are, as each side reports them about itself,
the seconds from the loaded model to the last answer (prompts tokenized, answers scored and, by massval, compared and
written to files), the same with loading, and the wall-clock seconds of the whole process, Python's imports included.
Peak memory is the kernel's figure for the whole process (`ru_maxrss`), pages of memory-mapped files included.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import peers

# What massval is asked to do. `disrupt` runs the undisturbed model as well.
TASK = "passkey_reference:preset=wrapped"
DATA = "data {task} --limit {items} --tokenizer {model} --out {out}"
DISRUPT = (
    "disrupt {model} --task {task} --limit {items} --max-new-tokens {new_tokens}"
    " --select bottom-k:1 --select top-k:1 --out {out} --json --timings"
)
# What the peer is asked to do: the role of an arm in massval's result, and the peer's name for it.
ARMS = {"none": "none", "bottom": "bottom-k:1", "massive": "top-k:1"}

SECONDS = ["load_s", "run_s", "loaded_run_s", "wall_s"]


def main():
    arguments = parse()
    model = arguments.model or peers.fetch_model(arguments)
    folder = peers.hf_folder(arguments, model)
    ours, theirs = [], []
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        items = pathlib.Path(scratch) / "items.jsonl"
        subprocess.run(massval_command(arguments, DATA, model, items), check=True, stdout=sys.stderr)
        for round_number in range(arguments.rounds):
            out = pathlib.Path(scratch) / f"round-{round_number}"
            sides = [(run_massval, (model, out), ours), (run_peer, (folder, items), theirs)]
            for run, what, results in sides if round_number % 2 == 0 else sides[::-1]:
                results.append(run(arguments, *what))
            print(
                f"round {round_number + 1}: massval {ours[-1]['run_s']:.1f} s, "
                f"transformers {theirs[-1]['run_s']:.1f} s",
                file=sys.stderr,
            )
    report = summary(ours, theirs) | {
        "model": model.name,
        "rounds": arguments.rounds,
        "machine": peers.machine(),
        "load_before": load_before,
        "load_after": os.getloadavg()[0],
    }
    print_table(report)
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    if not report["agree"]:
        sys.exit("bench-disrupt: the sides disagree; `peer_disrupt.py --margins` tells where rounding may decide")


def parse():
    parser = peers.parser("bench-disrupt.sh", "massval disrupt against transformers", rounds=3)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--max-new-tokens", type=int, default=8)
    parser.add_argument("--peer-batch", type=int, default=20, help="items that transformers runs together")
    parser.add_argument("--peer-attention", choices=["eager", "sdpa"], default="sdpa")
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.items, arguments.max_new_tokens, arguments.peer_batch) < 1:
        parser.error("--rounds, --items, --max-new-tokens and --peer-batch must be at least 1")
    return arguments


def massval_command(arguments, template, model, out):
    values = {"model": model, "task": TASK, "items": arguments.items, "out": out}
    values["new_tokens"] = arguments.max_new_tokens
    return [arguments.massval, *(part.format(**values) for part in template.split())]


def run_massval(arguments, model, out):
    output, errors, wall, peak = peers.measure(massval_command(arguments, DISRUPT, model, out))
    seconds = peers.timings(errors)
    if not {"load", "disrupt"} <= seconds.keys():
        sys.exit(f"bench-disrupt: massval --timings named {sorted(seconds) or 'nothing'}, not load and disrupt")
    cells = {cell["arm"]: cell for cell in output["cells"]}
    arms = {arm["role"]: cells[arm["name"]] for arm in output["arms"]}
    if len(output["arms"]) != len(ARMS) or arms.keys() != ARMS.keys():
        sys.exit(f"bench-disrupt: massval ran {[arm['name'] for arm in output['arms']]}, not {list(ARMS.values())}")
    return {
        "items": {role: cell["score"]["n"] for role, cell in arms.items()},
        "right": {role: cell["score"]["correct"] for role, cell in arms.items()},
        "load_s": seconds["load"],
        "run_s": seconds["disrupt"],
        "loaded_run_s": seconds["load"] + seconds["disrupt"],
        "wall_s": wall,
        "peak_rss_bytes": peak,
    }


def run_peer(arguments, folder, items):
    script = arguments.repository / "scripts/peer_disrupt.py"
    command = [sys.executable, script, folder, "--items", items, "--limit", arguments.items]
    command += ["--batch", arguments.peer_batch, "--attention", arguments.peer_attention]
    command += ["--max-new-tokens", arguments.max_new_tokens]
    for arm in ARMS.values():
        command += ["--arm", arm]
    result, _, wall, peak = peers.measure(command)
    arms = dict(zip(ARMS, result["arms"]))
    return result | {
        "items": {role: len(arm["answers"]) for role, arm in arms.items()},
        "right": {role: arm["right"]["strict"] for role, arm in arms.items()},
        "loaded_run_s": result["load_s"] + result["run_s"],
        "wall_s": wall,
        "peak_rss_bytes": peak,
    }


def summary(ours, theirs):
    def medians(runs):
        return {field: statistics.median(run[field] for run in runs) for field in [*SECONDS, "peak_rss_bytes"]}

    massval, peer = medians(ours), medians(theirs)
    results = [{"items": run["items"], "right": run["right"]} for run in ours + theirs]
    return {
        "items": ours[0]["items"],
        "prompt_tokens": theirs[0]["prompt_tokens"],
        "max_new_tokens": theirs[0]["max_new_tokens"],
        "peer_batch": theirs[0]["batch"],
        "peer_attention": theirs[0]["attention"],
        "right": {"massval": ours[0]["right"], "transformers": theirs[0]["right"]},
        "agree": all(result == results[0] for result in results),
        "massval": massval,
        "transformers": peer,
        "ratios": {field: massval[field] / peer[field] for field in SECONDS},
        "massval_runs": ours,
        "transformers_runs": theirs,
    }


def print_table(report):
    ours, theirs, mib = report["massval"], report["transformers"], 1 << 20
    lengths = " and ".join(map(str, report["prompt_tokens"]))
    print(f"{report['model']}, {max(report['items'].values())} items of {lengths} tokens, {len(ARMS)} arms, "
          f"{report['max_new_tokens']} new tokens, f32, {report['rounds']} rounds, medians")
    print(f"{report['machine']}; load {report['load_before']:.1f} before, {report['load_after']:.1f} after; "
          f"transformers with {report['peer_attention']}, batches of {report['peer_batch']}")
    print(f"{'':24}{'massval':>10}{'transformers':>14}{'ratio':>8}")
    rows = ["load, s", "experiment, s", "with loading, s", "whole process, s"]
    for field, name in zip(SECONDS, rows):
        print(f"{name:24}{ours[field]:10.2f}{theirs[field]:14.2f}{report['ratios'][field]:8.2f}")
    print(f"{'peak memory, MiB':24}{ours['peak_rss_bytes'] / mib:10.0f}{theirs['peak_rss_bytes'] / mib:14.0f}")
    for role, arm in ARMS.items():
        print(f"{'right, ' + arm:24}{report['right']['massval'][role]:10}{report['right']['transformers'][role]:14}")
    print(f"ratio of the experiments: {report['ratios']['run_s']:.2f} without loading, "
          f"{report['ratios']['loaded_run_s']:.2f} with (limit 1.0)")


if __name__ == "__main__":
    main()
