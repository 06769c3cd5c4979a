# Needs Python 3.11 or newer (with venv) and make. Everything else is set up in .venv.
# Arguments for the program go in ARGS:  make chaos ARGS="--minutes 5 --kills 20"

PYTHON ?= python3
ARGS ?=
FUZZ_EXAMPLES ?= 100000
# Files of tests at once: most of the time they wait, for a broker or for a clock.
AT_ONCE ?= 3

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCKER := uv==0.13.9
# Apart from what we ship: what looks at dependencies brings many of its own.
CHECKERS := .venv-checkers
INSTALL_CHECKERS := ($(PYTHON) -m venv $(CHECKERS) && $(CHECKERS)/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1 cyclonedx-bom==7.5.0)
COMPILE := pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help setup test browser lint demo chaos soak simulation bench profile fuzz lock audit sbom clean

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## .venv with the locked dependencies and the moment-sync command in it

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

test: lint browser ## set up, then every check and every test of CI
	$(BIN)/python -m pytest --numprocesses $(AT_ONCE) --dist loadfile --no-loadscope-reorder $(ARGS)

browser: setup ## what the tests of the console's pages use, where it can be had; they say so where not
	@missing=; for tool in chromium npm; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	  [ -z "$$missing" ] || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
	  (apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing >/dev/null) || true
	@command -v npm >/dev/null && npm ci --prefix tests/console --silent || \
	  echo "axe-core is not installed: the tests in a browser are skipped"

lint: setup ## format, lint, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_architecture.py

demo: setup ## the whole system on this machine, from Kafka to books
	$(BIN)/moment-sync demo $(ARGS)

chaos: setup ## kill workers, broker and database, then check the whole history
	$(BIN)/moment-sync chaos $(ARGS)

soak: setup ## steady load and faults for an hour; what grows is told
	$(BIN)/moment-sync soak $(ARGS)

simulation: setup ## the pure core through random histories
	$(BIN)/moment-sync simulation $(ARGS)

bench: setup ## each benchmark beside its peers, with ratios
	$(BIN)/moment-sync benchmark $(ARGS)

profile: setup ## where a worker's time goes: flame graph and largest costs
	$(BIN)/python -m benchmarks.profile $(ARGS)

fuzz: setup ## the readers and ingest against FUZZ_EXAMPLES inputs that nobody would send
	$(BIN)/python -m tests.schemas.fuzz --examples $(FUZZ_EXAMPLES)
	$(BIN)/python -m tests.streams.fuzz_ingest --examples $(FUZZ_EXAMPLES)

lock: setup ## write the locks anew from pyproject.toml; newer versions with ARGS=--upgrade
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(LOCKER)
	$(BIN)/uv $(COMPILE) pyproject.toml $(ARGS) -o requirements.lock
	$(BIN)/uv $(COMPILE) pyproject.toml --extra dev --constraints requirements.lock $(ARGS) -o requirements-dev.lock

audit: ## known weaknesses of what is locked
	$(CHECKERS)/bin/pip-audit --version >/dev/null 2>&1 || $(INSTALL_CHECKERS)
	$(CHECKERS)/bin/pip-audit --strict --require-hashes --disable-pip --requirement requirements.lock $(ARGS)

sbom: ## build/moment-sync.cdx.json: what is in it, as CycloneDX
	$(CHECKERS)/bin/cyclonedx-py --version >/dev/null 2>&1 || $(INSTALL_CHECKERS)
	@mkdir -p build
	$(CHECKERS)/bin/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible --of JSON --output-file build/moment-sync.cdx.json $(ARGS)

clean: ## remove what tools left behind; .venv stays
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	find schemas connectors streams tests -name __pycache__ -type d -prune -exec rm -rf {} +
