# Two commands do all the set-up: `make demo` and `make test`. Everything is kept in .venv; nothing else is touched.
#
#   make demo PYTHON=python3.12          another interpreter (3.11 or newer)
#   make demo PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"     torch without CUDA, on Linux

PYTHON ?= python3
PIP_FLAGS ?=
FUZZ_EXAMPLES ?= 2000

SHELL := bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
STAMPS := .venv/stamps

.PHONY: help demo test lint bench fuzz mutate clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

demo: $(STAMPS)/demo  ## install into .venv, then run the main job on real data
	@$(BIN)/headwright demo

test: $(STAMPS)/test  ## install into .venv, then ruff, mypy and pytest
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST_FLAGS)

lint: $(STAMPS)/test  ## ruff and mypy only
	@$(BIN)/ruff check .
	@$(BIN)/mypy

bench: $(STAMPS)/demo  ## measure run times, written to docs/benchmarks/
	@mkdir -p docs/benchmarks
	@$(BIN)/headwright bench -o docs/benchmarks/benchmark.md

fuzz: $(STAMPS)/test  ## a long campaign: FUZZ_EXAMPLES=2000 different random programs through every pass, then as many a test
	@HEADWRIGHT_FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest tests/property/test_translation.py -q
	@HEADWRIGHT_FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest tests/property -q --deselect tests/property/test_translation.py

mutate: $(STAMPS)/test  ## wrong models made from right ones, and who notices: written to docs/benchmarks/ (hours)
	@$(BIN)/headwright mutate -o docs/benchmarks

clean:  ## remove .venv, caches and build output
	rm -rf .venv build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp says that an installation is complete: it is written last, so an interrupted one leaves none.
$(STAMPS)/demo: EXTRAS := demo
$(STAMPS)/test: EXTRAS := demo,test
$(STAMPS)/demo $(STAMPS)/test: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'headwright needs Python 3.11 or newer, and $(PYTHON) is' "$$($(PYTHON) --version 2>&1 || true)." >&2; \
	  echo 'fix: name a newer one, for example: make $(MAKECMDGOALS) PYTHON=python3.12' >&2; exit 1; }
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  echo 'headwright: making .venv'; \
	  $(PYTHON) -m venv --clear .venv || { \
	    echo 'fix: install the venv module of $(PYTHON) (on Debian and Ubuntu: apt install python3-venv)' >&2; exit 1; }; \
	fi
	@echo 'headwright: installing headwright[$(EXTRAS)] into .venv (minutes the first time: torch is large)'
	@set -o pipefail; \
	$(BIN)/python -m pip install --disable-pip-version-check --no-input $(PIP_FLAGS) -c constraints.txt -e '.[$(EXTRAS)]' 2>&1 \
	  | tee .venv/install.log \
	  | awk '/^ *(Downloading|Processing) / {sub(/^ */, ""); print "  " $$0; fflush()} \
	         /^(Installing collected|Building)/ {print "  " $$1 " …"; fflush()}' \
	  || { tail -n 25 .venv/install.log >&2; echo 'headwright: the installation failed (.venv/install.log)' >&2; exit 1; }
	@mkdir -p .venv/types && ln -sfn ../.. .venv/types/headwright
	@mkdir -p $(STAMPS) && touch $@
