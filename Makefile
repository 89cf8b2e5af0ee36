# What a checkout can do. Only git, make and a Python >= 3.11 are needed: the first target that needs an
# environment makes one in .venv, and makes it again when pyproject.toml changes.
#
#   make demo [REPO=/any/git/repository]   three nodes import a history, split, heal and agree
#   make nodes [FOLDER=demo-nodes]         the three nodes of the demo, to cut and mend by hand
#   make test [ARGS="-k gitbridge"]        the test suite, but for what takes longest
#   make test-slow                         the rest: every scenario with other dice, and without its faults
#   make lint                              ruff and mypy
#   make bench                             every benchmark, as tables
#   make clean                             remove the environment and what the tools left behind

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
FOLDER := demo-nodes
STAMP := $(VENV)/.set-up-from-pyproject
BENCHMARKS := commit sync catchup traverse reopen mixed discard random-state recovery memory cache backends \
  objects inspect simulate growth branches workers mcts-overhead mcts-strength mcts-scale mcts-split mcts-size
PYTHON_CANDIDATES := python3 python3.11 python3.12 python3.13 python3.14 python
RECENT_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))

.PHONY: help set-up demo nodes test test-slow lint format bench clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^#   //p' Makefile

set-up: $(STAMP)

# Twice quiet: pip says nothing unless something is wrong, and then it says it on standard error.
$(STAMP): pyproject.toml
	@if ! [ -x $(BIN)/python ]; then \
	  for candidate in $(PYTHON_CANDIDATES); do \
	    if "$$candidate" -c '$(RECENT_ENOUGH)' 2>/dev/null; then python="$$candidate"; break; fi; \
	  done; \
	  if [ -z "$${python:-}" ]; then \
	    echo "No Python >= 3.11 found (tried: $(PYTHON_CANDIDATES)). Install one and run make again." >&2; exit 1; \
	  fi; \
	  echo "Setting up $(VENV) with $$("$$python" --version) (once; takes about a minute) ..." >&2; \
	  "$$python" -m venv $(VENV) >&2 || { rm -rf $(VENV); exit 1; }; \
	else \
	  echo "Bringing $(VENV) up to date with pyproject.toml ..." >&2; \
	fi
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-input --editable '.[dev,games,ray]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/python -m examples.demo $(if $(REPO),--repo "$(REPO)")

nodes: $(STAMP)
	@$(BIN)/python -m examples.demo --nodes "$(FOLDER)" $(if $(REPO),--repo "$(REPO)")

test: $(STAMP)
	@$(BIN)/python -m pytest -q -n auto --dist worksteal -m "not slow" $(ARGS)

test-slow: $(STAMP)
	@$(BIN)/python -m pytest -q -n auto --dist worksteal -m slow $(ARGS)

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(STAMP)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(STAMP)
	@for name in $(BENCHMARKS); do $(BIN)/python -m benchmarks "$$name" || exit 1; done

clean:
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
