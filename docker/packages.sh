#!/bin/sh
# Installs the service's packages into the active virtual environment, with uv. From the repository's root:
#   docker/packages.sh LIST MODELS [INDEX]
# LIST: requirements.txt or requirements-gpu.txt. MODELS: `free` leaves out face restoration and so PyTorch.
# INDEX: the index for PyTorch; by default the same as for all other packages.
set -eu
list=$1 models=$2 index=${3:-}

install() {
  uv pip install --excludes docker/excludes.txt "$@"
}

if [ "$models" = free ]; then
  install --excludes docker/excludes-free.txt --requirement "$list"
  exit
fi
# Without dependencies: PyTorch's index has few of them, and not always the pinned version.
uv pip install ${index:+--default-index "$index"} --no-deps --requirement docker/requirements-torch.txt
install --requirement docker/requirements-torch.txt --requirement docker/requirements-core.txt
# The build of basicsr imports PyTorch. In isolation it would download a second one.
install --requirement "$list" --no-build-isolation-package basicsr
