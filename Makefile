# make demo   set everything up and draw a circuit graph
# make test   everything that must hold: lint, types, arrows, tests
# make interop   sae-lens, dictionary_learning and sparsify read what saecli writes, and it what they write
#
# PYTHON       interpreter the environment is made with (3.11 or newer)
# TORCH_INDEX  extra package index for torch, such as PyTorch's CPU index (see README.md) for a small install

PYTHON ?= python3
TORCH_INDEX ?=
TESTS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) --constraint constraints.txt

INTEROP := .venv-interop/bin/python
FIXTURES := tests/formats/fixtures
EXCHANGE := .venv-interop/exchange

.PHONY: demo test lint interop completions clean

demo: .venv/.saecli-installed
	$(BIN)/saecli trace --layers 6:9
	@echo "Look at saecli-runs/latest-trace/graph.html in a browser, or at graph.svg and graph.json beside it."

test: lint
	$(BIN)/python -m pytest -n 2 --durations=15 $(TESTS)

lint: .venv/.saecli-test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

interop: .venv/.saecli-test-installed .venv-interop/.installed
	rm -rf $(EXCHANGE)
	$(BIN)/python -m tests.interop.ours $(EXCHANGE)/ours
	@for library in saelens dictionary_learning sparsify; do \
		echo "$$library reads what saecli writes:"; \
		$(INTEROP) tests/interop/peer_$$library.py check $(EXCHANGE)/ours/$$library || exit 1; \
		mkdir -p $(EXCHANGE)/theirs/$$library; \
		$(INTEROP) tests/interop/peer_$$library.py write $(EXCHANGE)/theirs/$$library || exit 1; \
	done
	$(INTEROP) tests/interop/peer_saelens.py refusals $(EXCHANGE)/theirs
	rm -rf $(addprefix $(FIXTURES)/,saelens dictionary_learning sparsify)
	cp -r $(EXCHANGE)/theirs/. $(FIXTURES)
	@echo "saecli reads what the libraries write:"
	$(BIN)/python -m pytest -q tests/formats/test_fixtures.py

completions: .venv/.saecli-installed
	$(BIN)/python -m saecli.cli.completion_scripts completions

clean:
	rm -rf .venv .venv-interop saecli-runs .pytest_cache .ruff_cache .hypothesis .import_linter_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "saecli needs Python 3.11 or newer, and $(PYTHON) is not one; try: make demo PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "$(PYTHON) lacks the venv module; install it (on Debian and Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.saecli-installed: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing saecli into .venv (only when pyproject.toml or constraints.txt changed) ..."
	$(PIP) --editable .
	@touch $@

.venv/.saecli-test-installed: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing saecli and its test tools into .venv (only when pyproject.toml or constraints.txt changed) ..."
	$(PIP) --editable '.[test]'
	@touch $@ .venv/.saecli-installed

.venv-interop/.installed: tests/interop/requirements.txt | .venv/bin/python
	@echo "Installing sae-lens, dictionary_learning and sparsify into .venv-interop ..."
	$(BIN)/python -m venv .venv-interop
	$(INTEROP) -m pip --disable-pip-version-check install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) --requirement $<
	$(INTEROP) -m pip --disable-pip-version-check install --quiet --no-deps dictionary-learning==0.1.0 eai-sparsify==1.3.3
	@touch $@
