# A newcomer needs two commands: `make demo` and `make test`. Each sets up what it lacks in .venv.
.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check

# A tenth of the kills, seeds and swaps; `make acceptance` runs all of them.
EVERBAKE_COUNTS ?= tenth
export EVERBAKE_COUNTS

# More words for pytest: make test ARGS="-k ledger -x"
ARGS ?=
PYTEST := $(PY) -m pytest $(ARGS)

.PHONY: help demo test acceptance docs lint format bench lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.run ## Replay a year of bike rentals through the whole loop (under a minute)
	$(VENV)/bin/everbake demo --once

test: $(VENV)/.dev ## Run all tests, with a tenth of the long counts
	$(PYTEST) -n auto --dist worksteal

acceptance: $(VENV)/.dev ## Run the acceptance tests with their full counts (long)
	EVERBAKE_COUNTS=full $(PYTEST) -n 0 tests/acceptance tests/simulation tests/cli/test_faults.py

docs: $(VENV)/.dev ## Write the outputs that the documents show again
	EVERBAKE_WRITE_DOCS=1 $(PYTEST) -n 0 tests -k stands_in_the_docs

lint: $(VENV)/.dev ## Check style, types, import floors, dead code and dependencies
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo --no-cache
	$(VENV)/bin/vulture
	$(VENV)/bin/deptry .

format: $(VENV)/.dev ## Format the code and mend what ruff can mend
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

bench: $(VENV)/.dev ## Measure: every benchmarks/bench_*.py, one after another
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(PY) "$$file" || exit 1; done

lock: $(VENV)/.dev ## Lock the newest dependencies again, for every supported Python
	$(call locked,requirements.lock,--extra postgres --group build)
	$(call locked,requirements-dev.lock,--all-extras --group dev --constraints requirements.lock)

clean: ## Remove .venv and all caches
	rm -rf $(VENV) .venv-clients build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The registry is whatever this machine is set up with; its address never gets into the file.
define locked
$(VENV)/bin/uv pip compile pyproject.toml --output-file $(1) $(2) --upgrade --quiet --universal \
	--python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header
endef

# A stamp is newer than what it was made from, or it is made again.
$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/.made
	$(PIP) install --quiet --require-hashes --no-deps --requirement requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/.made
	$(PIP) install --quiet --require-hashes --no-deps --requirement requirements-dev.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# A command of that name may be there and still not run (version managers' shims), so each is tried.
$(VENV)/.made:
	@usable='import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))'; \
	if $(PY) -c "$$usable" 2>/dev/null && $(PIP) --version >/dev/null 2>&1; then touch $@; exit 0; fi; \
	for python in $(PYTHON) python3.14 python3.13 python3.12 python3.11 python3 python; do \
		if "$$python" -c "$$usable" 2>/dev/null; then \
			echo "Setting up $(VENV) with $$("$$python" --version) (once, a minute or two)"; \
			"$$python" -m venv --clear $(VENV) && touch $@; exit $$?; \
		fi; \
	done; \
	echo "everbake needs Python 3.11 or newer with its venv module, and found none." >&2; \
	echo "Install one (on Debian and Ubuntu: apt-get install python3 python3-venv)," >&2; \
	echo "or name yours: make PYTHON=/path/to/python3.12 demo" >&2; \
	exit 1
