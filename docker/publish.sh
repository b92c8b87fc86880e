#!/usr/bin/env bash
# publish.sh IMAGE VERSION TAG...: pushes facecraft:TAG as IMAGE:TAG and IMAGE:VERSION-TAG, never as :latest.
# Called by `make publish`, which checks the images first.
set -euo pipefail
image=$1 version=$2
shift 2
if [[ $image != */* ]]; then
  echo "make publish: IMAGE=$image is not a repository of your own: make publish IMAGE=you/facecraft" >&2
  exit 2
fi
for tag in "$@"; do
  for name in "$image:$tag" "$image:$version-$tag"; do
    docker tag "facecraft:$tag" "$name"
    docker push "$name"
  done
done
