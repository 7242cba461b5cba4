# `make run` and `make test` need Python 3.11 or newer with pip and venv, and nothing else.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
TASK ?=
DOCS ?= examples/countries
# Many tests wait for other processes, so there are more workers than cores. Idle ones take tests
# over from busy ones, since those that kill processes take long and lie side by side.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')
export LANGSMITH_TRACING ?= false

.DEFAULT_GOAL := help
.PHONY: help run test test-model lint check format types figures docs studio notebooks bench hostile clean

help:
	@echo 'make run [TASK="..."] [DOCS=folder]  install, then carry out a task'
	@echo 'make test        install, then run all tests (no key, no model, no network)'
	@echo 'make test-model  the tests on the real embedded model'
	@echo 'make lint        format, lint, types, import contracts, spelling, figures'
	@echo 'make check       lint and test'
	@echo 'make figures     sizes, docstrings, comments and import circles of the packages, with their limits'
	@echo 'make docs        the documentation site, into site/'
	@echo 'make studio      serve the graphs for LangGraph Studio, offline'
	@echo 'make notebooks   open the notebooks'
	@echo 'make bench       the benchmarks, side by side with hand-written LangGraph'
	@echo 'make hostile     the hostile cases for sandboxes and databases, as a table'

# One marker file for each set of extras: a changed pyproject.toml or constraints.txt installs anew.
$(BIN)/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/python
	@echo 'installing into $(VENV) (once)'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local,python,serve,documents]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo 'installing into $(VENV) (once)'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# At a terminal the plan is shown for approval; without one nobody could answer, so every review passes.
run: $(VENV)/.run
	@$(BIN)/orchestrator model fetch --if-needed
	@set -- "$${TASK:-$$(cat examples/task.txt)}" --docs "$(DOCS)"; \
	{ [ -t 0 ] && [ -t 2 ]; } || set -- "$$@" --auto-approve; \
	echo 'to look at it in a browser, in another terminal: $(BIN)/orchestrator serve --open' >&2; \
	exec $(BIN)/orchestrator run "$$@"
export TASK

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m 'not model'

test-model: $(VENV)/.dev $(VENV)/.run
	$(BIN)/orchestrator model fetch
	$(BIN)/python -m pytest -m model

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python -m tests.support.figures

check: lint test

figures: | $(BIN)/python
	@$(BIN)/python -m tests.support.figures

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/.docs: pyproject.toml constraints.txt | $(BIN)/python
	@echo 'installing into $(VENV) (once)'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

# The theme prints an advertisement for its successor otherwise.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo 'built: open site/index.html, or serve it with its search: $(BIN)/python -m http.server -d site'

# Without the two settings, LangGraph's CLI reports its use and asks for newer versions over the network.
studio: $(VENV)/.dev $(VENV)/.run
	LANGGRAPH_CLI_NO_ANALYTICS=1 LANGGRAPH_NO_VERSION_CHECK=true $(BIN)/langgraph dev --no-browser --no-reload

notebooks: $(VENV)/.dev $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt jupyterlab
	$(BIN)/jupyter lab notebooks

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/run.py

hostile: $(VENV)/.dev
	$(BIN)/python -m tests.tools.hostile.hostile_table

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache site
	find orchestrator graphs tools tests -name __pycache__ -prune -exec rm -rf {} +
