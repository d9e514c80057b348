# A fresh machine needs only Python >= 3.11 and make. The virtual environment is built from the locked requirements, and
# rebuilt only when they change: first what runs; what checks and tests need, when one of them is requested.
PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-installed
DEV     := $(VENV)/.dev-installed
INSTALL := PYTHON="$(PYTHON)" requirements/install

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-cloud test-image test-page check check-infra format bench bench-scale soak chaos mutants fuzz docs package deploy deploy-function canary logs lock clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

setup: $(DEV) ## Build .venv from the locks

$(RUNTIME): requirements/runtime.txt requirements/build.txt pyproject.toml
	@echo "Installing what runs into $(VENV)"
	@$(INSTALL) $(VENV) --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	@$(INSTALL) $(VENV) -q --no-build-isolation -e .
	@touch $@

$(DEV): requirements/dev.txt | $(RUNTIME)
	@echo "Installing what the checks and tests need into $(VENV)"
	@$(INSTALL) $(VENV) --require-hashes -r $<
	@touch $@

demo: $(RUNTIME) ## Run the whole process on a made-up chain of pharmacies, in ./demo
	@IPP_HOME=$(CURDIR)/demo $(BIN)/ipp sample --mostradores 20 --materiales 4000 --dias 365 --semilla 1
	@IPP_HOME=$(CURDIR)/demo $(BIN)/ipp run --todos
	@echo "Para seguir: export IPP_HOME=$(CURDIR)/demo PATH=$(CURDIR)/$(BIN):\$$PATH"

test: setup ## Run the tests, except the long ones, the page's and the image's
	@$(BIN)/pytest -q -m "not long and not browser and not image"

test-cloud: setup ## Run the long tests: the whole flow in the cloud, 200 jobs with injected faults, kills, memory, tutorials (needs Java 17)
	@$(BIN)/pytest -q -m long

test-page: setup ## Drive the page in a real Chromium (installs Debian's if there is none): IPP_SCREENSHOTS=1 draws docs/how-to/pagina
	@tests/web/install
	@$(BIN)/pytest -q -m browser tests/web

test-image: setup ## Build the container image over Debian's Python and run it read-only, behind Caddy (root; installs Debian's engine)
	@tests/image/install
	@$(BIN)/pytest -q -n 0 -m image tests/image

check: setup ## Format, lint, types, layers
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo

check-infra: .venv-infra/.installed .venv-checkov/.installed ## Lint the templates, the workflows, the image and its companions
	@SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=mx-central-1 .venv-infra/bin/sam validate --lint -t infra/template.yaml
	@.venv-infra/bin/cfn-lint --regions mx-central-1 us-east-1 -- infra/template.yaml infra/page.yaml
	@.venv-infra/bin/cfn-lint --regions us-east-1 -- infra/account.yaml
	@.venv-checkov/bin/checkov --config-file infra/checkov.yaml
	@.venv-infra/bin/zizmor --offline --quiet .github/workflows
	@.venv-infra/bin/hadolint --failure-threshold style Dockerfile
	@.venv-infra/bin/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml infra/container/*.compose.yaml
	@if command -v caddy >/dev/null; then caddy validate --adapter caddyfile --config infra/container/Caddyfile 2>/dev/null; \
	  else echo "Caddyfile: not checked, no caddy on PATH"; fi

# The linters of the infrastructure, each lock in its own environment.
.venv-%/.installed: requirements/%.txt
	@$(INSTALL) .venv-$* --require-hashes -r $<
	@touch $@

format: setup ## Fix what can be fixed automatically
	@$(BIN)/ruff format -q .
	@$(BIN)/ruff check -q --fix .

bench: setup ## Measure every figure in bench/README.md, in an hour or two: make bench DEMAND=folder
	@$(BIN)/python bench/table.py $(if $(DEMAND),--demand "$(DEMAND)") $(if $(WORKBOOK),--workbook "$(WORKBOOK)")

bench-scale: setup ## A chain of 1,000 counters: time, memory, growth (minutes; the samples stay in bench/out)
	@$(BIN)/python bench/scale.py

soak: setup ## Use ipp serve for half an hour without pause: memory, open files, jobs
	@$(BIN)/python bench/soak.py 30

chaos: setup ## Play 30 bad rounds on three servers: kills, stops, a moved clock, a full disk (a quarter of an hour)
	@IPP_CHAOS_ROUNDS=$${IPP_CHAOS_ROUNDS:-30} $(BIN)/pytest -q -n 0 -m long tests/e2e/test_chaos.py

mutants: setup ## Change the code a little, again and again, and see whether a test notices: make mutants ROOM=core MINUTES=30 SEED=1
	@$(BIN)/python -m tests.mutants $(if $(ROOM),--room $(ROOM)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(ONLY),--only $(ONLY)) $(if $(SHOW),--show)

fuzz: setup ## Send 10,000 mutated files, bodies and forms to ipp serve: make fuzz CASES=500 SEED=7
	@$(BIN)/python -m tests.fuzz $(if $(CASES),--cases $(CASES)) $(if $(SEED),--seed $(SEED))

docs: setup ## Generate docs/reference from the code, and draw the diagrams that changed
	@$(BIN)/python docs/reference/write.py
	@$(BIN)/python docs/reference/draw.py

package: setup ## Build the wheel and the code of the Lambda functions, in ./dist
	@$(BIN)/python infra/package.py dist

deploy: ## Deploy to AWS and Databricks: make deploy STAGE=jul-dev
	@$(PYTHON) infra/deploy.py deploy "$(STAGE)" --check
	@$(MAKE) --no-print-directory package
	@$(PYTHON) infra/deploy.py deploy "$(STAGE)"

deploy-function: ## Replace the code of one function: make deploy-function STAGE=jul-dev FUNCTION=IppStatus
	@$(PYTHON) infra/deploy.py deploy-function "$(STAGE)" "$(FUNCTION)" --check
	@$(MAKE) --no-print-directory package
	@$(PYTHON) infra/deploy.py deploy-function "$(STAGE)" "$(FUNCTION)"

canary: ## Try what is deployed: validate all, run a job of one mostrador: make canary STAGE=jul-dev
	@$(PYTHON) infra/deploy.py canary "$(STAGE)" --check
	@$(PYTHON) infra/deploy.py canary "$(STAGE)"

logs: ## Follow the log of a function: make logs STAGE=jul-dev FUNCTION=IppStatus
	@$(PYTHON) infra/deploy.py logs "$(STAGE)" "$(FUNCTION)"

lock: ## Resolve the dependencies again (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  pyproject.toml -o requirements/runtime.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  --group build -c requirements/runtime.txt -o requirements/build.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  --group dev -c requirements/runtime.txt -c requirements/build.txt pyproject.toml -o requirements/dev.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  --extra aws --extra databricks -c requirements/dev.txt pyproject.toml -o requirements/image.txt
	uv pip compile -q --python-version 3.13 --python-platform aarch64-manylinux2014 --generate-hashes --no-header \
	  --no-emit-index-url --group lambda -c requirements/dev.txt -o requirements/lambda.txt
	uv pip compile -q --universal --python-version 3.12 --no-header --no-emit-index-url \
	  --group stages -c requirements/dev.txt -o requirements/databricks.txt
	for group in infra checkov; do uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --group $$group -o requirements/$$group.txt || exit 1; done

clean: ## Delete what the targets above made
	rm -rf $(VENV) .venv-infra .venv-checkov demo dist bench/out .mypy_cache .ruff_cache .pytest_cache .hypothesis
