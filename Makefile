# Everything here works on a machine with Python 3.11 or newer and nothing else: the first
# target that needs it makes the environment .venv from pyproject.toml and constraints.txt.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help demo test check bench

BIN := .venv/bin
READY := .venv/.ready

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## the main job on a drawn shop, three or four minutes; writes demo/report.html
	@$(BIN)/shopsight demo

test: $(READY) ## every test
	@$(BIN)/python -m pytest -q

check: $(READY) ## style, formatting and types
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ." >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary

bench: $(READY) ## measure speed on this machine
	@$(BIN)/shopsight bench

$(READY): pyproject.toml constraints.txt
	@for python in $(PYTHON) python3.11 python3.12 python3.13 python3; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then \
	    echo "making the environment .venv (once, a minute or two)"; \
	    $$python -m venv .venv; \
	    $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'; \
	    touch $@; exit; \
	  fi; \
	done; echo "Python 3.11 or newer is needed; say which with: make PYTHON=/path/to/python" >&2; exit 1
