#!/usr/bin/env bash
# Trains a pair of the preset `tiny`, with and without RoPE; kills one with -9 on the way and goes on with it. Fails
# unless losses fall, and the killed run ends bit for bit where one that was left alone does.
# Needs a built massval (MASSVAL_BIN, else target/debug/massval).
set -euo pipefail
massval=${MASSVAL_BIN:-${CARGO_TARGET_DIR:-target}/debug/massval}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

loss() { # of the first or last measurement of a run
  grep '"kind":"measurement"' "$1/log.jsonl" | "$2" -n 1 | sed 's/.*"loss":\([0-9.]*\).*/\1/'
}

for position in rope learned; do
  "$massval" train --preset tiny --position $position --out "$folder/$position"
  first=$(loss "$folder/$position" head) last=$(loss "$folder/$position" tail)
  echo "$position: loss $first to $last"
  awk -v first="$first" -v last="$last" 'BEGIN { exit !(last < 0.6 * first) }'
done

"$massval" train --preset tiny --position rope --out "$folder/killed" &
process=$!
while [ ! -d "$folder/killed/checkpoints/step-00000100" ]; do
  kill -0 $process # it must not end before
  sleep 0.2
done
kill -9 $process
wait $process 2>/dev/null || true
"$massval" train --resume --out "$folder/killed" >/dev/null
cmp "$folder/rope/model/model.safetensors" "$folder/killed/model/model.safetensors"
echo "killed and resumed: equal, bit for bit"
