#!/usr/bin/env bash
# Pins the base image in the Dockerfile to the digest that its tag now has in the registry. Called by `make pin`.
set -euo pipefail
cd "$(dirname "$0")"
tag=$(sed -n 's/^ARG BASE=\(.*\)@sha256:.*/\1/p' Dockerfile)
digest=$(docker buildx imagetools inspect "$tag" | awk '$1 == "Digest:" && !seen++ { print $2 }')
if [[ ! $digest =~ ^sha256:[0-9a-f]{64}$ ]]; then
  echo "make pin: the registry returned no digest for $tag: '$digest'" >&2
  exit 1
fi
sed -i "s|^ARG BASE=.*|ARG BASE=$tag@$digest|" Dockerfile
echo "$tag@$digest"
