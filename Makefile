# Two commands: `make demo` shows the shop, `make test` proves it. Each does all of its set-up.
PYTHON ?= python3
PORT ?= 8080
BIN = .venv/bin
SHOP = tests/stories/test_shop.py tests/stories/test_outside.py tests/stories/test_vendor.py
.DEFAULT_GOAL := help
# What fails before a pipe has failed.
SHELL = bash
.SHELLFLAGS = -o pipefail -c

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

.venv/ready: pyproject.toml uv.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=.venv $(BIN)/uv sync --quiet --frozen --all-extras --inexact
	@touch .venv/ready

setup: .venv/ready  ## make .venv with everything in it

demo: .venv/ready  ## start the shop, buy something, show the trace, serve on PORT (ONCE=1 stops then, PLAN=split: many processes)
	@cd examples && PORT=$(PORT) ONCE=$(ONCE) PLAN=$(PLAN) ../$(BIN)/python -m shop.demo

test: .venv/ready  ## lint, types, layers and all tests
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/lint-imports --no-cache | tail -n 3
	@$(BIN)/pyright
	@$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal

parity: .venv/ready  ## tell the shop's stories in every shape: one process, through the codec, over rpc, many processes
	@$(BIN)/enfilade test --parity --numprocesses auto --maxprocesses 4 --dist worksteal examples $(SHOP)

attack: .venv/ready  ## ask the shop for all that its description allows and forbids, at length
	@ENFILADE_ATTACK=$(or $(N),300) $(BIN)/pytest tests/wire

faults: .venv/ready  ## kill each process of the split shop and let it hang, and see what works without it, about three minutes
	@ENFILADE_FAULTS=split $(BIN)/pytest -s tests/faults

releases: .venv/ready  ## release, roll back, scale and kill 120 times while clients ask, and lose nothing, about ten minutes
	@ENFILADE_FAULTS=1 $(BIN)/pytest tests/plan/test_release.py tests/plan/test_scale.py tests/plan/test_hung.py

fmt: .venv/ready  ## format and mend what can be mended
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

bench: .venv/ready  ## measure every claim, about five minutes
	@for claim in bench/*.py; do echo "$$claim" && $(BIN)/python $$claim; done

.PHONY: help setup demo test parity attack faults releases fmt bench
