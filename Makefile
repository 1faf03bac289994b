# Everything from a fresh clone: `make demo` and `make test` make the environment in .venv/ first.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
JOBS   ?= 2
export AMARANTH_USE_YOSYS := builtin
export YOWASP_CACHE_DIR ?= $(CURDIR)/$(VENV)/yowasp-cache

.PHONY: demo test test-full lint bench mutations formal interop nengo nengo-gateware clean

demo: $(READY)
	$(BIN)/spikeloom demo

test: $(READY) lint iverilog
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "not full"

test-full: $(READY) lint iverilog
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup
	$(MAKE) mutations

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/spikeloom bench simulators
	$(BIN)/spikeloom bench cycles
	$(BIN)/spikeloom bench predict

mutations: $(READY)
	$(BIN)/python tests/mutations/run.py --jobs $(JOBS)

formal: $(READY)
	$(BIN)/python -m pytest -n $(JOBS) tests/formal

# Norse, snnTorch and sinabs on random NIR graphs; they bring torch, so they have an environment of their own.
INTEROP := .venv-interop
interop:
	$(PYTHON) -m venv $(INTEROP)
	$(INTEROP)/bin/pip install --quiet --editable '.[test,interop]'
	$(INTEROP)/bin/pip install --quiet --no-deps sinabs==3.1.3
	$(INTEROP)/bin/python -m pytest tests/interop --record docs/results/interop.json
	$(INTEROP)/bin/python tests/interop/golden_throughput.py --output docs/results/golden_throughput.json

# Nengo's own tests need an older pytest, so an environment of their own.
NENGO := .venv-nengo

nengo: $(NENGO)/.ready
	$(NENGO)/bin/python tests/nengo/suite.py reference || true
	$(NENGO)/bin/python tests/nengo/suite.py golden
	$(NENGO)/bin/python examples/nengo/measure.py

nengo-gateware: $(NENGO)/.ready
	$(NENGO)/bin/python tests/nengo/suite.py gateware nengo.tests.test_ensemble

$(NENGO)/.ready: pyproject.toml
	$(PYTHON) -m venv $(NENGO)
	$(NENGO)/bin/pip install --quiet --upgrade pip
	$(NENGO)/bin/pip install --quiet --editable . 'nengo==4.1.0' 'pytest<9' 'setuptools<81' \
	  pytest-rng pytest-allclose pytest-plt
	touch $@

# Icarus checks the generated Verilog as a second opinion; it has no package on PyPI.
.PHONY: iverilog
iverilog:
	@command -v iverilog >/dev/null || { apt-get update -qq && apt-get install -y -qq iverilog; } || \
	  { echo "iverilog is missing: install it with your distribution's package manager" >&2; exit 1; }

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) $(INTEROP) $(NENGO) build generated
