#!/bin/sh
# Runs every fuzz target for a while, from the fixtures as seeds.
#
#   fuzz/run.sh [SECONDS PER TARGET, default 60] [TARGET ...]
#
# Needs cargo-fuzz (`cargo install cargo-fuzz`); stable Rust will do.
set -eu
cd "$(dirname "$0")"
seconds=${1:-60}
[ $# -gt 0 ] && shift
targets=${*:-safetensors index gguf bin npy npz pt}
fixtures=../fixtures

for target in $targets; do
    corpus=corpus/$target
    mkdir -p "$corpus"
    case $target in
    safetensors) cp "$fixtures"/gguf-quants/expected.safetensors "$corpus" ;;
    gguf) cp "$fixtures"/gguf-quants/quants.gguf "$corpus" ;;
    index) printf '{"weight_map":{"a":"b.safetensors"}}' >"$corpus/small" ;;
    bin) cp "$fixtures"/tensor-files/dict*.pt "$corpus" ;;
    *) cp "$fixtures"/tensor-files/*."$target" "$corpus" ;;
    esac
    cargo fuzz run --sanitizer none "$target" -- \
        -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -max_len=8192
done
