#!/usr/bin/env bash
# Times `massval disrupt` against the same experiment in transformers (scripts/peer_disrupt.py) on SmolLM2: passkey items
# of 143 tokens under three arms (none, bottom-k:1, top-k:1). Alternates, checks that both sides agree on the accuracies,
# and prints medians, the ratios, and both sides' peak memory.
#
# usage: scripts/bench-disrupt.sh [--rounds N] [--items N] [--max-new-tokens N] [--peer-batch N]
#                                 [--peer-attention eager|sdpa] [--model FILE.gguf] [--out RESULT.json]
#
# MASSVAL_BIN               the massval binary; built with cargo when not given
# MASSVAL_REFERENCE_PYTHON  a Python that has the packages of scripts/requirements-reference.txt; when not given, a venv
#                           with them is made once in the cache folder (about 6 GB with PyTorch's default wheels)
# MASSVAL_REFERENCE_CACHE   that cache folder; default ${XDG_CACHE_HOME:-~/.cache}/massval-reference
#
# Nothing is a test here: a busy machine gives other numbers, and the load is printed beside them.
set -euo pipefail

case ${1:-} in
  -h | --help)
    sed -n '2,14s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac

. "$(dirname "${BASH_SOURCE[0]}")/peers.sh"
exec "$python" "$scripts/bench_disrupt.py" --massval "$massval" --repository "$repository" --cache "$cache" "$@"
