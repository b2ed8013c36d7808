"""The measuring half of scripts/bench-scan.sh, which prepares what this needs; see there for the usage.

A round is one process of each side, one after the other, the order changing from round to round. Compared are the
seconds of the forward pass with capture and norms, as each side reports them about itself: massval's only pass
(findings and summaries included), the peer's first pass, and the peer's second pass in the same process (warm, so the harder one to meet). Peak memory is
the kernel's figure for the whole process (`ru_maxrss`), pages of memory-mapped files included.
"""
import json
import os
import pathlib
import statistics
import sys
import tempfile

import peers


def main():
    arguments = parse()
    model = arguments.model or peers.fetch_model(arguments)
    folder = peers.hf_folder(arguments, model)
    ours, theirs = [], []
    load_before = os.getloadavg()[0]
    for round_number in range(arguments.rounds):
        sides = [(run_massval, model, ours), (run_peer, folder, theirs)]
        for run, what, results in sides if round_number % 2 == 0 else sides[::-1]:
            results.append(run(arguments, what))
        print(
            f"round {round_number + 1}: massval {ours[-1]['forward_s']:.2f} s, "
            f"transformers {theirs[-1]['forward_s']:.2f} s",
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


def parse():
    parser = peers.parser("bench-scan.sh", "massval scan against transformers", rounds=5)
    parser.add_argument("--text", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--tokens", type=int, default=512)
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.tokens < 1:
        parser.error("--rounds and --tokens must be at least 1")
    if arguments.text is None:
        arguments.text = arguments.repository / "fixtures/text/long.txt"
    return arguments


def run_massval(arguments, model):
    # The peer looks at Q, K and V alone, so massive activations are left out here too.
    options = ["--max-tokens", str(arguments.tokens), "--no-special-tokens", "--no-activations"]
    with tempfile.TemporaryDirectory() as scratch:
        command = [arguments.massval, "scan", model, "--text", arguments.text, *options, "--out", scratch]
        output, errors, wall, peak = peers.measure([*command, "--json", "--timings"])
    seconds = peers.timings(errors)
    if not {"load", "scan"} <= seconds.keys():
        sys.exit(f"bench-scan: massval --timings named {sorted(seconds) or 'nothing'}, not load and scan")
    return {
        "tokens": len(output["provenance"]["input"]["tokens"]),
        "massive_values": {total["site"]: total["count"] for total in output["totals"]},
        "load_s": seconds["load"],
        "forward_s": seconds["scan"],
        "wall_s": wall,
        "peak_rss_bytes": peak,
    }


def run_peer(arguments, folder):
    script = arguments.repository / "scripts/peer_scan.py"
    command = [sys.executable, script, folder, "--text", arguments.text]
    result, _, wall, peak = peers.measure([*command, "--max-tokens", str(arguments.tokens), "--repeat", "1"])
    if result["tokens"] != arguments.tokens:
        sys.exit(f"bench-scan: {arguments.text} has {result['tokens']} tokens, {arguments.tokens} are asked for")
    return result | {"wall_s": wall, "peak_rss_bytes": peak}


def summary(ours, theirs):
    def medians(runs, fields):
        return {field: statistics.median(run[field] for run in runs) for field in fields}

    for field in ("tokens", "massive_values"):
        if ours[0][field] != theirs[0][field]:
            print(f"bench-scan: the sides differ in {field}: {ours[0][field]}, {theirs[0][field]}", file=sys.stderr)
    weights = theirs[0]["weights_bytes"]
    massval = medians(ours, ["load_s", "forward_s", "wall_s", "peak_rss_bytes"])
    peer = medians(theirs, ["load_s", "first_s", "forward_s", "wall_s", "peak_rss_bytes"])
    return {
        "tokens": theirs[0]["tokens"],
        "weights_bytes": weights,
        "massval": massval,
        "transformers": peer,
        "ratio_to_warm_pass": massval["forward_s"] / peer["forward_s"],
        "ratio_to_first_pass": massval["forward_s"] / peer["first_s"],
        "massval_memory_above_weights": (massval["peak_rss_bytes"] - weights) / weights,
        "massval_runs": ours,
        "transformers_runs": theirs,
    }


def print_table(report):
    ours, theirs, mib = report["massval"], report["transformers"], 1 << 20
    print(f"{report['model']}, {report['tokens']} tokens, f32, {report['rounds']} rounds, medians")
    print(f"{report['machine']}; load {report['load_before']:.1f} before, {report['load_after']:.1f} after")
    print(f"{'':24}{'massval':>10}{'transformers':>14}")
    print(f"{'load, s':24}{ours['load_s']:10.2f}{theirs['load_s']:14.2f}")
    print(f"{'forward, first, s':24}{ours['forward_s']:10.2f}{theirs['first_s']:14.2f}")
    print(f"{'forward, warm, s':24}{'':10}{theirs['forward_s']:14.2f}")
    print(f"{'whole process, s':24}{ours['wall_s']:10.2f}{theirs['wall_s']:14.2f}   (two passes in transformers)")
    print(f"{'peak memory, MiB':24}{ours['peak_rss_bytes'] / mib:10.0f}{theirs['peak_rss_bytes'] / mib:14.0f}")
    print(f"ratio of the forward passes: {report['ratio_to_warm_pass']:.2f} of transformers' warm pass (limit 2.0), "
          f"{report['ratio_to_first_pass']:.2f} of its first")
    print(f"massval's peak above the weights ({report['weights_bytes'] / mib:.0f} MiB in f32): "
          f"{report['massval_memory_above_weights']:.2f} of their size (limit 1.3)")


if __name__ == "__main__":
    main()
