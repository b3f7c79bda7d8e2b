PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
SOURCES := strandline connectors/strandline_flink jobs bench tests
SETUP := $(PYTHON) tools/setup.py
BENCHES = $(basename $(notdir $(shell grep -lE '^ +finish' bench/*.py)))

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test test-long test-rare simulate chaos soak mutants check lint format bench lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## install what a run needs into .venv (needs only Python 3.11 or 3.12 and the network)
	@$(SETUP)

setup-dev:  ## the same and what tests and checks need
	@$(SETUP) --dev

demo: setup  ## a broker, events, a job and a reader on this machine (ARGS go to `strandline demo`)
	@$(BIN)/strandline demo $(ARGS)

test: setup-dev  ## unit, conformance and integration tests (ARGS go to pytest)
	@$(BIN)/python -m pytest -m "not long and not rare" $(ARGS)

test-long: setup-dev  ## the tests that take minutes
	@$(BIN)/python -m pytest -m long $(ARGS)

test-rare: setup-dev  ## tests as long, about what seldom changes: strange machines, every number of workers and shards
	@$(BIN)/python -m pytest -m rare $(ARGS)

simulate: setup-dev  ## schedules of failures on the commit and store code (ARGS="--schedules 100000")
	@$(BIN)/python -m tests.simulation $(ARGS)

soak: setup-dev  ## a steady load with faults for a while: nothing may grow (ARGS="--minutes 30")
	@$(BIN)/python -m tests.chaos.soak $(ARGS)

mutants: setup-dev  ## plant bugs in the protocol; each must make a named test fail (ARGS="--only TEXT")
	@$(BIN)/python -m tests.mutants $(ARGS)

chaos: setup-dev  ## real faults at random moments, and every event counted once (ARGS="--faults 100")
	@$(BIN)/python -m tests.chaos $(ARGS)

check: setup-dev lint  ## form and types
	@$(BIN)/mypy $(wildcard $(SOURCES))

lint: setup-dev  ## form only
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check

format: setup-dev  ## bring the sources into form
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

bench: setup-dev  ## measure everything anew, and rewrite the tables in README and docs (takes hours)
	@set -e; for name in $(BENCHES); do $(BIN)/python -m bench.$$name --write; done
	@$(BIN)/python -m bench.tables

bench-%: setup-dev  ## one bench of bench/ (ARGS="--json" ends with one JSON object)
	@$(BIN)/python -m bench.$* $(ARGS)

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

lock: setup-dev  ## resolve the requirement files anew: one resolve, three views of it
	@$(COMPILE) pyproject.toml requirements/tools.in --extra flink --extra sklearn --extra dev -o requirements/dev.txt
	@$(COMPILE) pyproject.toml requirements/tools.in --extra flink --extra sklearn -c requirements/dev.txt -o requirements/run.txt
	@$(COMPILE) requirements/tools.in -c requirements/dev.txt -o requirements/tools.txt

clean:  ## remove .venv and what tools left behind (the jar cache stays)
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
