# `make` lists the commands. All of them run from the root.
BIN := .venv/bin
PYTHON ?= python3.11
export PYTHON GPU
# The images: VARIANT=cpu or gpu, MODELS=full, free or available; BUILD_FLAGS goes to `docker build`.
VARIANT ?= cpu
MODELS ?= full
IMAGE ?= facecraft
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' handler/__init__.py)
suffix := $(if $(filter free,$(MODELS)),-free)
# onnxruntime sends usage statistics when it is imported, unless it is told not to.
export ORT_DISABLE_TELEMETRY := 1

.PHONY: help install models demo minio rie compose compose-check test chaos lint bench quality image image-check publish pin clean
.DEFAULT_GOAL := help

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1|/' | awk -F'|' '{ printf "%-17s %s\n", $$1, $$2 }'

install: ## make .venv and load the models into models/ (GPU=1 for the GPU runtimes)
	@docker/install.sh

.venv/installed: requirements.txt requirements-gpu.txt docker/overrides.txt docker/install.sh docker/facecraft
	@docker/install.sh

models: .venv/installed ## load the models that are missing, verify the others
	$(BIN)/facecraft models fetch

demo: .venv/installed ## start the service, drop sample photos in, show the portraits
	$(BIN)/python -m tests.demo

models/u2netp.onnx: .venv/installed
	$(BIN)/facecraft models fetch u2netp

minio: .venv/installed ## build the MinIO server that some tests need (needs Go, 5 minutes, once)
	@$(BIN)/python -m tests.support.minio

rie: .venv/installed ## bring AWS' runtime interface emulator, which some tests need (8 MB, once)
	@$(BIN)/python -m tests.support.rie

compose: .venv/installed ## load the Docker Compose that some tests read docker-compose.yml with (20 MB, once)
	@$(BIN)/python -m tests.support.compose

compose-check: .venv/installed ## start docker-compose.yml and put photos in (needs Docker and the image; ARGS=--minio-from-source)
	$(BIN)/python -m tests.docker.compose_check $(ARGS)

test: .venv/installed models/u2netp.onnx ## run the tests, JOBS=2 at once (with the smallest cut-out model)
	$(BIN)/python -m pytest --numprocesses $(or $(JOBS),2) --dist loadfile --no-loadscope-reorder

chaos: .venv/installed ## kill everything N=200 times while photos arrive, and count what was lost (SEED=..., BUCKET=minio)
	$(BIN)/python -m tests.chaos $(or $(N),200) $(if $(SEED),--seed $(SEED)) $(if $(BUCKET),--bucket $(BUCKET))

lint: .venv/installed ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/hadolint docker/Dockerfile.cpu docker/Dockerfile.gpu

bench: .venv/installed ## measure speed and memory
	$(BIN)/python -m tests.bench

quality: .venv/installed ## measure the portraits' quality beside the original's
	$(BIN)/python -m tests.bench.quality

image: ## build facecraft:cpu (VARIANT=gpu, MODELS=free, BUILD_FLAGS=...)
	docker build $(BUILD_FLAGS) --build-arg MODELS=$(MODELS) --build-arg VERSION=$(VERSION) \
	  --build-arg REVISION=$(shell git rev-parse HEAD) -f docker/Dockerfile.$(VARIANT) -t facecraft:$(VARIANT)$(suffix) .

image-check: .venv/installed ## build it and prove what README says of it (the same variables)
	$(BIN)/python -m tests.image --variant $(VARIANT) --models $(MODELS) --flags="$(BUILD_FLAGS)"

publish: .venv/installed ## check both images, then push them: IMAGE=you/facecraft (MODELS=free, BUILD_FLAGS=...)
	for each in cpu gpu; do $(BIN)/python -m tests.image --publishable --variant $$each --models $(MODELS) --flags="$(BUILD_FLAGS)" || exit 1; done
	docker/publish.sh $(IMAGE) $(VERSION) cpu$(suffix) gpu$(suffix)

pin: ## pin the base of the images to what its tag stands for today
	docker/pin.sh

clean: ## remove what tests, checks and the demo made; .venv and models/ stay
	rm -rf build demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
