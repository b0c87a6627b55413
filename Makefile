# What people and CI run; `make help` lists it.

# Outside the checkout, so that a fresh clone does not build everything anew.
CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/microllm/target
export CARGO_TARGET_DIR

PROGRAM := $(CARGO_TARGET_DIR)/release/microllm
LOGS := $(CARGO_TARGET_DIR)/test-logs

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Never two builds at once: one takes all of a small machine.
.NOTPARALLEL:
.PHONY: help run build test lint-fast lint-model test-fast test-model test-sdk test-processor bench bench-gateway eval-guardrails openapi sqlx-prepare compat-time

help: ## Show this
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) \
	  | while IFS='|' read -r name what; do printf '  make %-16s %s\n' "$$name" "$$what"; done

run: build ## Build and serve (more arguments: make run ARGS="--listen 0.0.0.0:8080")
	exec "$(PROGRAM)" serve $(ARGS)

build: compat-time ## Build the program
	cargo build --release --locked

# The engine is compiled in release alone, where its tests and the SDKs' run: compiled twice, it
# takes most of an hour on a small machine.
test: lint-fast test-fast lint-model test-model test-processor test-sdk ## Everything that CI runs
	@awk "$$COUNTS" "$(LOGS)/fast.log" "$(LOGS)/model.log" "$(LOGS)/sdk.log"

lint-fast: ## Formatting, and clippy without the engine
	cargo fmt --check
	cargo clippy --locked --no-default-features --all-targets -- -D warnings

lint-model: compat-time ## Clippy with the engine
	cargo clippy --locked --release --all-targets -- -D warnings

test-fast: ## Unit tests and the whole HTTP stack on a scripted engine
	@mkdir -p "$(LOGS)"
	cargo test --locked --no-default-features 2>&1 | tee "$(LOGS)/fast.log"

test-model: compat-time ## The same with the engine, and the engine with real weights
	@mkdir -p "$(LOGS)"
	cargo test --locked --release 2>&1 | tee "$(LOGS)/model.log"

# Built as the tests are: development dependencies switch features of shared crates on, so that
# after `make test-model` a plain build would compile the engine once more.
test-sdk: ## The official SDKs against the program and the real model
	@mkdir -p "$(LOGS)"
	cargo test --locked --release --no-run
	sdk-tests/run "$(PROGRAM)" $(ARGS) 2>&1 | tee "$(LOGS)/sdk.log"

# A build for x86-64-v3 must say so on an older processor, not die of an unknown instruction.
test-processor: ## The refusal of an old processor, in an emulator (x86-64; package qemu-user)
ifeq ($(shell uname -m),x86_64)
	said=$$(! qemu-x86_64 -cpu Nehalem "$(PROGRAM)" --version 2>&1) && grep -q 'needs an x86-64-v3 processor' <<<"$$said"
	qemu-x86_64 -cpu Haswell "$(PROGRAM)" --version 2>/dev/null | grep '^microllm '
endif

eval-guardrails: build ## How good the guardrails are, beside others (DATA=directory, TRAINED=rows.jsonl)
	python3 benches/guardrails/run.py "$(PROGRAM)" $(if $(DATA),--data "$(DATA)") $(if $(TRAINED),--trained "$(TRAINED)") $(ARGS)

bench: build ## Load time, time to first token, tokens/s and memory on this machine
	python3 benches/bench.py "$(PROGRAM)"

# A directory of its own: without the engine, shared crates are built with other features.
bench-gateway: ## Requests/s, latency, memory and CPU beside other gateways (needs wrk)
	program=$$(cargo build --release --locked --no-default-features --bench gateway \
	    --target-dir "$(CARGO_TARGET_DIR)/gateway" --message-format json-render-diagnostics \
	  | sed -nE 's/.*"executable":"([^"]*\/gateway-[^"]*)".*/\1/p') \
	  && python3 benches/gateway/run.py "$$program" $(ARGS)

# In a fresh clone every file is new, and cargo would compile the engine again for the sake of
# three re-exports. Their real age is that of their last commit.
compat-time:
	@! git diff --quiet HEAD -- compat || git ls-files -z compat | xargs -0 touch -d "$$(git log -1 --format=%cI -- compat)"

openapi: ## Write openapi/openapi.json anew
	cargo run --locked --no-default-features -- openapi > openapi/openapi.json.new
	mv openapi/openapi.json.new openapi/openapi.json

sqlx-prepare: ## Check the SQL queries and describe them in .sqlx
	cargo sqlx --version || cargo install sqlx-cli --version 0.9.0 --no-default-features --features sqlite,rustls
	mkdir -p "$(CARGO_TARGET_DIR)" && rm -f "$(CARGO_TARGET_DIR)"/sqlx.db*
	export DATABASE_URL="sqlite:$(CARGO_TARGET_DIR)/sqlx.db" \
	  && cargo sqlx database create && cargo sqlx migrate run && cargo sqlx prepare -- --no-default-features

define COUNTS
function add(suite, p, f, s) {
    if (!(suite in passed)) order[++suites] = suite
    passed[suite] += p; failed[suite] += f; skipped[suite] += s
    passed["total"] += p; failed["total"] += f; skipped["total"] += s
}
function said(word,  i) { for (i = 1; i < NF; i++) if ($$(i + 1) ~ "^" word) return $$i; return 0 }
FILENAME ~ /fast/  && /^test result:/ { add("without the engine", $$4, $$6, $$8) }
FILENAME ~ /model/ && /^test result:/ { add("with the engine", $$4, $$6, $$8) }
FILENAME ~ /sdk/   && / (passed|failed|error|errors)[ ,].*in [0-9.]+s/ {
    add("SDKs, Python", said("passed"), said("failed") + said("error"), said("skipped"))
}
FILENAME ~ /sdk/ && $$2 == "pass"    { add("SDKs, Node.js", $$3, 0, 0) }
FILENAME ~ /sdk/ && $$2 == "fail"    { add("SDKs, Node.js", 0, $$3, 0) }
FILENAME ~ /sdk/ && $$2 == "skipped" { add("SDKs, Node.js", 0, 0, $$3) }
END {
    print ""
    for (i = 1; i <= suites; i++) {
        suite = order[i]
        printf "%-20s %4d passed, %d failed, %d skipped\n", suite, passed[suite], failed[suite], skipped[suite]
    }
    printf "total: %d passed, %d failed, %d skipped\n", passed["total"], failed["total"], skipped["total"]
}
endef
export COUNTS
