#!/usr/bin/env bash
# Opens a page that `massval scan`, `disrupt` or `sensitivity` wrote in headless Chromium, lets it try its own
# controls where it has some, and fails if a script failed, a control misbehaved, or the page scrolls
# sideways at 400 or 1400 pixels.
#
#   scripts/check-page.sh scan.html|disrupt.html|sensitivity.html
#
# CHROMIUM names the browser (default: chromium, else google-chrome).
set -euo pipefail

[ $# -eq 1 ] && [ -r "$1" ] || { echo "usage: $0 scan.html|disrupt.html|sensitivity.html" >&2; exit 2; }
page=$(realpath "$1")
browser=${CHROMIUM:-$(command -v chromium || command -v google-chrome || true)}
[ -n "$browser" ] || { echo "$0: no chromium found; set CHROMIUM" >&2; exit 2; }
# A page without controls runs no script, and cannot say that it is ready.
controls=
grep -q massvalSelftest "$page" && controls=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Chromium has a least window width above 400 pixels, so a frame of the wanted width holds the page.
# A frame made from text shares its parent's origin, so the parent can read the outcome.
frame() {
  python3 - "$page" "$1" >"$work/frame.html" <<'PY'
import html, sys
page = open(sys.argv[1], encoding="utf-8").read()
# `about:srcdoc` has no fragment of its own: the page is told to test itself by a global.
if "massvalSelftest" in page:
    page = page.replace("<head>", "<head><script>window.massvalSelftest = true;</script>", 1)
print(f"""<!doctype html><html><body style="margin:0"><iframe id="page" style="border:0;width:{sys.argv[2]}px;height:2000px"
srcdoc="{html.escape(page, quote=True)}"></iframe><script>
const frame = document.getElementById("page");
frame.addEventListener("load", () => {{
  const root = frame.contentDocument.documentElement;
  Object.assign(document.documentElement.dataset, root.dataset, {{ shown: root.clientWidth, needed: root.scrollWidth }});
}});
</script></body></html>""")
PY
}

failed=0
for width in 400 1400; do
  frame "$width"
  timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --hide-scrollbars \
    --user-data-dir="$work/profile" --window-size=1600,2000 --virtual-time-budget=20000 \
    --dump-dom "file://$work/frame.html" >"$work/dom.html" 2>"$work/log" || {
    echo "width $width: the browser failed:" >&2
    tail -5 "$work/log" >&2
    exit 1
  }
  root=$(grep -o '<html[^>]*>' "$work/dom.html" | head -1)
  ok=1
  [[ $root == *"data-shown=\"$width\""* && $root == *"data-needed=\"$width\""* && $root != *data-error* ]] || ok=
  if [ -n "$controls" ]; then
    [[ $root == *'data-ready="1"'* && $root == *'data-selftest="ok"'* && $root == *"data-width=\"$width\""* ]] || ok=
  fi
  if [ -n "$ok" ]; then
    echo "width $width: ok"
  else
    echo "width $width: FAILED: $root" >&2
    failed=1
  fi
done
exit "$failed"
