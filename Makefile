# Needs Python 3.11 or newer (with venv) and make. Everything else is set up in .venv.
# Arguments for the program go in ARGS:  make chaos ARGS="--minutes 5 --kills 20"

PYTHON ?= python3
ARGS ?=
FUZZ_EXAMPLES ?= 100000

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCKER := uv==0.13.9
COMPILE := pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help setup test lint demo chaos simulation bench fuzz lock clean

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## .venv with the locked dependencies and the moment-sync command in it

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

test: lint ## set up, then every check and every test of CI
	$(BIN)/python -m pytest $(ARGS)

lint: setup ## format, lint, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_architecture.py

demo: setup ## the whole system on this machine, from Kafka to books
	$(BIN)/moment-sync demo $(ARGS)

chaos: setup ## kill workers, broker and database, then check the whole history
	$(BIN)/moment-sync chaos $(ARGS)

simulation: setup ## the pure core through random histories
	$(BIN)/moment-sync simulation $(ARGS)

bench: setup ## each benchmark beside its peers, with ratios
	$(BIN)/moment-sync benchmark $(ARGS)

fuzz: setup ## the readers and ingest against FUZZ_EXAMPLES inputs that nobody would send
	$(BIN)/python -m tests.schemas.fuzz --examples $(FUZZ_EXAMPLES)
	$(BIN)/python -m tests.streams.fuzz_ingest --examples $(FUZZ_EXAMPLES)

lock: setup ## write the locks anew from pyproject.toml; newer versions with ARGS=--upgrade
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(LOCKER)
	$(BIN)/uv $(COMPILE) pyproject.toml $(ARGS) -o requirements.lock
	$(BIN)/uv $(COMPILE) pyproject.toml --extra dev --constraints requirements.lock $(ARGS) -o requirements-dev.lock

clean: ## remove what tools left behind; .venv stays
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	find schemas connectors streams tests -name __pycache__ -type d -prune -exec rm -rf {} +
