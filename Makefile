# Every path is relative, so that the folder may lie under a name with spaces.
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup dev demo test lint states lock clean FORCE

VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --require-hashes --only-binary :all:
PYTEST_ARGS ?= -n 2

help:  ## Print this list
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 16

setup: $(VENV)/.runtime  ## Install into .venv, ready to run .venv/bin/tekkie

dev: $(VENV)/.dev  ## Install the tools for tests and lint too

demo: setup  ## Set up and play the demo town (ARGS="--speed 720")
	@$(VENV)/bin/tekkie demo $(ARGS)

test: dev  ## Run the tests (PYTEST_ARGS="-x tests/geo")
	@$(VENV)/bin/python -m pytest $(PYTEST_ARGS)

lint: dev  ## Check format, style, types and who imports whom
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

states: setup  ## Draw docs/states.md from dispatch/rules/states.py
	@$(VENV)/bin/python -m dispatch.rules.states > docs/states.md.new
	@mv docs/states.md.new docs/states.md

# A venv knows its own path: one that was moved is made anew.
PLACE := $(shell cat $(VENV)/.place 2>/dev/null)
ifneq "$(PLACE)" "$(CURDIR)"
$(VENV)/.place: FORCE
endif

$(VENV)/.place:
	@PYTHON="$(PYTHON)" sh .ci/find-python > .python.found
	@echo "Making $(VENV) with $$(cat .python.found)"
	@rm -rf $(VENV)
	@"$$(cat .python.found)" -m venv $(VENV)
	@rm .python.found
	@pwd > $@

$(VENV)/.runtime: $(VENV)/.place requirements.lock pyproject.toml
	@echo "Installing what tekkie needs (about a minute the first time)"
	@$(INSTALL) -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@echo "Installing the tools for tests and lint"
	@$(INSTALL) -r requirements-dev.lock
	@touch $@

lock: $(VENV)/.place  ## Resolve the lock files anew (UPGRADE=--upgrade for newest versions)
	@sh .ci/lock $(UPGRADE)

clean:  ## Remove .venv and all caches
	@rm -rf $(VENV) build dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
