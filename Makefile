# Everything a fresh machine needs is Python >= 3.11 and make. The virtual environment is built from the
# locked requirements once, and again only when they change.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench docs lock clean

help: ## Show what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

setup: $(STAMP) ## Build .venv from the lock

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "IPP needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "Python's venv module is missing (on Debian: apt install python3-venv)"; exit 1; }
	@echo "Preparing $(VENV) (about a minute the first time)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## Run the whole process on a made-up chain of pharmacies, in ./demo
	@IPP_HOME=$(CURDIR)/demo $(BIN)/ipp sample --mostradores 20 --materiales 4000 --dias 365 --semilla 1
	@IPP_HOME=$(CURDIR)/demo $(BIN)/ipp run --todos
	@echo "Para seguir: export IPP_HOME=$(CURDIR)/demo PATH=$(CURDIR)/$(BIN):\$$PATH"

test: setup ## Run every test
	@$(BIN)/pytest -q

check: setup ## Format, lint, types, layers
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo

format: setup ## Mend what can be mended by itself
	@$(BIN)/ruff format -q .
	@$(BIN)/ruff check -q --fix .

bench: setup ## Print every speed the project claims, beside what it is measured against (minutes)
	@for b in factor_step command_line demo api sample import_sellout forecast allocation frontier; do echo "== $$b"; $(BIN)/python bench/$$b.py; done

docs: setup ## Write docs/reference again from the contracts
	@$(BIN)/python docs/reference/write.py

lock: ## Resolve the dependencies again (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  pyproject.toml -o requirements/runtime.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  --group dev -c requirements/runtime.txt pyproject.toml -o requirements/dev.txt

clean: ## Remove what the targets above made
	rm -rf $(VENV) demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
