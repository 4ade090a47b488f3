PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A Python that was removed or moved leaves a .venv whose links lead nowhere: it is made again.
$(if $(wildcard $(READY)),$(shell $(BIN)/python -c '' 2>/dev/null || rm -f $(READY)))
# Builds of torch for CPUs, a tenth of the size of the CUDA build that pip's own index serves to most
# machines with Linux. With GPUs: make setup TORCH_INDEX= (a .venv that is there keeps its torch).
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# Processes of the tests, shared out by tests/sharing.py; 0: all in one.
TEST_WORKERS ?= 2
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help setup demo demo-control demo-real reader reader-print test test-slow check bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | \
		while IFS='|' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

setup: $(READY) ## make .venv and install what constraints.txt pins

# torch first and alone: of the pinned version pip takes TORCH_INDEX's build, if there is one; where
# that index does not answer, as an empty one never does, pip's own serves. torchvision is kept apart:
# transformers does not import where it stands beside a torch for CPUs; some tests add it to their path.
$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "make needs $(PYTHON), or PYTHON=..." >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)" >&2; exit 2; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	index=$$(curl -sfI -m 5 "$(TORCH_INDEX)/torch/" >/dev/null 2>&1 && \
		echo --extra-index-url $(TORCH_INDEX)); \
	$(BIN)/python -m pip install --quiet --constraint constraints.txt $$index torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable \
		'.[cpu,deepspeed,export,mteb,serve,dev]'
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target .torchvision torchvision==0.28.0
	@touch $(READY)

demo: $(READY) ## the whole loop on a local Ray, then runs/demo/report.html
	$(BIN)/colintern run --config configs/demo.yaml

demo-control: demo ## the demo without mined negatives, and what they were worth
	$(BIN)/colintern run --config configs/demo-control.yaml
	$(BIN)/colintern compare runs/demo runs/demo-control

# A folder of PDFs of your own is a dataset and a run of its own, called by the folder's name and a
# hash of its place. The file of drafted questions may be corrected: it is written once; remove it to
# draft for more PDFs. A finished run stays what it is: over a folder that has changed, give NAME=...
PDFS ?=
quoted = '$(subst ','\'',$(1))'
REAL := $(if $(PDFS),$(shell path=$$(realpath -m -- $(call quoted,$(PDFS))); \
	name=$$(basename "$$path" | tr -c 'A-Za-z0-9._\n-' -); \
	echo "$$name-$$(printf %s "$$path" | sha256sum | cut -c1-4)"),manuals)
NAME := real-$(REAL)
REAL_SET := runs/datasets/real-$(REAL)
REAL_QUESTIONS := $(REAL_SET)-questions.csv
demo-real: $(READY) ## the loop on real PDFs: five manuals, or PDFS=folder; NAME=... of a new run
	$(if $(PDFS),,$(BIN)/python -m pretraining.printed.manuals runs/manuals)
	$(BIN)/colintern ingest $(call quoted,$(or $(PDFS),runs/manuals)) --out $(REAL_SET) --replace
	@if test -e $(REAL_QUESTIONS); then echo "kept: $(REAL_QUESTIONS); remove it to draft anew"; \
		else $(BIN)/colintern questions $(REAL_SET) --out $(REAL_QUESTIONS); fi
	$(BIN)/colintern ingest --out $(REAL_SET) --queries $(REAL_QUESTIONS) --replace
	$(BIN)/colintern run --config configs/real.yaml run.name=$(NAME) data.train=$(REAL_SET)
	$(BIN)/colintern baseline runs/$(NAME)
	@echo "report: runs/$(NAME)/report.html"
	@echo "search: $(BIN)/colintern search runs/$(NAME) 'your question' --save found/"

reader: $(READY) ## make the built-in backbone again, in runs/reader (one to two hours)
	$(BIN)/python -m pretraining --out runs/reader

reader-print: $(READY) ## make the built-in backbone for printed pages again: hours, resumable
	$(BIN)/python -m pretraining.printed

test: $(READY) ## the tests
	$(BIN)/python -m pytest -n $(TEST_WORKERS) -m "not slow"

test-slow: $(READY) ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

check: $(READY) ## lint, format, types, layers and the tests: what CI runs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory test

bench: $(READY) ## the benchmarks, each prints a table
	$(BIN)/python benchmarks/maxsim.py
	$(BIN)/python benchmarks/tiles.py
	$(BIN)/python benchmarks/evaluate.py --pages 2000 --queries 100
	$(BIN)/python benchmarks/data.py
	$(BIN)/python benchmarks/bm25.py
	$(BIN)/python benchmarks/demo.py
	$(BIN)/python benchmarks/features.py
	$(BIN)/python benchmarks/encode.py
	$(BIN)/python -m benchmarks.reading
	$(BIN)/python -m benchmarks.plan
	$(BIN)/python -m benchmarks.scale --pages 10000,100000

# A feature store is the demo's when its record says that its pages are.
clean: ## remove what the demo left in runs/: runs, features, pages; your own runs stay
	@for record in $$(grep -lE '"dataset_path": "(.*/)?datasets/demo-[a-z]+-v[0-9]+"' \
			runs/features/*/record.json 2>/dev/null); do rm -rf "$${record%/record.json}"; done
	rm -rf runs/demo runs/demo-control runs/datasets/demo-train-v* runs/datasets/demo-dev-v* \
		runs/datasets/demo-test-v*
