# `make demo` shows the benchmark at work; `make test` is what CI runs; `make test-all` adds the slow checks in full;
# `make audit` looks for known vulnerabilities of the versions in constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test test-all lint audit clean

# One thread: models as small as these lose more time in waiting for a second one than they gain.
demo: $(VENV)/.installed
	@set -e; for model in $$($(BIN)/python -m harness.starter --where candidates); do \
	  OMP_NUM_THREADS=1 $(BIN)/goodenough evaluate $$model --out results; \
	done
	@$(BIN)/goodenough leaderboard build --submissions results --out site

test: $(VENV)/.installed-test lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile

test-all: $(VENV)/.installed-test lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

lint: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit:
	$(PYTHON) .ci/audit.py

# torch first, from the constraints: its CPU build is found at that version only.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt torch
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) install -c constraints.txt -e '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) .venv-audit results site study .mypy_cache .ruff_cache .import_linter_cache .hypothesis
