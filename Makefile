# The commands for users and developers. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help run test endurance lint audit fmt bench lock clean
BIN := .venv/bin
TEMPLATES := $(wildcard templates */templates)
SOURCES := aggregation bench brokerhub comparison connections health sync manage.py

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/.installed ## Start the hub with everything it needs, until Ctrl-C
	@exec $(BIN)/python -m brokerhub.launcher

test: .venv/.installed-dev ## Run all tests
	$(BIN)/pytest

endurance: .venv/.installed-dev ## Run the tests that take minutes
	$(BIN)/pytest -n0 --timeout=3600 -m endurance

lint: .venv/.installed-dev ## Check style, types, templates and migrations
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/djlint --quiet --check --lint $(TEMPLATES)
	$(BIN)/python manage.py makemigrations --check --dry-run
	@echo "bandit: weak spots in our code" && bash -o pipefail -c '$(BIN)/bandit --quiet --configfile pyproject.toml \
	  --recursive $(SOURCES) 2>&1 | (grep -v "nosec encountered" || true)'

audit: .venv/.installed-dev ## Ask for known weaknesses of the libraries (needs PyPI)
	@.ci/audit $(BIN)

fmt: .venv/.installed-dev ## Put code and templates into shape
	$(BIN)/ruff check --fix --exit-zero
	$(BIN)/ruff format
	$(BIN)/djlint --quiet --reformat $(TEMPLATES) || true  # its exit code says whether it changed something

bench: .venv/.installed ## Measure, as ratios within one run
	$(BIN)/python -m bench

lock: .venv/.installed-dev ## Pin the newest versions allowed by requirements*.in
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	for name in requirements requirements-dev; do \
	  $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --no-header --no-annotate --no-emit-index-url $$name.in -o $$name.txt || exit 1; \
	done

clean: ## Remove the environment and everything built; your data in var/ stays
	rm -rf .venv build staticfiles .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

.venv/bin/python:
	@for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then \
	    echo "Making .venv with $$("$$name" --version) ..."; \
	    "$$name" -m venv .venv && exit 0; \
	    rm -rf .venv; \
	    echo "$$name cannot make a virtual environment; install its venv package (Debian: apt install python3-venv)." >&2; \
	    exit 1; \
	  fi; \
	done; \
	echo "The hub needs Python 3.11 or newer, and there is none on the path. See https://www.python.org/downloads/" >&2; \
	exit 1

.venv/.installed: requirements.txt | .venv/bin/python
	@echo "Installing requirements.txt ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input -r requirements.txt
	@touch $@

.venv/.installed-dev: requirements-dev.txt .venv/.installed
	@echo "Installing requirements-dev.txt ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input -r requirements-dev.txt
	@touch $@
