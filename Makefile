# `make demo` shows the benchmark at work; `make test` is what CI runs; `make test-all` adds the slow checks in full,
# which takes hours (`make test-all TESTS=tests/browser`: those of a folder);
# `make docs` builds the documentation into build/docs, `make docs-serve` shows it while it is written, `make docs-test`
# runs everything in it;
# `make coverage` says which lines the unit tests do not reach; `make test-lowest` runs them with the lowest versions
# that pyproject.toml accepts; `make audit` looks for known vulnerabilities of the versions in constraints.txt;
# `make bench` measures how fast everything is, in half an hour.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test test-all lint docs docs-test docs-serve coverage test-lowest audit bench clean

# One thread for the model: one this small loses more time waiting for a second one than it gains. The board has its
# entry, and those of the other models in submissions/.
demo: $(VENV)/.installed
	@OMP_NUM_THREADS=1 $(BIN)/goodenough evaluate \
	  "$$($(BIN)/python -m harness.starter --where candidates | grep emotion)" --task emotion --out results
	@for entries in submissions/local__*; do \
	  test -e "results/$${entries##*/}" || cp -R "$$entries" results/; done
	@$(BIN)/goodenough leaderboard build --submissions results --out site

# The files of tests that take long come first (tests/conftest.py), so that all processes end together.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --durations 25

test: $(VENV)/.installed-test lint
	$(PYTEST) -m "not slow"

test-all: $(VENV)/.installed-test lint
	$(PYTEST) $(TESTS)

# Commands that the tests start are counted, too.
coverage: $(VENV)/.installed-test
	$(BIN)/coverage erase
	OMP_NUM_THREADS=1 $(BIN)/coverage run -m pytest -n auto --dist loadfile -m "not slow" tests/unit
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
# Its workers do not always start on a busy machine.
	$(BIN)/mypy --num-workers auto || $(BIN)/mypy
	$(BIN)/lint-imports

# The variable silences an advertisement of the theme for its successor.
MKDOCS := NO_MKDOCS_2_WARNING=1 OMP_NUM_THREADS=1 $(BIN)/python -m mkdocs

docs: $(VENV)/.installed-docs
	$(MKDOCS) build --strict

# Every block of every page, every page in every look, and the notebooks with warnings as errors.
docs-test: $(VENV)/.installed-test
	$(PYTEST) tests/browser/test_documentation.py tests/integration/test_docs_commands.py tests/integration/test_notebooks.py

docs-serve: $(VENV)/.installed-docs
	$(MKDOCS) serve --livereload --watch harness --watch goodenough.py

# Modules are compiled when they are first imported: most never are, and compiling all takes a minute.
INSTALL = $(PIP) install --no-compile -c constraints.txt -e

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) .
	@touch $@

$(VENV)/.installed-docs: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[docs]'
	@touch $(VENV)/.installed $@

$(VENV)/.installed-test: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[test]'
	@touch $(VENV)/.installed $(VENV)/.installed-docs $@

# Without the tests of the extras, of which pip takes the newest: the app, the cluster, what makes the starter suite.
test-lowest:
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip --disable-pip-version-check --quiet install --no-compile \
	  -c .ci/constraints.lowest -e '.[test]'
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest -n auto --dist loadfile -m "not slow" tests/unit \
	  --ignore tests/unit/cluster --ignore tests/unit/leaderboard/app --ignore tests/unit/starter

# With BENCH, some of them or other settings: tests/benchmarks/README.md.
bench: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks $(BENCH)

audit:
	$(PYTHON) .ci/audit.py

clean:
	rm -rf $(VENV) .venv-audit .venv-lowest .coverage* results site study .mypy_cache .ruff_cache .import_linter_cache .hypothesis
