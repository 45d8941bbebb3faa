# make demo: the main job on generated data. make test: what must pass before a commit. make verify:
# that and the full-size runs. make help: the rest.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ELSEWHERE ?= $(VENV)/elsewhere

PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

.PHONY: help demo test verify slow elsewhere docs kill fuzz check format bench clean

help:
	@echo "make demo    install, then train and compare reward models on generated data (1 to 3 minutes)"
	@echo "make test    install, then make check and all tests but the slow ones (5 minutes on two quiet cores)"
	@echo "make verify  make test, slow and elsewhere: everything that must pass"
	@echo "make slow    the tests marked slow alone: runs at full size, such as the demo's"
	@echo "make docs    the site of the documents, in docs/_build/html"
	@echo "make elsewhere  exported models score the same in transformers 4.57 and the newest (two environments)"
	@echo "make kill    kill every command at 200 random moments; run again, it must end as if unbroken (10 minutes)"
	@echo "make fuzz    10,000 damaged inputs: each must end with status 0, or 2 and one line"
	@echo "make check   format check, lint, types and import contracts"
	@echo "make format  rewrite the code in the house format"
	@echo "make bench   install, then measure speed against the peers (30 minutes on two quiet cores)"
	@echo "make clean   remove the virtual environment and what the demo wrote"

demo: $(VENV)/.installed
	$(BIN)/hidden-context demo

test: check
	$(PYTEST) -m "not slow"

verify: test
	$(MAKE) slow
	$(MAKE) elsewhere
	$(MAKE) docs

docs: $(VENV)/.installed-dev
	$(BIN)/sphinx-build --fail-on-warning --keep-going -q -b html docs docs/_build/html
	@echo "look at it: docs/_build/html/index.html"

slow: $(VENV)/.installed-dev
	$(PYTEST) -m slow

elsewhere: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python tests/elsewhere --environments $(ELSEWHERE)

kill: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 PYTHONPATH=tests:tests/commands $(BIN)/python -m kill
fuzz: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/run.py

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyrefly check
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/run_all.py

clean:
	rm -rf $(VENV) demo_output

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Python 3.11 or newer is needed; try make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,bench]"
	touch $@ $(VENV)/.installed $(VENV)/.installed-dev
