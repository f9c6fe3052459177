# The index of everything that can be done here. `make help` explains each target.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Where `make install` puts the program.
PREFIX ?= /usr/local
# How Swift is called; `make test SWIFT=/path/to/swift` uses another one.
SWIFT ?= swift
# Flags for every build, such as `-j 1`.
SWIFT_FLAGS ?=
# Test targets, one after another: each runs its tests in parallel, and those that wait for real sockets
# and processes don't wait for the processor that another target's computing tests keep busy.
TESTS := TidyTests SchemaTests SchemaCodeGenTests StoreModelTests ChunkStoreTests MetadataStoreTests \
  RPCTests RPCNIOTests RPCTLSTests RPCServicesTests RPCObservabilityTests DirectoryServerTests NodeServerTests StoreClientTests SimulationTests \
  EndToEndTests
# The tests' sanitizer: `thread`, `address` or none. What it builds stands beside the normal build, and what it
# finds, in the tests or in a program that they start, is in files there, and fails.
SANITIZE ?=
SANITIZED := $(if $(SANITIZE),--sanitize=$(SANITIZE) --scratch-path .build/$(SANITIZE))
# Fuzz targets, one after another, and how many seconds each runs.
FUZZERS := FuzzConnection FuzzDecoder FuzzFrames FuzzJSON FuzzSegments
SECONDS ?= 60
# A program for use carries Swift's libraries within it, so that it runs where Swift isn't installed.
# (lld links it in a moment, and without the warnings of older linkers.)
RELEASE := -c release --static-swift-stdlib -Xswiftc -use-ld=lld

# Debian and Ubuntu packages that the build needs: the schema compilers and protobuf-c for the RPC,
# ISA-L for CRC-32C, SQLite for the Directory's database, a C compiler for the test harness, OpenSSL for the tests' certificates.
PACKAGES := protobuf-compiler protobuf-c-compiler libprotobuf-c-dev libisal-dev libsqlite3-dev \
  gcc libc6-dev pkg-config openssl

.PHONY: help
help: ## Explains the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: ## Installs what the build needs and isn't there (Debian, Ubuntu)
	@command -v $(SWIFT) > /dev/null || { \
	  echo "Swift 6.2 or newer is needed: see https://www.swift.org/install/linux" >&2; exit 1; }
	@missing=(); \
	for package in $(PACKAGES); do \
	  [[ "$$(dpkg-query -W -f '$${Status}' $$package 2> /dev/null)" == *" installed" ]] \
	    || missing+=($$package); \
	done; \
	if (( $${#missing[@]} )); then \
	  echo "installing $${missing[*]}"; \
	  sudo=; (( EUID == 0 )) || sudo=sudo; \
	  $$sudo apt-get update -q > /dev/null; \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
	    "$${missing[@]}" > /dev/null; \
	fi

.PHONY: build
build: setup ## Builds the holdfast command for use: .build/release/holdfast
	$(SWIFT) build $(RELEASE) --product holdfast $(SWIFT_FLAGS)

.PHONY: demo
demo: build ## Stores real files on three nodes, kills one, reads everything back
	Tests/Demo/run .build/release/holdfast

.PHONY: test
test: setup ## Runs all tests; ONLY=RPCTests: one target's, SANITIZE=thread or address: under that sanitizer
	$(SWIFT) build --build-tests $(SANITIZED) $(SWIFT_FLAGS)
	@for target in $(if $(ONLY),$(ONLY),$(TESTS)); do \
	  echo "$$target"; \
	  $(if $(SANITIZE),Tests/Sanitizers/run $(SANITIZE)) \
	    $(SWIFT) test --skip-build $(SANITIZED) --filter "^$$target\\."; \
	done

.PHONY: fuzz
fuzz: setup ## Runs the fuzzers, 60 s each; ONLY=FuzzFrames: one of them, SECONDS=600: so long
	Tests/Fuzz/run "$(SWIFT)" $(SECONDS) $(if $(ONLY),$(ONLY),$(FUZZERS))

.PHONY: bench
bench: build ## Measures it beside C programs on this machine; ONLY=rpc: a part, JSON=FILE: a line a figure
	$(SWIFT) build $(RELEASE) --product holdfast-bench $(SWIFT_FLAGS)
	HOLDFAST=.build/release/holdfast .build/release/holdfast-bench

# How many times `make bench-peers` takes turns.
ROUNDS ?= 5

.PHONY: bench-peers
bench-peers: PACKAGES += python3 zlib1g-dev
bench-peers: setup ## Measures calls and messages beside grpc-swift-2 and swift-protobuf; ROUNDS=5: turns
	$(SWIFT) build $(RELEASE) --product holdfast-bench $(SWIFT_FLAGS)
	$(SWIFT) build $(RELEASE) --package-path Tests/BenchPeers --product Peers $(SWIFT_FLAGS)
	Tests/BenchPeers/run .build/release/holdfast-bench Tests/BenchPeers/.build/release/Peers $(ROUNDS)

.PHONY: protos
protos: setup ## Regenerates the C and Swift code of all schemas
	$(SWIFT) build --product protoc-gen-holdfast $(SWIFT_FLAGS)
	Protos/generate . .build/debug/protoc-gen-holdfast

.PHONY: protos-check
protos-check: setup ## Fails when regenerating the schemas' code would change a byte
	$(SWIFT) build --product protoc-gen-holdfast $(SWIFT_FLAGS)
	@scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	Protos/generate "$$scratch" .build/debug/protoc-gen-holdfast; \
	Protos/generate --compare "$$scratch"

.PHONY: interop
interop: PACKAGES += python3 python3-venv
interop: setup ## Runs clients in C and Python against the Swift servers, and the Swift client against the C server and a Swift node
	$(SWIFT) build --product holdfast $(SWIFT_FLAGS)
	Tests/Interop/run.sh

.PHONY: example
example: setup ## Builds and runs a package that uses the schemas and calls for a service of its own
	Tests/Example/check "$(SWIFT)"

.PHONY: conformance
conformance: PACKAGES += libprotobuf-dev g++ dpkg-dev
conformance: setup ## Runs protobuf's conformance suite against the schemas
	Tests/Conformance/run "$(SWIFT)"

.PHONY: format
format: ## Formats the Swift sources in place
	$(SWIFT) format --in-place --recursive Package.swift Sources Tests Plugins

.PHONY: lint
lint: ## Checks the form of the Swift sources
	$(SWIFT) format lint --strict --recursive Package.swift Sources Tests Plugins

.PHONY: install
install: build ## Installs the holdfast command under PREFIX (/usr/local)
	install -D -m 755 .build/release/holdfast "$(DESTDIR)$(PREFIX)/bin/holdfast"

.PHONY: clean
clean: ## Removes what was built
	rm -rf .build Tests/*/.build
