# Two commands are all the set-up there is: `make demo` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
STAMP_ALL := $(VENV)/.installed-all

# All workers share the cluster; tests/cluster/locks.py keeps apart what disturbs it.
WORKERS ?= 2
# Version of the tests' own Kubernetes, such as 1.32.9; tests/cluster/program.py lists them.
KUBE ?=
export PODTASK_TEST_KUBERNETES := $(KUBE)
# KUEUE=1 starts a controller of Kueue with the cluster.
KUEUE ?=
export PODTASK_TEST_KUEUE := $(KUEUE)
OTHER_KUBES := 1.32.9 1.37.2
PARALLEL := --numprocesses $(WORKERS)
# Without the cache of compiled modules, each worker and each process of the tests would compile all of them again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo lab test test-fast matrix lint lint-types lint-imports lint-style lint-rules docs dist fuzz differential soak bench pictures cluster-up cluster-down cluster-env system

help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(STAMP) ## run the quickstart notebook on this machine, no cluster needed
	@$(BIN)/python notebooks/run.py notebooks/quickstart.ipynb

lab: $(VENV)/.installed-lab ## open the notebooks in JupyterLab
	@$(BIN)/jupyter lab notebooks

test: system lint ## run all tests, on a real Kubernetes where one can be had (WORKERS=0: one by one; KUBE=1.32.9)
	@$(BIN)/python -m pytest $(PARALLEL) $(TESTS)

test-fast: lint ## check style and run the unit tests: under a minute, no cluster
	@$(BIN)/python -m pytest -q --numprocesses 3 tests/unit # three on two cores: some tests wait for servers

matrix: system $(STAMP_ALL) ## run the tests that `make test` leaves out: other versions, other images
	@$(BIN)/python -m pytest --matrix $(TESTS)
	@for version in $(OTHER_KUBES); do \
	  PODTASK_TEST_KUBERNETES=$$version $(BIN)/python -m pytest -m server_versions tests/pods || exit 1; \
	done

lint: $(STAMP_ALL) ## check style, types, imports and names
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target --keep-going lint-types lint-imports lint-style lint-rules

lint-types:
	@$(BIN)/mypy --no-error-summary

lint-imports:
	@report=$$($(BIN)/lint-imports) || { echo "$$report"; exit 1; }

lint-style:
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .

lint-rules:
	@$(BIN)/python -m tests.lint

docs: $(STAMP_ALL) ## build the docs site into docs/_build
	@$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build && echo docs/_build/index.html

dist: $(STAMP_ALL) ## build the sdist and the wheel into dist
	@$(BIN)/python -m build --no-isolation >/dev/null && ls dist

fuzz: $(STAMP_ALL) ## try fifty times as many random inputs as `make test`, each time others
	@PODTASK_FUZZ=50 $(BIN)/python -m pytest --timeout 3600 tests/differential/test_fuzz.py tests/differential/test_graphs.py tests/differential/test_state.py tests/differential/test_programs.py tests/differential/test_sequences.py

differential: system $(STAMP_ALL) ## compare cells in pods with the kernel (IMAGE=3.13 for one image)
	@PODTASK_DIFFERENTIAL=$(IMAGE) $(BIN)/python -m pytest tests/differential -k test_pod

soak: system $(STAMP_ALL) ## run 2,000 small tasks while all about them goes wrong (RUNS=5 BUSY=3: three of five on busy cores)
	@$(BIN)/python -m tests.soak --runs $(or $(RUNS),1) --busy $(or $(BUSY),0)

bench: system $(STAMP_ALL) ## measure against kubectl and raw port-forward
	@$(BIN)/python -m tests.bench

pictures: system $(STAMP_ALL) ## take the pictures of the documentation anew
	@$(BIN)/python -m tests.browser.pictures

cluster-up: system $(STAMP_ALL) ## start the tests' own Kubernetes (KUEUE=1: with Kueue)
	@$(BIN)/python -m tests.cluster up

cluster-down: $(STAMP_ALL) ## stop it and leave nothing
	@$(BIN)/python -m tests.cluster down

cluster-env: system $(STAMP_ALL) ## print shell lines for using it: eval "$$(make -s cluster-env)"
	@$(BIN)/python -m tests.cluster env

system: ## install the system packages that the tests need (Debian, as root)
	@bash tests/system.sh

$(BIN)/python:
	@$(PYTHON) -m venv $(VENV) || { echo "make: python3 -m venv failed; on Debian: apt-get install python3-venv" >&2; exit 1; }

$(STAMP): pyproject.toml | $(BIN)/python
	@echo "installing podtask into $(VENV) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]' && touch $@

$(STAMP_ALL): pyproject.toml | $(BIN)/python
	@echo "installing podtask and what its tests need into $(VENV) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo,docs,test]' && touch $@ $(STAMP)

$(VENV)/.installed-lab: pyproject.toml | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[lab]' && touch $@
