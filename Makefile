# `make help` lists the targets. Everything a target needs besides Go, git and Python 3 is installed
# into .tools/ by the target itself.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO      ?= go
TOOLS   := $(CURDIR)/.tools
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

LINT_VERSION := $(shell cat .golangci-lint-version)
LINT         := $(TOOLS)/golangci-lint-$(LINT_VERSION)

# The race detector needs cgo, and so a C compiler; the product itself never does.
CC_FOUND := $(shell command -v "$$($(GO) env CC)" 2>/dev/null)
ifeq ($(CC_FOUND),)
RACE     :=
RACE_SAYS := no C compiler found: testing WITHOUT the race detector
else
RACE     := -race
RACE_SAYS := testing with the race detector
endif

FUZZTIME ?= 10s

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Real repository -> bundle -> build with the network cut off, in under a minute
	@$(GO) run ./demo

.PHONY: run
run: build ## Run the service on 127.0.0.1:8080, data in ./cachito-data
	./bin/cachito serve

.PHONY: build
build: ## Build bin/cachito (static, no cgo)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X github.com/cachito-serverless/cachito/shared/wiring.version=$(VERSION)" -o bin/cachito ./cmd/cachito

.PHONY: lint
lint: $(LINT) ## Run golangci-lint (installed into .tools/)
	$(LINT) run ./...

$(LINT):
	mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) CGO_ENABLED=0 $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv $(TOOLS)/golangci-lint $@

.PHONY: test
test: ## Run every test that needs no network; with -race where a C compiler is present
	@echo "$(RACE_SAYS)"
	$(GO) vet ./...
	$(GO) test -timeout 25m $(RACE) ./...

# The pages in a real browser, against the real program. npm installs what package-lock.json names, by digest;
# the browser is the system's (PLAYWRIGHT_CHROMIUM_EXECUTABLE_PATH names another one than Debian's).
WEB      := shared/web/browsertest
CHROMIUM := $(or $(PLAYWRIGHT_CHROMIUM_EXECUTABLE_PATH),/usr/bin/chromium)
PLAYWRIGHT = cd $(WEB) && CACHITO=$(CURDIR)/bin/cachito CACHITO_WORLD=$(CURDIR)/bin/browsertest PLAYWRIGHT_CHROMIUM_EXECUTABLE_PATH=$(CHROMIUM) npx --no-install playwright test

.PHONY: test-web
test-web: browsertest ## Test the web pages in Chromium (Debian: chromium fonts-liberation; Node 20)
	$(PLAYWRIGHT)

.PHONY: screenshots
screenshots: browsertest ## Draw docs/screenshots anew
	SCREENSHOTS=1; export SCREENSHOTS; $(PLAYWRIGHT)

.PHONY: browsertest
browsertest: build $(WEB)/node_modules
	@if [ ! -x "$(CHROMIUM)" ]; then echo "$(CHROMIUM) is not there: apt-get install chromium fonts-liberation" >&2; exit 1; fi
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/browsertest ./$(WEB)

$(WEB)/node_modules: $(WEB)/package-lock.json
	cd $(WEB) && npm ci --silent
	@touch $@

.PHONY: viewer
viewer: ## Fetch the viewer of the API's description from npm again (same version, same digest)
	shared/web/viewer/refresh

.PHONY: test-live
test-live: ## Run the tests that need the package registries
	CACHITO_LIVE=1 $(GO) test -count=1 -timeout 20m -run Live ./...

.PHONY: test-kerberos
# A KDC of its own on loopback, as an ordinary user; it ends with the test.
test-kerberos: ## Test logins against a real KDC (Debian: krb5-kdc krb5-admin-server krb5-user python3-gssapi)
	CACHITO_REQUIRE_TOOLS=1 $(GO) test $(RACE) -count=1 -run TestKerberos ./cmd/cachito

.PHONY: test-aws
test-aws: ## Test the adapters for AWS against an emulator (installed into .tools/, started and stopped)
	GO=$(GO) ./.ci/test-aws $(RACE)

.PHONY: test-dynoxide
test-dynoxide: ## Test the DynamoDB adapter against a second, stricter emulator (needs cargo; not part of CI)
	GO=$(GO) ./.ci/test-dynoxide $(RACE)

# ---- AWS: template.yaml, docs/operations.md --------------------------------------------------------------
# sam and cfn-lint, with every package pinned.
SAM := $(TOOLS)/sam-venv/bin/sam
export SAM_CLI_TELEMETRY := 0

