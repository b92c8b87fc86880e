#!/bin/sh
# The packages of an image, without those of tests and checks. Called by the Dockerfiles, beside a list of requirements:
#   packages.sh light          what `python -m handler models` imports, into the system's Python
#   packages.sh MODELS INDEX   what the service runs on, into /opt/venv; PyTorch from INDEX, and only for restoration
set -eu
cd "$(dirname "$0")"

service() { sed '/^# tests and checks$/,$d' requirements*.txt; }

if [ "$1" = light ]; then
  service | sed '/^# models$/,/^$/d' | uv pip install --system --requirement -
  exit
fi

uv venv --quiet /opt/venv
export VIRTUAL_ENV=/opt/venv UV_COMPILE_BYTECODE=1
if [ "$1" = free ]; then
  service | grep -vE '^(torch|torchvision|basicsr)==' | uv pip install --requirement - --overrides overrides.txt
  exit
fi
# Without dependencies: that index has a few of them only, and not always the version that the list names.
service | grep -E '^(torch|torchvision)==' | uv pip install --default-index "$2" --no-deps --requirement -
service | grep -v '^basicsr==' | uv pip install --requirement - --overrides overrides.txt
# Its build asks for PyTorch: it gets the one that is here.
service | grep '^basicsr==' | uv pip install --requirement - --overrides overrides.txt --no-build-isolation
