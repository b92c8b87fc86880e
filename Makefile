# `make` lists the commands. Run them from the repository's root.
BIN := .venv/bin
PYTHON ?= python3.11
export PYTHON GPU
# For the images: VARIANT is cpu or gpu, MODELS is full, free or available, BUILD_FLAGS is for `docker build`.
VARIANT ?= cpu
MODELS ?= full
IMAGE ?= facecraft
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' handler/__init__.py)
suffix := $(if $(filter free,$(MODELS)),-free)
# Without this, onnxruntime sends usage statistics when it is imported.
export ORT_DISABLE_TELEMETRY := 1

.PHONY: help install models demo minio rie compose compose-check test chaos lint bench quality image image-check publish pin clean
.DEFAULT_GOAL := help

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1|/' | awk -F'|' '{ printf "%-17s %s\n", $$1, $$2 }'

install: ## make .venv and fetch the models into models/ (GPU=1 for the GPU runtimes)
	@docker/install.sh

.venv/installed: requirements.txt requirements-gpu.txt $(wildcard docker/requirements-*.txt) tests/requirements.txt docker/excludes.txt docker/packages.sh docker/install.sh docker/facecraft
	@docker/install.sh

models: .venv/installed ## fetch missing models, verify the others
	$(BIN)/facecraft models fetch

demo: .venv/installed ## start the service, give it sample photos, show the portraits
	$(BIN)/python -m tests.demo

models/u2netp.onnx: .venv/installed
	$(BIN)/facecraft models fetch u2netp

minio: .venv/installed ## build the MinIO server that some tests need (once; needs Go, takes 5 minutes)
	@$(BIN)/python -m tests.support.minio

rie: .venv/installed ## download the AWS Lambda emulator that some tests need (once; 8 MB)
	@$(BIN)/python -m tests.support.rie

compose: .venv/installed ## download the Docker Compose that some tests need (once; 20 MB)
	@$(BIN)/python -m tests.support.compose

compose-check: .venv/installed ## start docker-compose.yml and put photos in (needs Docker and the image; ARGS=--minio-from-source)
	$(BIN)/python -m tests.docker.compose_check $(ARGS)

test: .venv/installed models/u2netp.onnx ## run the tests, JOBS=2 at a time, with the smallest cut-out model
	$(BIN)/python -m pytest --numprocesses $(or $(JOBS),2) --dist loadfile --no-loadscope-reorder

chaos: .venv/installed ## kill everything N=200 times while photos arrive, count what was lost (SEED=..., BUCKET=minio)
	$(BIN)/python -m tests.chaos $(or $(N),200) $(if $(SEED),--seed $(SEED)) $(if $(BUCKET),--bucket $(BUCKET))

lint: .venv/installed ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/hadolint docker/Dockerfile

bench: .venv/installed ## measure speed and memory
	$(BIN)/python -m tests.bench

quality: .venv/installed ## compare the quality of the portraits with the original's
	$(BIN)/python -m tests.bench.quality

image: ## build facecraft:cpu (VARIANT=gpu, MODELS=free, BUILD_FLAGS=...)
	docker build $(BUILD_FLAGS) --build-arg VARIANT=$(VARIANT) --build-arg MODELS=$(MODELS) --build-arg VERSION=$(VERSION) \
	  --build-arg REVISION=$(shell git rev-parse HEAD) -f docker/Dockerfile -t facecraft:$(VARIANT)$(suffix) .

image-check: .venv/installed ## build the image and check every claim about it (same variables)
	$(BIN)/python -m tests.image --variant $(VARIANT) --models $(MODELS) --flags="$(BUILD_FLAGS)"

publish: .venv/installed ## check both images, then push them: IMAGE=you/facecraft (MODELS=free, BUILD_FLAGS=...)
	for each in cpu gpu; do $(BIN)/python -m tests.image --publishable --variant $$each --models $(MODELS) --flags="$(BUILD_FLAGS)" || exit 1; done
	docker/publish.sh $(IMAGE) $(VERSION) cpu$(suffix) gpu$(suffix)

pin: ## pin the base image to the current digest of its tag
	docker/pin.sh

clean: ## remove what tests, checks and the demo made; keep .venv and models/
	rm -rf build demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
