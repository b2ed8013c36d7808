# Sourced by the scripts that measure massval against transformers: finds both sides, or makes them. Sets `scripts`,
# `repository`, `cache`, `python` and `massval`; the environment variables are explained in those scripts.

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(dirname "$scripts")
cache=${MASSVAL_REFERENCE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/massval-reference}

python=${MASSVAL_REFERENCE_PYTHON:-}
if [ -z "$python" ]; then
  wanted=$(cksum <"$scripts/requirements-reference.txt" | cut -d' ' -f1)
  venv=$cache/bench-venv-$wanted
  python=$venv/bin/python
  if [ ! -e "$venv/complete" ]; then
    echo "$(basename "$0" .sh): making a venv with PyTorch and transformers in $venv" >&2
    python3 -m venv --clear "$venv"
    "$python" -m pip install --quiet --disable-pip-version-check -r "$scripts/requirements-reference.txt"
    touch "$venv/complete"
  fi
fi

massval=${MASSVAL_BIN:-}
if [ -z "$massval" ]; then
  (cd "$repository" && cargo build --locked --quiet --bin massval)
  massval=${CARGO_TARGET_DIR:-$repository/target}/debug/massval
fi