$(SAM): .ci/sam-requirements.txt
	rm -rf $(TOOLS)/sam-venv
	python3 -m venv $(TOOLS)/sam-venv
	$(TOOLS)/sam-venv/bin/pip install --quiet --no-deps -r $<
	touch $@

.PHONY: lint-template
lint-template: $(SAM) ## Check template.yaml with sam and cfn-lint (installed into .tools/)
	AWS_REGION=us-east-1 $(SAM) validate --lint
	$(TOOLS)/sam-venv/bin/cfn-lint template.yaml

.PHONY: sam-build
sam-build: $(SAM) ## Build what is deployed to AWS, for ARCH=arm64 or x86_64
	ARCH=$(ARCH) $(SAM) build

# The processor of functions and layer: arm64 or x86_64, as the template's parameter Architecture.
ARCH     ?= arm64
GOARCH_arm64  := arm64
GOARCH_x86_64 := amd64

.PHONY: layers
layers: ## Make the Lambda layer, a trimmed Go toolchain, for both processors in dist/layers
	$(GO) run ./layers -arch arm64 -zip dist/layers/go-arm64.zip
	$(GO) run ./layers -arch x86_64 -zip dist/layers/go-x86_64.zip

# sam build calls build-<LogicalId> with ARTIFACTS_DIR. The functions Resolve... are one program, compiled once:
# go build leaves a program alone that is up to date.
build-%Function:
	@program=$$(sed -E 's/^Resolve.+/Resolve/' <<<"$*" | tr '[:upper:]' '[:lower:]'); \
	CGO_ENABLED=0 GOOS=linux GOARCH=$(or $(GOARCH_$(ARCH)),$(error ARCH is arm64 or x86_64, not $(ARCH))) \
		$(GO) build -tags lambda.norpc -trimpath -buildvcs=false -ldflags "-s -w -X github.com/cachito-serverless/cachito/shared/wiring.version=$(VERSION)" -o "bin/lambda-$(ARCH)/$$program" "./functions/$$program"; \
	cp "bin/lambda-$(ARCH)/$$program" "$(ARTIFACTS_DIR)/bootstrap"

.PHONY: build-GoLayer
build-GoLayer:
	rm -rf "$(ARTIFACTS_DIR)/go"
	$(GO) run ./layers -arch $(ARCH) -dir "$(ARTIFACTS_DIR)"

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (10s) each
	@./.ci/fuzz $(FUZZTIME)

.PHONY: golden
golden: ## Rewrite generated documents and golden files; review the diff
	$(GO) test ./shared/config -run TestSettingsPageIsCurrent -update
	@for dir in $$(grep -rl --include='*_test.go' 'flag.Bool("update"' shared cmd stack events | xargs -r -n1 dirname | sort -u | grep -v '^shared/config$$'); do \
		$(GO) test ./$$dir -update; \
	done

.PHONY: bench
bench: ## Measure bundling, memory, API and repeat requests; UPSTREAM=, HERMETO=, MIRROR_DIR= compare with peers
	@$(GO) run ./bench

# Its own environment, with every package of it pinned.
SCHEMATHESIS := $(TOOLS)/schemathesis/bin/schemathesis

.PHONY: test-schema
test-schema: $(SCHEMATHESIS) ## Put Schemathesis to a running service, with our OpenAPI description
	$(GO) run ./schematest $(SCHEMATHESIS)

$(SCHEMATHESIS): schematest/requirements.txt
	rm -rf $(TOOLS)/schemathesis
	python3 -m venv $(TOOLS)/schemathesis
	$(TOOLS)/schemathesis/bin/pip install --quiet --no-deps -r $<
	touch $@

.PHONY: ci
# Fuzzing is not part of it: what a random search finds must not depend on whose commit comes next. The seeds
# run with the tests; run `make fuzz` nightly, and before changing a parser.
ci: lint lint-template tidy-check ci-race test-aws test-schema test-kerberos test-web test-live demo ## What CI runs besides `make test`

# `make test` has used the race detector already where it could; CI insists on it.
.PHONY: ci-race
ci-race:
	@if [ -z "$(RACE)" ]; then echo "make ci needs a C compiler for the race detector" >&2; exit 1; fi
	$(GO) test -timeout 25m -race ./...

.PHONY: tidy-check
tidy-check: ## Fail when go.mod or go.sum are not tidy
	$(GO) mod tidy -diff
	$(GO) mod verify

.PHONY: clean
clean: ## Remove what the targets made (not ./cachito-data)
	rm -rf bin dist .tools .aws-sam $(WEB)/node_modules $(WEB)/test-results
