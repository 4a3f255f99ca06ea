# Needs Python 3.11 or later, and nothing else: no PostgreSQL, no compiler.
# Another Python than python3:  PYTHON=python3.12 make test

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
version := $(shell $(PYTHON) -c 'import sys; sys.version_info >= (3, 11) and print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
made := $(VENV)/made-$(version)
# Given to trial: a module, a test case, "-j2" for two processes, "--reactor=select", ...
TESTS ?= -j2 tests
MINUTES ?= 15

.PHONY: demo test lint docs bench soak clean

demo: $(made)-demo
	$(BIN)/twistd -n doorbell

# All three are run whatever comes of the others; trial's summary stands last.
test: $(made)-test $(made)-pygresql
	@failed=0; \
	$(BIN)/ruff check . || failed=1; \
	$(BIN)/mypy || failed=1; \
	$(BIN)/python -m twisted.trial $(TESTS) || failed=1; \
	exit $$failed

lint: $(made)-test
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(made)-docs
	$(BIN)/sphinx-build -n -W --keep-going -b html docs docs/_build/html

# About a quarter of an hour, on a machine that does nothing else. A part of it:  BENCH="wake storm --quick" make bench
bench: $(made)-bench
	$(BIN)/python -m benchmarks --results benchmarks/results $(BENCH)

# Faults every few seconds, for as long as asked; nothing may be missed. One kind of them:  SOAK="--only frozen" make soak
# Eight processes that share loops by locks:  SOAK=--fleet make soak
soak: $(made)-test
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(SOAK)

clean:
	rm -rf $(VENV) _trial_temp* build dist docs/_build *.egg-info .hypothesis .mypy_cache .ruff_cache
	rm -f twisted/plugins/dropin.cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp per Python version and purpose: a second call is quick, a change of packaging or of PYTHON is seen.
$(made)-demo $(made)-test $(made)-docs $(made)-bench: $(made)-%: $(made) setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(extras)]'
	@touch $@

$(made)-demo: extras = binary,embedded,status
$(made)-test: extras = binary,embedded,status,peers-wheels,test
$(made)-docs: extras = binary,docs
$(made)-bench: extras = binary,embedded,peers,bench

# PyGreSQL has no wheel for Linux: where it can't be compiled the tests beside it are skipped.
$(made)-pygresql: $(made)-test
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check PyGreSQL >$(VENV)/pygresql.log 2>&1 \
	  || echo "PyGreSQL can't be compiled here (see $(VENV)/pygresql.log): the tests beside it are skipped"
	@touch $@

$(made):
	@test -n "$(version)" || { echo "$(PYTHON) is no Python 3.11 or later: PYTHON=/path/to/python3.12 make ..." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@
