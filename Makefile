# Nexara. `make help` lists the targets; a CI step is a target.
SHELL := /bin/bash
.DEFAULT_GOAL := help

BUILD := build
LDFLAGS := -s -w
DRIVER ?= container
GO ?= go
# No cgo anywhere: one build cache for the daemons, the chain and the tests, and no C compiler to install.
export CGO_ENABLED := 0
# The folder of the cluster trace (testutil/lab/README.md says where it comes from).
LAB_DATA ?= ../shared/data/cluster-trace
NEXCORE_TARGETS := linux/amd64 linux/arm linux/arm64 linux/riscv64 darwin/arm64

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  %-14s %s\n", $$1, $$2}'

.PHONY: demo
demo: ## a real job from wallet to payout on this machine (DRIVER=wasm needs no root and no packages)
	@DRIVER=$(DRIVER) bash scripts/demo.sh

.PHONY: demo-again
demo-again: ## the demo, cut off by Ctrl-C in the middle, must leave nothing and run again
	@DRIVER=$(DRIVER) bash scripts/demo-again.sh

.PHONY: test
test: build ## every test
	@bash scripts/test.sh

.PHONY: build
build: ## the three binaries into build/
	@mkdir -p $(BUILD)
	$(GO) build -ldflags "$(LDFLAGS)" -o $(BUILD)/ ./cmd/nexarad ./cmd/nexcore ./cmd/nexgate

.PHONY: size
size: build ## sizes of the stripped binaries
	@for b in nexarad nexcore nexgate; do printf '%-8s %6.1f MB\n' $$b "$$(stat -c %s $(BUILD)/$$b | awk '{print $$1/1000000}')"; done

.PHONY: cross
cross: ## nexcore for every platform it runs on
	@for t in $(NEXCORE_TARGETS); do \
	  echo "nexcore $$t"; \
	  GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build -ldflags "$(LDFLAGS)" -o $(BUILD)/cross/nexcore-$${t%/*}-$${t#*/} ./cmd/nexcore || exit 1; \
	done

.PHONY: bench
bench: ## the figures of docs/bench.md as JSON, with the machine described
	@bash scripts/bench.sh

.PHONY: lab
lab: ## the market lab: policies of clearing against each other on a cluster trace, tables and plots in build/lab
	$(GO) run ./testutil/lab/cmd/marketlab -data $(LAB_DATA) -out $(BUILD)/lab

.PHONY: race
race: ## the daemon's rooms under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -timeout 30m $$($(GO) list ./node/... | grep -v -e driver/containerd -e driver/wasm -e drivertest)

.PHONY: lint
lint: ## linters, formatting
	@bash scripts/lint.sh

.PHONY: gen
gen: ## generate code from proto/
	@bash scripts/gen-proto.sh

.PHONY: check-gen
check-gen: ## fail when generated code is not what proto/ says
	@bash scripts/check-gen.sh

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME each (default 20s)
	@bash scripts/fuzz.sh

.PHONY: clean
clean: ## remove what was built and the demo's folder
	rm -rf $(BUILD) demo
