# Everything is set up by the targets themselves: Python 3.11+, and Docker or Java 17 + Maven, is all that must be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test bench soak lint lock clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

$(READY): pyproject.toml requirements-dev.lock
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	touch $@

run: $(READY) ## local Kafka, all roles, a sandbox provider and a small campaign; ARGS=--once ends by itself
	$(BIN)/sendguard demo $(ARGS)

lint: $(READY) ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint ## style checks, then the whole suite against a real Kafka; ARGS="-k name" for a part
	$(BIN)/python -m pytest -m "not soak" -n 2 --dist loadfile $(ARGS)

soak: $(READY) ## the fault tests at full length; ARGS is passed to pytest
	$(BIN)/python -m pytest -m soak $(ARGS)

bench: $(READY) ## the benchmark: ratios in one run, table and JSON
	$(BIN)/python -m tests.bench $(ARGS)

COMPILE := -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" pyproject.toml

lock: ## renew the locks, for every platform, with hashes
	$(PYTHON) -m pip install --quiet uv
	$(PYTHON) $(COMPILE) --output-file requirements.lock
	$(PYTHON) $(COMPILE) --constraint requirements.lock --extra dev --output-file requirements-dev.lock

clean: ## remove what the targets above made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
