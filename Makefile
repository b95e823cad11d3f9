# make run         set everything up and answer the questions of examples/
# make test        set everything up and run the tests (what CI runs)
# make test-full   the same with the long forms
# make lint        style and types only, those of the page's modules too
# make screenshots write the pictures of the page that the README shows
# make bench       speed against transformers, ONNX Runtime, OpenVINO and LitServe, in environments of their own
# make openapi     write docs/openapi.json from the server
# make model       build the embedded model from its weights again (see recipes/)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# The plain name `torch` brings gigabytes of CUDA libraries; this version has a CPU build where an index offers one.
TORCH ?= torch==2.13.0
# What the tests of the page need of the system: a browser, and fonts for emoji, Arabic, Hebrew, Devanagari, Chinese.
BROWSER := chromium fonts-noto-color-emoji fonts-noto-core fonts-droid-fallback

.PHONY: run test test-full lint browser screenshots bench openapi model clean

run: $(VENV)/.base
	$(BIN)/python examples/tour.py

test: $(VENV)/.dev lint browser
	$(BIN)/python -m pytest

test-full: $(VENV)/.dev lint browser
	$(BIN)/python -m pytest -m "full or not full"

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python recipes/page_libraries.py
	$(BIN)/python recipes/page_types.py

# Only root can install it; where that cannot be, the tests that need it are skipped and say so.
browser:
	@if command -v chromium >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && apt-get install -qq --yes --no-install-recommends $(BROWSER) >/dev/null \
	    || echo 'Chromium could not be installed: the tests of the page are skipped.'; \
	else echo 'There is no chromium here (on Debian: apt-get install $(BROWSER)): the tests of the page are skipped.'; fi

screenshots: $(VENV)/.dev browser
	PYTHONPATH=tests $(BIN)/python recipes/screenshots.py

bench: $(VENV)/.serve $(VENV)-peer/.done $(VENV)-onnxruntime/.done $(VENV)-openvino/.done $(VENV)-litserve/.done
	$(BIN)/python benchmarks/speed.py $(foreach p,peer onnxruntime openvino,--$(p) $(VENV)-$(p)/bin/python)
	$(BIN)/python benchmarks/speed.py --growth --start
	$(BIN)/python benchmarks/batch.py --peer $(VENV)-peer/bin/python
	$(BIN)/python benchmarks/serving.py --peer $(VENV)-litserve/bin/python

openapi: $(VENV)/.dev
	$(BIN)/python recipes/openapi.py

model: $(VENV)/.dev
	$(BIN)/python recipes/default_1.py

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("trifold needs Python 3.11 or newer; name one: make PYTHON=python3.12") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV) || { echo 'Python has no venv module here; on Debian: apt-get install python3-venv'; exit 1; }

$(VENV)/.base: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable .
	touch $@

$(VENV)/.serve: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable '.[serve]'
	touch $@ $(VENV)/.base

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(PIP) "$(TORCH)"
	$(PIP) --editable '.[dev]'
	touch $@ $(VENV)/.base

# onnx is what torch exports the plain graph with.
$(VENV)-peer/.done: Makefile
	$(PYTHON) -m venv $(VENV)-peer
	$(VENV)-peer/bin/python -m pip install --quiet --disable-pip-version-check "$(TORCH)" transformers==4.57.6 onnx==1.23.2
	touch $@

$(VENV)-onnxruntime/.done: Makefile
	$(PYTHON) -m venv $(VENV)-onnxruntime
	$(VENV)-onnxruntime/bin/python -m pip install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 tokenizers numpy
	touch $@

$(VENV)-openvino/.done: Makefile
	$(PYTHON) -m venv $(VENV)-openvino
	$(VENV)-openvino/bin/python -m pip install --quiet --disable-pip-version-check openvino==2026.4.1 tokenizers numpy
	touch $@

$(VENV)-litserve/.done: pyproject.toml
	$(PYTHON) -m venv $(VENV)-litserve
	$(VENV)-litserve/bin/python -m pip install --quiet --disable-pip-version-check litserve==0.2.19 .
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-peer $(VENV)-onnxruntime $(VENV)-openvino $(VENV)-litserve .cache/npm .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
