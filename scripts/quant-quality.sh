#!/bin/sh
# Quantizes a model by every method and measures perplexity before and after: the tables of docs/quantization.md.
#
# usage: quant-quality.sh MODEL [METHOD-BITS..]      such as gptq-4 rtn-3 w8a8-static; all by default
#
# MODEL is a Hugging Face folder. Calibration: 32 sequences of 512 tokens of Debian's licences; perplexity: 16 windows
# of 256 tokens of another one and of perl's manual. MASSVAL names the binary.
set -eu
model=$1
shift
massval=${MASSVAL:-target/debug/massval}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
licences=/usr/share/common-licenses
cat $licences/GPL-3 $licences/GPL-2 $licences/LGPL-2.1 $licences/MPL-2.0 > "$work/calibration.txt"
cp $licences/GFDL-1.3 "$work/GFDL-1.3.txt"
cp "$(find /usr/share/perl -name perldiag.pod | head -n 1)" "$work/perldiag.txt"
[ $# -gt 0 ] || set -- rtn-4 awq-4 gptq-4 rtn-3 awq-3 gptq-3 w8a8-static smooth-static w8a8-dynamic smooth-dynamic

score() {
    "$massval" perplexity "$1" --text "$work/$2" --window 256 --windows 16 --json |
        python3 -c 'import json, sys; print("%.3f" % json.load(sys.stdin)["arms"][0]["perplexity"])'
}

echo "| | GFDL-1.3 | perldiag | seconds |"
echo "|---|---|---|---|"
echo "| as it is | $(score "$model" GFDL-1.3.txt) | $(score "$model" perldiag.txt) | |"
for case in "$@"; do
    text="--text $work/calibration.txt --samples 32 --length 512"
    case $case in
        rtn-*) how="--method rtn --bits ${case#*-} --group-size 64 --format gptq-v2"; text= ;;
        awq-* | gptq-*) how="--method ${case%-*} --bits ${case#*-} --group-size 64 --format gptq-v2" ;;
        w8a8-static) how="--method rtn --bits 8 --activations static" ;;
        w8a8-dynamic) how="--method rtn --bits 8 --activations dynamic"; text= ;;
        smooth-*) how="--method smoothquant --alpha ${ALPHA:-0.5} --activations ${case#*-}" ;;
        *) echo "unknown case $case" >&2; exit 2 ;;
    esac
    # shellcheck disable=SC2086
    seconds=$("$massval" quantize "$model" $how $text ${EXTRA:-} --out "$work/$case" --timings 2>&1 >/dev/null |
        sed -n 's/^massval: quantize \(.*\) s$/\1/p')
    echo "| $case | $(score "$work/$case" GFDL-1.3.txt) | $(score "$work/$case" perldiag.txt) | $seconds |"
    rm -r "$work/$case"
done
