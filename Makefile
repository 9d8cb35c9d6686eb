# Every recipe that people and CI run. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
CARGO  ?= cargo
NPM    ?= npm
# Extra arguments for pytest: make test ARGS="-k hls -x"
ARGS   ?=
# Most of an end-to-end test is waiting for media time: it takes a tenth to a third of a processor, so more of them than cores run at once.
WORKERS ?= 4

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.stamp
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export CARGO_TERM_PROGRESS_WHEN := never
# maturin is found by name when pip builds without isolation.
export PATH := $(abspath $(BIN)):$(PATH)
# One interpreter for pip, maturin and cargo: PyO3 builds for it and is not rebuilt in between.
export PYO3_PYTHON := $(abspath $(BIN)/python)

NATIVE := Cargo.toml Cargo.lock pyproject.toml \
          $(shell find rust build_backend -name target -prune -o \( -name '*.rs' -o -name '*.toml' -o -name '*.py' \) -print) \
          $(shell find pypackager -name '*.pyx' -o -name '*.pxd')
WEB    := $(wildcard web/package.json web/package-lock.json web/*.mjs web/*.js)
SETUP  := $(STAMP)/python $(STAMP)/native $(if $(wildcard web/package.json),$(STAMP)/web)

say = @printf '\033[1m==> %s\033[0m\n' '$(1)'

.PHONY: help setup setup-python system check deny fix test test-rust test-python bench bench-system bench-ladders bench-workers bench-start bench-depth bench-delivery bench-instructions bench-flames bench-compare demo golden soak nightly obs fuzz wheel clean

help: ## lists the recipes
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

setup: $(SETUP) ## virtual environment, native build, player scripts
setup-python: $(STAMP)/python $(STAMP)/native

$(STAMP)/venv:
	$(call say,creating $(VENV) with $(shell $(PYTHON) --version 2>&1))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pypackager needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --upgrade "pip>=25.1"
	@mkdir -p $(STAMP) && touch $@

$(STAMP)/python: $(STAMP)/venv pyproject.toml
	$(call say,installing Python packages)
	@$(BIN)/python -m pip install -q --group dev
	@touch $@

$(STAMP)/native: $(STAMP)/python $(NATIVE)
	$(call say,building the native parts (a first build takes about two minutes))
	@$(BIN)/python -m pip install -q --no-build-isolation --editable '.[demo]'
	@touch $@

$(STAMP)/web: $(STAMP)/venv $(WEB)
	$(call say,fetching and bundling the player scripts)
	@$(NPM) --prefix web $(if $(wildcard web/package-lock.json),ci,install) --no-audit --no-fund --loglevel=error
	@$(NPM) --prefix web run --silent build
	@touch $@

system: ## programs that the end-to-end tests drive: installed where allowed, else named
	@.ci/system-packages

# Advisories stay out: their database is no package of a registry, and a check must not turn red without a change.
DENY := $(CARGO) deny --offline --locked check licenses bans sources
check: setup-python ## every static check
	$(call say,static checks)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/python -m mypy.stubtest --allowlist .ci/stubtest-allowlist pypackager._core pypackager.dvr.index
	$(BIN)/lint-imports
	$(CARGO) fmt --all --check
	@! command -v cargo-deny >/dev/null || $(DENY)
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet

# cargo-deny takes about five minutes to build, so `check` runs it where it is; tests/unit/test_crates.py asks the same everywhere.
deny: ## licences, sources and duplicates of the crates
	@command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny
	$(DENY)

fix: setup-python ## repairs what a machine can repair
	$(BIN)/ruff check --fix-only --exit-zero .
	$(BIN)/ruff format .
	$(CARGO) fmt --all

test: system check setup test-rust test-python ## everything: checks, Rust, Python, encoders, players
test-rust: $(STAMP)/venv
	$(call say,Rust tests)
	$(CARGO) test --workspace --locked --quiet
# The coverage floor (pyproject.toml) is for the whole: a run with ARGS is a part.
COVERAGE := $(if $(ARGS),,--cov --cov-report=term)
test-python: setup system test-rust
	$(call say,Python tests)
	@$(BIN)/python -m pytest -p no:benchmark -m "not soak and not obs" -n $(WORKERS) --dist loadgroup --durations=10 $(COVERAGE) $(ARGS)
	$(if $(ARGS),,$(call say,the same with channels over two processes: a part))
	$(if $(ARGS),,@PYPACKAGER_WORKERS=2 $(BIN)/python -m pytest -p no:benchmark -n $(WORKERS) $(SPREAD))
# REST and a kill, drains, states, credentials, TLS, a browser's player behind a signed URL: a minute.
SPREAD := tests/e2e/test_rest.py tests/e2e/test_drain.py tests/e2e/test_states.py tests/e2e/test_credentials.py tests/e2e/test_ingest_tls.py \
          tests/e2e/test_signed.py

bench: setup ## measures every part, and writes benchmarks/RESULTS.md
	$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-columns=min,median,rounds --timeout=0 $(ARGS)

bench-system: setup ## measures the daemon as a whole beside its peers (40 minutes; ARGS="--seconds 20 --runs 1" is shorter)
	$(BIN)/python -m benchmarks.system $(ARGS)

bench-ladders: setup ## CPU of 1 to 20 ladders taken in, over both protocols, beside peers, with a plot (2 hours; ARGS="--kept .cache/ladders.json" goes on with what was broken off)
	$(BIN)/python -m pip install -q --group plot
	$(BIN)/python -m benchmarks.ladders $(ARGS)

bench-workers: setup ## ten ladders on one process and on two workers: CPU in all, and how it is shared (28 minutes)
	$(BIN)/python -m benchmarks.workers $(ARGS)

bench-start: setup ## how long the daemon, and a feed, take until something can be fetched
	$(BIN)/python -m benchmarks.start $(ARGS)

bench-depth: setup ## a window of 25 hours: memory, starts, every manifest watched (15 minutes; ARGS="--hours 1" is shorter)
	$(BIN)/python -m benchmarks.depth $(ARGS)

bench-delivery: setup ## answers per CPU second, idle viewers, manifests under load, beside nginx, with a plot (25 minutes; ARGS="--seconds 2 --runs 1" is shorter)
	@command -v wrk >/dev/null || { echo "wrk asks the servers: apt-get install wrk" >&2; exit 1; }
	$(BIN)/python -m pip install -q --group plot
	$(BIN)/python -m benchmarks.delivery $(ARGS)

bench-instructions: setup ## instructions of the Rust hot paths at this commit, by callgrind (5 minutes; the machine may do other things)
	@command -v valgrind >/dev/null || { echo "callgrind counts them: apt-get install valgrind" >&2; exit 1; }
	$(BIN)/python -m benchmarks.instructions $(ARGS)

bench-flames: setup ## where the CPU time goes, with and without pace and in delivery, by perf and py-spy (8 minutes; ARGS="--only unpaced-rtmp")
	@command -v perf wrk >/dev/null || { echo "perf samples, wrk asks: apt-get install linux-perf wrk" >&2; exit 1; }
	$(BIN)/python -m pip install -q --group profile
	$(BIN)/python -m benchmarks.flames $(ARGS)

BASE ?= HEAD~1
bench-compare: setup ## this tree beside another commit: instructions, medians of the parts (BASE=HEAD~1; ARGS="--rounds 0": instructions alone)
	@command -v valgrind >/dev/null || { echo "callgrind counts instructions: apt-get install valgrind" >&2; exit 1; }
	$(BIN)/python -m benchmarks.compare $(ARGS) $(BASE)

demo: setup ## the daemon, a synthetic encoder and the player page
	@exec $(BIN)/pypackager demo $(ARGS)

golden: setup ## writes the golden files anew: look at the difference before you commit it
	PYPACKAGER_GOLDEN=write $(BIN)/python -m pytest -p no:benchmark tests/golden $(ARGS)

soak: setup system ## what runs longer than two minutes
	$(BIN)/python -m pytest -p no:benchmark -m soak -s --timeout=0 $(ARGS)

# Half an hour for every fuzz target would be a night by itself; ten minutes find what a change broke.
nightly: ## what is too long for every change: the crates, the soak, each fuzz target for ten minutes (NIGHT=600)
	$(MAKE) deny
	$(MAKE) soak
	$(MAKE) fuzz T=$(NIGHT)

obs: setup ## OBS Studio as the encoder; installs its 400 MB of packages where allowed
	@.ci/system-packages obs
	$(BIN)/python -m pytest -p no:benchmark -m obs $(ARGS)

NIGHT  ?= 600
T      ?= 60
N      ?=
TARGET ?=
# So many inputs for each target, or for so many seconds.
BOUND  := $(if $(N),-runs=$(N),-max_total_time=$(T)) -timeout=10 -rss_limit_mb=2048
FUZZ   := RUSTC_BOOTSTRAP=1 $(CARGO) fuzz
PY_FUZZ := ingest_urls credentials viewer_urls hls_media_playlists hls_multivariant dash_mpds dash_indexes smooth_manifests hds_manifests \
    hds_bootstraps mp4_headers mp4_fragments smooth_fragments ts_segments ts_streams f4f_fragments aac_configs avc_parameter_sets amf_values
# The core is safe Rust: what a sanitizer would find, the compiler refuses, and without one five times as much is tried.
fuzz: setup-python ## each fuzz target for T seconds (T=60) or N inputs, or only TARGET
	@command -v cargo-fuzz >/dev/null || $(CARGO) install --locked cargo-fuzz
	@$(BIN)/python -m pip install -q --group fuzz
	@PYTHONPATH=. $(PYTHON) rust/fuzz/seeds.py
	@for target in $(or $(TARGET),$$($(CARGO) fuzz list --fuzz-dir rust/fuzz) $(PY_FUZZ)); do \
	  printf '\033[1m==> %s\033[0m\n' "$$target"; \
	  case " $(PY_FUZZ) " in \
	    *" $$target "*) $(BIN)/python -m tests.fuzz "$$target" $(BOUND);; \
	    *) $(FUZZ) run --fuzz-dir rust/fuzz --sanitizer none "$$target" -- $(BOUND);; \
	  esac; done

wheel: $(STAMP)/python ## a wheel in dist/
	$(BIN)/python -m pip wheel -q --no-build-isolation --no-deps -w dist .

clean: ## removes everything that was made here
	rm -rf $(VENV) target build dist .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks web/node_modules pypackager/console/static/vendor
	find pypackager \( -name '*.so' -o -name __pycache__ \) -prune -exec rm -rf {} +
	rm -f pypackager/dvr/index.c
