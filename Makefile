# Two commands matter: `make chat` and `make test`. The rest: `make help`.

PYTHON ?= python3
BIN    := .venv/bin
PY     := $(BIN)/python

# Errors alone: pip warns for each package anew of what its configuration names in vain.
QUIET  := --disable-pip-version-check --no-input --quiet --quiet
PIP    := $(PY) -m pip $(QUIET) install -c requirements.lock

NATIVE := CMakeLists.txt pyproject.toml $(wildcard $(addprefix puna/kernels/native/,*.cpp *.h CMakeLists.txt))
SOURCE := puna tests example.py $(wildcard bench/*.py docs/*.py)

# How many processes `make test` divides the tests among: one for each core, eight at most.
workers ?= $(shell cores=$$(nproc 2>/dev/null || echo 2); echo $$((cores < 8 ? cores : 8)))
# A file's tests stay together, as they share servers; a folder's follow each other, as they do alone.
SHARED := --numprocesses $(workers) --dist loadfile --no-loadscope-reorder

# Tests start Puna hundreds of times: it must not be compiled anew each time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install chat serve check fix test bench golden fuzz fuzz-api conformance soak soak-accounts test-postgres test-arm sanitize docs vendor lock clean

help: ## list what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F'\t' '{printf "make %-14s %s\n", $$1, $$2}'

install: .venv/installed ## build .venv with Puna and its C++ kernels in it

chat: install ## talk to the default model; fetches it the first time
	@$(BIN)/puna chat

serve: install ## the API and the page on http://127.0.0.1:8600; `make serve port=8700`
	@$(BIN)/puna serve $(if $(port),--port $(port))

check: install .venv/tools ## format, lint, types and the import rule: seconds
	@$(BIN)/ruff format --check --quiet $(SOURCE) || { echo "make fix would format these files"; exit 1; }
	@$(BIN)/ruff check --quiet $(SOURCE)
	@$(BIN)/mypy --no-error-summary $(SOURCE)
	@$(PY) -m pytest -q --no-header tests/test_imports.py

fix: .venv/tools ## format, and mend what the linter can mend
	@$(BIN)/ruff check --fix --quiet $(SOURCE); $(BIN)/ruff format --quiet $(SOURCE)

test: check ## everything that must hold; `make test k=scheduler` picks tests by name
	@$(BIN)/puna pull smollm2 >&2
	@test -e build/axe-core/axe.min.js || ! command -v npm >/dev/null || .ci/vendor axe >&2
	@test -e build/openai/index.mjs || ! command -v npm >/dev/null || .ci/vendor openai >&2
	@$(PY) -m pytest $(if $(k),-k "$(k)",$(SHARED))

bench: install ## measure this machine with the default model
	@$(BIN)/puna bench --repeat 5

golden: .venv/tools build/golden ## write the committed numbers anew, with transformers and the like
	@for script in $$(grep -l __main__ tests/golden/*.py); do \
	    echo "$$script" >&2; PYTHONPATH=build/golden $(PY) -m $$(echo $${script%.py} | tr / .) || exit 1; done

fuzz: .venv/tools ## 200,000 spoilt model files through readers and sanitized kernels; `make fuzz inputs=1000`
	@tests/fuzz/sanitized.sh $(or $(inputs),200000)

fuzz-api: .venv/tools ## requests of every kind to every route: `make fuzz-api cases=5000`
	@$(PY) -m tests.server.fuzz $(or $(cases),5000)

conformance: .venv/tools build/lm-eval/installed ## EleutherAI's harness measures the default model through the server
	@$(BIN)/puna pull smollm2 >&2
	@$(PY) -m tests.conformance.run

test-postgres: .venv/tools ## the tests of accounts on Debian's PostgreSQL, installed first where it is lacking
	@.ci/postgres
	@REQUIRE_POSTGRES=1 $(PY) -m pytest tests/accounts -k postgresql

soak-accounts: .venv/tools ## 200 kills, 200 races, 10,000 histories, failing disks, on each database; `database=postgresql figure=kills`
	@$(PY) -m tests.soak.accounts $(database) $(figure) $(times)

soak: .venv/tools ## answers of the default model for `make soak minutes=30`, watching the memory; as long with too small a cache; cancels, canaries, tenants' times, soak-accounts
	@$(BIN)/puna pull smollm2 >&2
	@$(PY) -m pytest -m slow
	@$(PY) -m tests.soak.run $(or $(minutes),30)
	@$(PY) -m tests.soak.engine $(or $(minutes),30)
	@$(PY) -m tests.engine.canary 400000
	@$(PY) -m tests.soak.tenants
	@$(MAKE) --no-print-directory soak-accounts

test-arm: ## the kernels on an emulated aarch64, where Debian's cross compiler and qemu-user are
	@tests/arm/run.sh

sanitize: .venv/created ## the kernels' own tests under the address, undefined and thread sanitizers
	@tests/arm/sanitize.sh

# It reads Python alone: a change of the kernels compiles nothing here.
docs: $(if $(wildcard .venv/tools),,.venv/tools) ## write docs/cli.md and docs/http.md anew from what the code says of itself
	@$(PY) docs/routes.py
	@$(BIN)/typer puna.cli utils docs --name puna --title "The command line" --output docs/cli.md

vendor: ## fetch the foreign scripts of the page anew, pinned, from npm
	@.ci/vendor

lock: ## write requirements.lock anew from what .venv holds
	@$(PY) -m pip freeze --exclude-editable --exclude puna > requirements.lock

clean: ## drop .venv and everything built; models stay
	@rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Each stamp is a promise: the newest file that it depends on is built in.
# No build isolation: the build tools come pinned from requirements.lock, once, into .venv.
.venv/created: requirements.lock
	@.ci/prerequisites $(PYTHON)
	@echo "Making .venv, with what compiles Puna in it" >&2
	@$(PYTHON) -m venv .venv </dev/null >&2
	@$(PIP) scikit-build-core nanobind cmake ninja </dev/null >&2
	@touch $@

.venv/installed: .venv/created $(NATIVE)
	@echo "Installing Puna and compiling its kernels: a minute or two" >&2
	@$(PIP) --no-build-isolation --editable . </dev/null >&2
	@touch $@

build/golden: tests/golden/requirements.txt requirements.lock | .venv/tools
	@echo "Fetching what wrote the golden numbers" >&2
	@$(PIP) --target $@ --upgrade -r $< </dev/null >&2
	@touch $@

build/lm-eval/installed: tests/conformance/requirements.txt
	@echo "Fetching the harness into a venv of its own" >&2
	@$(PYTHON) -m venv build/lm-eval </dev/null >&2
	@build/lm-eval/bin/python -m pip $(QUIET) install -r $< </dev/null >&2
	@touch $@

.venv/tools: pyproject.toml requirements.lock | .venv/installed
	@echo "Installing what the checks and tests need: a minute or two" >&2
	@$(PIP) --no-build-isolation --editable '.[dev]' </dev/null >&2
	@touch $@
