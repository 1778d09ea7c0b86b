# `make` alone prints this list.
VENV ?= .venv
PYTHON ?= python3
PY := $(VENV)/bin/python
GRAPH := $(VENV)/bin/graph
JS := examples/javascript
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
PEERS := dora ezmsg redis pipecat
.PHONY: help run test scenarios chaos lint format javascript bench bench-peers clean

help: ## print these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.voice ## hold the example conversation: pipelines.yaml, result in out/
	@$(GRAPH) models pull --graph pipelines.yaml
	@$(GRAPH) run pipelines.yaml

test: $(VENV)/.dev javascript ## run all tests
	@$(GRAPH) models pull --all
	@$(PY) -m pytest -n 2 --dist loadfile --max-worker-restart 0

scenarios: $(VENV)/.dev ## hold the scenarios of tests/scenarios with the real models: about twelve minutes
	@$(GRAPH) test tests/scenarios --real --keep out/scenarios

lint: $(VENV)/.dev ## ruff (lint and format) and mypy --strict
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

format: $(VENV)/.dev ## format the code and sort its imports
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

javascript: ## install what the example nodes in JavaScript need, where node and npm are there
	@if command -v node >/dev/null && command -v npm >/dev/null; then $(MAKE) -s $(JS)/node_modules/.installed; \
		else echo "node or npm is not installed: the nodes in JavaScript are left out, and their tests skipped"; fi

$(JS)/node_modules/.installed: $(JS)/package.json
	@echo "installing what the nodes in JavaScript need …"
	@npm install --prefix $(JS) --loglevel=error --no-audit --no-fund
	@touch $@

chaos: $(VENV)/.dev ## kill, stop and end processes of a graph 200 times at random, the supervisor among them: about three minutes
	@VOICEGRAPH_CHAOS=$${VOICEGRAPH_CHAOS:-200} $(PY) -m pytest -s tests/chaos

bench: $(VENV)/.dev ## measure the transport against others: all of it about 45 minutes, result in out/
	@$(PY) -m bench transport --json out/transport.json --picture out/transport.svg

bench-peers: $(PEERS:%=bench/.peers/%/.installed) ## install what the bench compares with, each in an environment of its own
	@command -v redis-server >/dev/null || \
		echo "the Redis arm needs redis-server on the PATH: apt-get install redis-server (Debian, Ubuntu)"

clean: ## remove the virtual environments, npm's packages and what runs wrote
	rm -rf $(VENV) $(JS)/node_modules bench/.peers out build *.egg-info

$(VENV)/.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "voicegraph needs Python 3.11 or newer, $(PYTHON) is older: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "making $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.voice: $(VENV)/.venv pyproject.toml
	@echo "installing what the default graph needs (about a minute) …"
	@$(PY) -m pip install --quiet --editable '.[voice]'
	@touch $@

$(VENV)/.dev: $(VENV)/.voice
	@echo "installing what the tests need …"
	@$(PY) -m pip install --quiet --editable '.[voice,piper,microphone,echo,dev]'
	@touch $@

bench/.peers/%/.installed: bench/peers/%.txt
	@echo "installing $* for the bench …"
	@$(PYTHON) -m venv bench/.peers/$*
	@bench/.peers/$*/bin/python -m pip install --quiet --requirement $<
	@touch $@
