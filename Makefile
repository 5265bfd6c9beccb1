# Every path is relative, so that the name of the folder may contain spaces.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup dev demo test lint states house pictures lock clean bench bench-nearest bench-dispatch \
	bench-profile bench-timers bench-growth bench-live simulate proof proof-chaos \
	proof-races proof-clocks proof-privacy proof-mutants proof-backup types \
	proof-fuzz proof-alike proof-states proof-constraints proof-migrations \
	proof-overload proof-hostile proof-pooler proof-exams FORCE
MAKEFLAGS += --no-print-directory

VENV := .venv
GAZETTEER := geo/gazetteer/gazetteer.dat
TYPES := api/web/src/shared/openapi.d.ts
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --require-hashes --only-binary :all:
PYTEST_ARGS ?= -n 2 --dist loadgroup

help:  ## Print this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 16

setup: $(VENV)/.runtime $(GAZETTEER) $(VENV)/.web  ## Install into .venv, ready to run .venv/bin/tekkie
	@:

dev: setup $(VENV)/.dev $(TYPES)  ## Install the tools for tests and lint too, and a browser
	@$(VENV)/bin/python -m tests.web.browser

demo: setup  ## Set up, then simulate the demo town (ARGS="--help" for its options)
	@$(VENV)/bin/tekkie demo $(ARGS)

test: dev  ## Run the tests (PYTEST_ARGS="-x tests/geo" for some of them)
	@$(VENV)/bin/python -m pytest $(PYTEST_ARGS)

lint: dev  ## Check format, style, types, imports and wording
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo
	@$(VENV)/bin/python .ci/words.py
	@sh .ci/lint-pages

simulate: dev  ## Simulate a million bookings under the pure rules (ARGS="--bookings 100000" for fewer)
	@$(VENV)/bin/python -m tests.simulation $(ARGS)

proof: simulate proof-constraints proof-states proof-exams proof-alike proof-fuzz proof-races proof-clocks proof-privacy proof-mutants proof-backup proof-migrations proof-overload proof-hostile proof-chaos  ## Run every long proof (tests/proof); they write docs/proof.md

proof-fuzz: dev  ## Generated requests by every kind of caller (ARGS="--minutes 2" for fewer)
	@$(VENV)/bin/python -m tests.proof.fuzz $(ARGS)

proof-alike: dev  ## Compare response times of foreign and missing resources
	@$(VENV)/bin/python -m tests.proof.alike $(ARGS)

proof-states: dev  ## Every command in every order on PostgreSQL (ARGS="--steps 2000" for fewer)
	@$(VENV)/bin/python -m tests.proof.states $(ARGS)

proof-exams: dev  ## A thousand sittings of twenty questions at once (ARGS="--sittings 100" for fewer)
	@$(VENV)/bin/python -m tests.proof.exams $(ARGS)

proof-constraints: dev  ## Try every forbidden row and transition on the schema
	@$(VENV)/bin/python -m tests.proof.constraints $(ARGS)

proof-chaos: dev  ## Kill real processes 1,000 times, freeze and cut them off (ARGS="--seconds 60" for less)
	@$(VENV)/bin/python -m tests.proof.chaos $(ARGS)

proof-overload: dev  ## Send twice as many bookings as can be served
	@$(VENV)/bin/python -m tests.proof.overload $(ARGS)

proof-hostile: dev  ## Attack a server from outside (ARGS="--only headers" for one attack)
	@$(VENV)/bin/python -m tests.proof.hostile $(ARGS)

proof-pooler: dev  ## Bookings through PgBouncer (needs the program; ARGS="--bookings 200" for fewer)
	@$(VENV)/bin/python -m tests.proof.pooler $(ARGS)

proof-races: dev  ## Rounds of eight accepts at once over HTTP (ARGS="--rounds 1000" for fewer)
	@$(VENV)/bin/python -m tests.proof.races $(ARGS)

proof-clocks: dev  ## Daylight saving, clocks that jump, a suspended machine
	@$(VENV)/bin/python -m tests.proof.clocks $(ARGS)

proof-privacy: dev  ## Scan everything sent out, and let friends collude
	@$(VENV)/bin/python -m tests.proof.privacy $(ARGS)

