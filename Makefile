# Every target runs on a machine that has Python 3.11 or newer: the first one creates the environment
# .venv from pyproject.toml and constraints.txt.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help demo test test-all check docs bench

BIN := .venv/bin
READY := .venv/.ready

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## run the full pipeline on a synthetic shop (minutes); writes demo/report.html
	@$(BIN)/shopsight demo

test: $(READY) ## run the tests that are not marked slow
	@$(BIN)/python -m pytest -q -m "not slow"

test-all: $(READY) ## run every test and measure coverage
	@$(BIN)/python -m pytest -q --cov --cov-report=term:skip-covered --cov-report=xml

check: $(READY) ## check style, formatting and types
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ." >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary

docs: $(READY) ## build the documentation into site/, with warnings as errors
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

bench: $(READY) ## measure speed on this machine
	@$(BIN)/shopsight bench

$(READY): pyproject.toml constraints.txt
	@for python in $(PYTHON) python3.11 python3.12 python3.13 python3; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then \
	    echo "creating the environment .venv (once, a minute or two)"; \
	    $$python -m venv .venv; \
	    $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'; \
	    touch $@; exit; \
	  fi; \
	done; echo "Python 3.11 or newer is required; name it with: make PYTHON=/path/to/python" >&2; exit 1
