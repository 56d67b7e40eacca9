# Copyright The Seatkeeper Authors.
# SPDX-License-Identifier: Apache-2.0

SHELL := /usr/bin/env bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

ROOT      := $(CURDIR)
BIN       := $(ROOT)/bin
STATE     ?= $(ROOT)/.state
# One setting for builds, tests and tools, so that they share one build cache.
export CGO_ENABLED := 0
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS   := -s -w -X github.com/seatkeeper/seatkeeper/internal/version.Version=$(VERSION)
GOBUILD   := go build -ldflags '$(LDFLAGS)'
SOURCES   := $(shell find api cmd connectors controllers internal config/crd config/samples -type f \( -name '*.go' -o -name '*.yaml' -o -name '*.sql' \) -not -name '*_test.go' 2>/dev/null) go.mod go.sum
TESTFLAGS ?= -timeout 20m

##@ Use

.PHONY: up
up: ## Run everything on this machine: control plane, manager, gateway, simulated vendors for 500 people.
	@hack/up.sh --state-dir $(STATE) $(UP_FLAGS)

.PHONY: down
down: ## Stop what `make up` started; its data stays.
	@hack/up.sh --down --state-dir $(STATE)

.PHONY: clean
clean: down ## Stop, then delete the binaries and the data of `make up`.
	@rm -rf $(BIN) $(STATE) dist
	@echo "deleted $(BIN) and $(STATE)"

##@ Build

.PHONY: build
build: $(BIN)/manager $(BIN)/gateway $(BIN)/seatkeeper ## Build manager, gateway and CLI into bin/.
	@ln -sf seatkeeper $(BIN)/kubectl-seatkeeper

$(BIN)/manager $(BIN)/gateway $(BIN)/seatkeeper: $(BIN)/%: $(SOURCES)
	@mkdir -p $(BIN)
	$(GOBUILD) -o $@ ./cmd/$*

.PHONY: localcluster
localcluster: $(BIN)/localcluster ## Build the embedded control plane (about 5 minutes on 2 cold cores).

$(BIN)/localcluster: $(shell find localcluster -name '*.go' -not -name '*_test.go' 2>/dev/null) localcluster/go.mod localcluster/go.sum
	@mkdir -p $(BIN)
	cd localcluster && go build -ldflags '-s -w' -o $@ .

TOOL_PKG_controller-gen := sigs.k8s.io/controller-tools/cmd/controller-gen
TOOL_PKG_golangci-lint  := sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter
TOOL_PKG_helm           := helm.sh/helm/v3/cmd/helm

$(BIN)/controller-gen $(BIN)/golangci-lint $(BIN)/helm: $(BIN)/%: hack/tools/go.mod hack/tools/go.sum
	@mkdir -p $(BIN)
	cd hack/tools && go build -ldflags '-s -w' -o $@ $(TOOL_PKG_$*)

##@ Test

.PHONY: test
test: $(BIN)/localcluster $(BIN)/helm build ## Run every test: real API server, SQLite and PostgreSQL.
	@eval "$$(hack/test-postgres.sh start)"; \
	trap 'hack/test-postgres.sh stop' EXIT; \
	SEATKEEPER_LOCALCLUSTER=$(BIN)/localcluster go test -p 2 $(TESTFLAGS) ./...

.PHONY: test-localcluster
test-localcluster: ## Test the embedded control plane's own module.
	cd localcluster && go test -timeout 10m ./...

# A count, not a time: at the end of a time go test may report its own deadline
# as a failure (golang/go#48157).
FUZZTIME ?= 20000x
.PHONY: fuzz
fuzz: ## Fuzz every parser with FUZZTIME inputs each.
	@hack/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: $(BIN)/localcluster ## Run the benchmarks of docs/benchmarks.md (SEATKEEPER_BENCH_ROWS sets the size).
	@eval "$$(hack/test-postgres.sh start)"; \
	trap 'hack/test-postgres.sh stop' EXIT; \
	hack/bench.sh

.PHONY: verify-extended
verify-extended: ## What the gate has no time for: 500 kills, long fuzzing, large benchmarks.
	SEATKEEPER_CHAOS_KILLS=500 SEATKEEPER_CHAOS_LIST_MB=2048 $(MAKE) test TESTFLAGS='-timeout 90m -run "Chaos|AtRandom"'
	$(MAKE) fuzz FUZZTIME=500000x
	$(MAKE) newman
	SEATKEEPER_BENCH_ROWS=1000000 $(MAKE) bench

NEWMAN_VERSION := 6.2.2

.PHONY: newman
newman: ## Run Microsoft's SCIM collection by newman (needs npm, and SEATKEEPER_TESTDATA with the collection).
	@test -x $(BIN)/newman/node_modules/.bin/newman || npm install --silent --no-fund --no-audit --prefix $(BIN)/newman newman@$(NEWMAN_VERSION)
	@eval "$$(hack/test-postgres.sh start)"; \
	trap 'hack/test-postgres.sh stop' EXIT; \
	SEATKEEPER_NEWMAN=$(BIN)/newman/node_modules/.bin/newman go test -count=1 -run MicrosoftCollection ./internal/gateway/scim

.PHONY: a11y
a11y: ## Look with axe-core at the pages that people are shown (needs npm and Chromium).
	@hack/a11y.sh

##@ Check

.PHONY: lint
lint: $(BIN)/golangci-lint ## Lint Go code and the API's conventions.
	$(BIN)/golangci-lint run ./...
	$(BIN)/golangci-lint run -c .golangci-kal.yml ./api/...

.PHONY: generate
generate: $(BIN)/controller-gen ## Regenerate deep copies, CRDs, roles and reference pages.
	CONTROLLER_GEN=$(BIN)/controller-gen hack/generate.sh

.PHONY: verify
verify: generate ## Fail if generated code, formatting or go.mod are not as committed.
	@hack/verify-clean.sh

.PHONY: vuln
vuln: ## Look for known vulnerabilities (needs the online database).
	go run golang.org/x/vuln/cmd/govulncheck@latest ./...

.PHONY: help
help: ## Show this.
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-zA-Z_-]+:.*##/ {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