proof-mutants: dev  ## Plant bugs in a copy and check that each is caught
	@$(VENV)/bin/python -m tests.proof.mutants $(ARGS)

proof-backup: dev  ## Back up under load, restore, and check every invariant
	@$(VENV)/bin/python -m tests.proof.backup $(ARGS)

proof-migrations: dev  ## Migrate under load, one release back and forth (ARGS="--seconds 2" for less)
	@$(VENV)/bin/python -m tests.proof.migrations $(ARGS)

bench: bench-nearest bench-dispatch bench-profile bench-timers bench-live bench-growth  ## Run every benchmark

bench-nearest: dev  ## The nearest four beside PostGIS, cube, Redis and others (ARGS=--quick)
	@$(VENV)/bin/python -m benchmarks.nearest $(ARGS)

bench-dispatch: dev  ## Bookings and accepts a second over HTTP (ARGS=--quick)
	@$(VENV)/bin/python -m benchmarks.dispatch $(ARGS)

bench-profile: dev  ## Where the processor time of a booking goes (ARGS=--quick)
	@$(VENV)/bin/python -m benchmarks.profile $(ARGS)

bench-timers: dev  ## A hundred thousand deadlines at once (ARGS=--quick)
	@$(VENV)/bin/python -m benchmarks.timers $(ARGS)

bench-growth: dev  ## The cost of a booking as everything grows (ARGS=--quick)
	@$(VENV)/bin/python -m benchmarks.growth $(ARGS)

bench-live: dev  ## Ten thousand event streams in one process
	@$(VENV)/bin/python -m benchmarks.live $(ARGS)

states: setup  ## Write docs/states.md from the tables of dispatch/rules/jobs/states.py
	@$(VENV)/bin/python -m dispatch.rules.jobs.states > docs/states.md.new
	@mv docs/states.md.new docs/states.md

house: dev  ## Draw the house in docs/architecture.md from the import contracts
	@$(VENV)/bin/python -m tests.architecture.house

pictures: dev  ## Draw docs/images/faces.png from the running demo (needs chromium)
	@$(VENV)/bin/python .ci/pictures.py

types: $(TYPES)  ## Write api/web/src/shared/openapi.d.ts from the OpenAPI document
	@:

lock: $(VENV)/.place  ## Resolve the lock files (UPGRADE=--upgrade for the newest versions)
	@sh .ci/lock $(UPGRADE)

clean:  ## Remove .venv, the compiled gazetteer and all caches
	@rm -rf $(VENV) $(GAZETTEER) $(TYPES) api/web/dist api/web/node_modules build dist .coverage .hypothesis .import_linter_cache \
		.mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A virtual environment holds its own path: one that was moved, or lost its Python, is made again.
PLACE := $(shell [ -x $(VENV)/bin/python ] && cat $(VENV)/.place 2>/dev/null)
ifneq "$(PLACE)" "$(CURDIR)"
$(VENV)/.place: FORCE
endif

$(VENV)/.place:
	@python=$$(PYTHON='$(PYTHON)' sh .ci/find-python) && \
		echo "Making $(VENV) with $$python" && \
		rm -rf $(VENV) && "$$python" -m venv $(VENV) && pwd -P > $@

$(VENV)/.runtime: $(VENV)/.place requirements.lock pyproject.toml
	@echo "Installing what tekkie needs (about a minute the first time)"
	@$(INSTALL) -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# It checks itself whether there is anything to do; TEKKIE_WEB=skip leaves the pages out.
$(VENV)/.web: $(VENV)/.runtime FORCE
	@$(VENV)/bin/python hatch_build.py

# What the OpenAPI document is made of, and what turns it into TypeScript.
$(TYPES): $(shell find api data dispatch -name node_modules -prune -o -name '*.py' -print) \
		$(VENV)/.runtime api/web/package-lock.json .ci/types | $(VENV)/.web
	@sh .ci/types $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@echo "Installing the tools for tests and lint"
	@$(INSTALL) -r requirements-dev.lock
	@touch $@

$(GAZETTEER): data/markets.py $(wildcard geo/gazetteer/*.py) | $(VENV)/.runtime
	@echo "Compiling the gazetteer"
	@$(VENV)/bin/python -m geo.gazetteer.build
	@touch $@
