# Everything is set up on first use, in .venv; the second time that costs nothing.
# Any target takes PYTHON=python3.12; on a machine without a GPU, the small build of torch comes with
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make …

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SITE_READY := $(VENV)/.site-ready
BENCH_READY := $(VENV)/.bench-ready

# A kernel named python3 in the user's own Jupyter folder must not win over the environment's.
export JUPYTER_PREFER_ENV_PATH := 1

SERIES_FLAGS = $(if $(PROFILE),--profile "$(PROFILE)") $(if $(SEED),--seed "$(SEED)") \
	$(if $(DATA),--data "$(DATA)") $(if $(RUNS),--runs "$(RUNS)") $(if $(TIMEOUT),--timeout "$(TIMEOUT)")

.PHONY: help setup series test nbval test-fast test-slow test-order test-colab lint editions experiments data lab site
.PHONY: bench gpu-record

help:
	@echo "make series      run every notebook in order; NOTEBOOKS=\"05 07\" PROFILE=smoke|quick|full SEED=0 DATA=folder"
	@echo "make test        lint, check the notebooks' editions, run the tests and the solved notebooks (smoke)"
	@echo "make nbval       run the solved notebooks (smoke) and compare the cells tagged for it; NOTEBOOKS=\"05 07\""
	@echo "make test-fast   the tests that need no kernel and no browser, side by side: what to run after each change"
	@echo "make test-slow   the tests that take minutes"
	@echo "make test-order  the fast tests ten times over, in random order"
	@echo "make test-colab  tests and notebooks with Colab's versions, in .venv-colab; NOTEBOOKS=\"05 07\""
	@echo "make editions    build student and solved notebooks from notebooks/source; NOTEBOOKS=\"05\" ALL=1"
	@echo "make experiments train what the notebooks only show (hours): figures/*.json; NAMES=\"start\" SEEDS=\"0 1\""
	@echo "make bench       speed, ours against others, in one run; PARTS=\"training answers processes\""
	@echo "make gpu-record  the course's own corpus on a GPU, both recipes, three seeds; PROFILE=smoke: a rehearsal"
	@echo "make lint        ruff"
	@echo "make data        write the embedded worlds in data/ anew"
	@echo "make lab         open the notebooks in JupyterLab"
	@echo "make site        the solved notebooks as a web site, in build/site; runs nothing"
	@echo "make setup       only set up .venv (every target does this by itself)"

setup: $(READY)

define CHECK_PYTHON
	@command -v "$(PYTHON)" >/dev/null || \
		{ echo "$(PYTHON) is not there: install Python 3.11 or newer, or name one: make PYTHON=python3.12"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is $$("$(PYTHON)" --version 2>&1), but 3.11 or newer is needed: make PYTHON=python3.12"; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make environments; on Debian or Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Setting up $(@D): once, some minutes"
endef

$(READY): requirements.txt pyproject.toml
	$(CHECK_PYTHON)
	"$(PYTHON)" -m venv $(@D)
	$(BIN)/python -m pip install "$$(grep '^torch==' requirements.txt)"
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m ipykernel install --sys-prefix --name python3 --display-name "Python 3 (a5)"
	@touch $@

# The second environment: Colab's versions.
COLAB := .venv-colab
COLAB_READY := $(COLAB)/.ready
COLAB_TESTS ?= $(addprefix tests/test_,$(addsuffix .py,classroom colab display run soft_lookup vocab_corpus))

$(COLAB_READY): requirements-colab.txt pyproject.toml
	$(CHECK_PYTHON)
	"$(PYTHON)" -m venv $(@D)
	$(@D)/bin/python -m pip install "$$(grep '^torch==' requirements-colab.txt)"
	$(@D)/bin/python -m pip install --quiet --requirement requirements-colab.txt
	$(@D)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(@D)/bin/python -m ipykernel install --sys-prefix --name python3 --display-name "Python 3 (a5)"
	@touch $@

series: $(READY)
	$(BIN)/python -m a5lib series $(NOTEBOOKS) $(SERIES_FLAGS)

# Cells are compared where they are tagged for it; the notebooks train in a folder that is thrown away.
NBVAL := --nbval-lax --nbval-current-env --nbval-cell-timeout 600
SOLVED = $(if $(NOTEBOOKS),$(foreach name,$(NOTEBOOKS),$(call one,$(name))),notebooks/solved)
one = $(or $(wildcard notebooks/solved/$(1)*.ipynb),$(error no notebook $(1) in notebooks/solved))
SMOKE = @runs="$$(mktemp -d)" && trap 'rm -rf "$$runs"' EXIT && export A5_PROFILE=smoke A5_RUNS="$$runs" &&

# One pytest for all, so that its last line counts everything.
test: lint
	$(BIN)/python -m a5lib.classroom.editions check
	$(SMOKE) $(BIN)/python -m pytest $(NBVAL) tests $(wildcard notebooks/solved)

nbval: $(READY)
	$(SMOKE) $(BIN)/python -m pytest $(NBVAL) $(SOLVED)

test-colab: $(COLAB_READY)
	$(SMOKE) $(COLAB)/bin/python -m pytest $(NBVAL) $(COLAB_TESTS) $(SOLVED)

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

# With tiny models a second thread costs more than it brings, so each process has one.
FAST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m "not slow and not notebooks" -n auto --maxprocesses 4

test-fast: $(READY)
	$(SMOKE) $(FAST) --dist loadscope tests

# A test that needs another one to have run before it, or a quiet machine, shows here.
test-order: $(READY)
	$(SMOKE) for round in 1 2 3 4 5 6 7 8 9 10; do seed="$$(date +%s)"; echo "round $$round, seed $$seed"; \
		$(FAST) --random-order-bucket=global --random-order-seed="$$seed" tests || exit 1; done

lint: $(READY)
	$(BIN)/ruff check .

editions: $(READY)
	$(BIN)/python -m a5lib.classroom.editions build $(NOTEBOOKS) $(if $(ALL),--all)

experiments: $(READY)
	$(BIN)/python -m a5lib.experiments $(NAMES) $(if $(PROFILE),--profile "$(PROFILE)") $(if $(SEEDS),--seeds $(SEEDS))

# What we are compared with is installed when it is first asked for.
$(BENCH_READY): requirements-bench.txt $(READY)
	$(BIN)/python -m pip install --quiet --constraint requirements.txt --requirement requirements-bench.txt
	@touch $@

bench: $(BENCH_READY)
	$(BIN)/python -m tests.benchmarks $(PARTS) $(if $(PROFILE),--profile "$(PROFILE)")

gpu-record: $(READY)
	$(BIN)/python -m tests.benchmarks.course --recipes fast handout --variants vanilla perceiver --seeds 0 1 2 \
		$(if $(PROFILE),--profile "$(PROFILE)" --parts 1,--gpu) --out $(or $(OUT),figures/course-gpu)

data: $(READY)
	$(BIN)/python -m a5lib.world --seed 0 --people 3000 --phrasings 4 --out data
	$(BIN)/python -m a5lib.world --seed 0 --people 600 --phrasings 4 --out data/quick
	$(BIN)/python -m a5lib.world --seed 0 --people 600 --phrasings 1 --out data/one_phrasing

lab: $(READY)
	$(BIN)/jupyter lab notebooks

# What the site needs is installed when it is first asked for: nothing else needs it.
$(SITE_READY): requirements-site.txt $(READY)
	$(BIN)/python -m pip install --quiet --constraint requirements.txt --requirement requirements-site.txt
	@touch $@

site: $(SITE_READY)
	$(BIN)/python site/build.py
