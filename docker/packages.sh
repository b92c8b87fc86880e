#!/bin/sh
# The packages of an image. Called by the Dockerfiles, in the folder of a list of requirements:
#   packages.sh lists          writes service.txt, the list without tests and checks, and light.txt, that without models
#   packages.sh MODELS INDEX   installs service.txt into /opt/venv; PyTorch from INDEX, and only for restoration
set -eu
cd "$(dirname "$0")"

if [ "$1" = lists ]; then
  sed '/^# tests and checks$/,$d' requirements*.txt > service.txt
  sed '/^# models$/,/^$/d' service.txt > light.txt
  exit
fi

uv venv --quiet /opt/venv
export VIRTUAL_ENV=/opt/venv UV_COMPILE_BYTECODE=1
if [ "$1" = free ]; then
  grep -vE '^(torch|torchvision|basicsr)==' service.txt | uv pip install --requirement - --overrides overrides.txt
  exit
fi
# Without dependencies: that index has a few of them only, and not always the version that the list names.
grep -E '^(torch|torchvision)==' service.txt | uv pip install --default-index "$2" --no-deps --requirement -
grep -v '^basicsr==' service.txt | uv pip install --requirement - --overrides overrides.txt
# Its build asks for PyTorch: it gets the one that is here.
grep '^basicsr==' service.txt | uv pip install --requirement - --overrides overrides.txt --no-build-isolation
