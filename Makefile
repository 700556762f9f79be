# Everything that is done with this repository by hand or by CI. `make help` lists it.

SHELL   := bash
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X github.com/sluicegw/sluice.Version=$(VERSION)
PORT    ?= 4000
CONFIG  ?= examples/quickstart.yaml
FUZZTIME ?= 20s
SOAKTIME ?= 10m
# A profile of a gateway under load, by which the compiler chooses what to inline. Not by the name that Go takes by
# itself: it has all libraries compiled anew, which tests have no use for.
PGO     := cmd/sluice/cpu.pgo
# The race detector needs a C compiler; without one the same tests run without it.
RACE    := $(shell command -v gcc >/dev/null 2>&1 || command -v clang >/dev/null 2>&1 && echo -race)

# All of staticcheck but: forms of comments and names that Go's own code departs from as well, and the
# lower case of an error's first word, which may be a product's name.
CHECKS  := all,-ST1000,-ST1003,-ST1005,-ST1016,-ST1020,-ST1021,-ST1022

.DEFAULT_GOAL := help
.PHONY: help run build tools testtools test check fmt lint fuzz bench pgo soak catalog clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: tools build ## Start the gateway on port 4000 with the quickstart's config (CONFIG=, PORT=)
	bin/sluice --config $(CONFIG) --port $(PORT)

build: ## Build bin/sluice
	CGO_ENABLED=0 go build -pgo=$(PGO) -trimpath -ldflags '$(LDFLAGS)' -o bin/sluice ./cmd/sluice

tools: ## Install the pinned Envoy, PostgreSQL and Valkey into .tools
	@python3 tools/install.py

testtools:
	@python3 tools/install.py --test

test: testtools ## Run every test, against the real Envoy, PostgreSQL and Valkey
	go vet ./...
	go test -timeout 20m ./...

check: tools fmt lint ## Quick checks before a commit: format, vet, lint, short tests with the race detector
	go test -short $(RACE) -timeout 10m ./...

fmt:
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then \
	  echo "gofmt: these files are not formatted (run gofmt -w on them):"; echo "$$bad"; exit 1; fi

lint: ## Run go vet and staticcheck (pinned in tools/go.mod)
	go vet ./...
	go tool -modfile=tools/go.mod staticcheck -checks '$(CHECKS)' ./...

fuzz: ## Run every fuzz target for 20 s (FUZZTIME=)
	tools/fuzz.sh $(FUZZTIME)

bench: tools build ## Run every benchmark, and sluice beside a plain Envoy (BENCHFLAGS=-quick)
	go test -run '^$$' -bench . -benchmem ./...
	go run ./bench $(BENCHFLAGS)

pgo: tools build ## Renew the profile by which bin/sluice is compiled, from loads of the benchmark
	rm -rf bin/profiles
	go run ./bench -only small,100k,fast-stream,limits,routed -systems openai,anthropic -rounds 1 -duration 10s -profile bin/profiles
	tools/pgo.py $(PGO) bin/profiles/*.pprof

soak: tools ## Run the soak tests (named TestSoak...) for 10 minutes (SOAKTIME=)
	SLUICE_SOAK=$(SOAKTIME) go test -run '^TestSoak' -timeout 0 -v ./...

catalog: ## Renew the catalogue of models from LiteLLM's PyPI package (RELEASE=)
	python3 tools/catalog.py $(RELEASE)

clean: ## Remove what was built; the installed tools stay (rm -rf .tools removes them too)
	rm -rf bin
	go clean -testcache
