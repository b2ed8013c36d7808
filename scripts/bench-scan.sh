#!/usr/bin/env bash
# Times `massval scan` against the same work in transformers (scripts/peer_scan.py) on SmolLM2, alternating, and prints
# medians, the ratio, and both sides' peak memory.
#
# usage: scripts/bench-scan.sh [--rounds N] [--tokens N] [--text FILE] [--model FILE.gguf] [--out RESULT.json]
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
    sed -n '2,12s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac

. "$(dirname "${BASH_SOURCE[0]}")/peers.sh"
exec "$python" "$scripts/bench_scan.py" --massval "$massval" --repository "$repository" --cache "$cache" "$@"
