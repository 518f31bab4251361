# The two commands of the README, and `make lint`. PYTHON chooses the interpreter (3.10 or newer).
# TORCH_INDEX_URL chooses where torch comes from: the index that pytorch.org names for CPUs or for your CUDA version.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: quickstart test test-slurm lint
quickstart: .venv/installed
	$(BIN)/distdnas run configs/quickstart.yaml

# A file's tests stay in one process and in order. Slurm's run alone, after the others: there is one Slurm, and it has time limits.
test: .venv/installed-test
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slurm"
	$(BIN)/python -m pytest -m slurm

test-slurm: .venv/installed-test
	$(BIN)/python -m pytest -m slurm

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# torch comes first and alone, so that its index gives torch only.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv; torch is large, so this takes a few minutes the first time."
	$(PIP) $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) torch
	$(PIP) --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(PIP) --editable '.[test]'
	touch $@
