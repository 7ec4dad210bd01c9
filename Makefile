# Headrace. "make" builds, "make help" lists the targets.

GO        ?= go
VERSION   ?= $(shell git describe --tags --dirty 2>/dev/null || echo dev)
FUZZTIME  ?= 10s
BENCH     ?= .
RUN       ?=
LOADFLAGS ?=

# The last line of defence against a test that hangs; the suite takes minutes.
TIMEOUT ?= 9m
# Packages at a time: tests with clocks in them want a core each.
PARALLEL ?= 2

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0

# Where several goroutines meet.
RACE := ./sse ./lb ./driver/... ./conf/... ./engine/... ./plugin/... ./bench

.DEFAULT_GOAL := build
.PHONY: build run test check lint deps docs race t live fuzz bench budget load cover clean help setup

build: ## build ./headrace
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-X main.version=$(VERSION)" -o headrace .

run: build ## build and start a gateway with a mock provider: no key, no other service
	@set -- --seed examples/run/routes.yaml; \
	if [ -n "$$OPENAI_API_KEY" ]; then \
		HEADRACE_OPENAI_AUTH="Bearer $$OPENAI_API_KEY"; export HEADRACE_OPENAI_AUTH; \
		set -- "$$@" --seed examples/run/openai.yaml; \
		echo "OPENAI_API_KEY is set: /openai/v1/chat/completions goes to OpenAI"; \
	fi; \
	exec ./headrace serve -c examples/run/config.yaml --hint "$$@"

# Budgets, house rules, scripts and docs examples are Go tests: they are in ./... .
test: setup ## everything: all tests, the race run, the checks
	$(GO) test -p $(PARALLEL) -timeout $(TIMEOUT) ./...
	@$(MAKE) --no-print-directory race lint

check: lint deps docs ## formatting, vet, staticcheck, import rules, docs

lint:
	@out=$$(gofmt -s -l $$(find . -name '*.go' -not -path './.cache/*' -not -path '*/node_modules/*')); \
	if [ -n "$$out" ]; then echo "gofmt -s -w is needed for:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

deps: ## import rules (t/deps_test.go)
	$(GO) test -count=1 -run Deps ./t

docs: ## the tested examples of the docs (t/docs_test.go)
	$(GO) test -count=1 -run Docs ./t

race: ## tests under the race detector, where several goroutines meet
	CGO_ENABLED=1 $(GO) test -race -p $(PARALLEL) -timeout $(TIMEOUT) $(RACE)

t: ## scripts against the built binary; RUN=name picks some
	$(GO) test -count=1 -timeout $(TIMEOUT) $(if $(RUN),-run '$(RUN)') ./t/...

live: ## ask the real providers whose keys are in the environment (CONTRIBUTING.md)
	HEADRACE_LIVE=1 $(GO) test -count=1 -v -run '^TestLive$$' ./t

fuzz: ## every fuzz target for FUZZTIME (10s) each
	@grep -rE --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]+' . | sort | \
	while IFS=: read -r file func; do \
		name=$${func#func }; dir=$$(dirname "$$file"); \
		echo "$$dir $$name"; \
		$(GO) test "$$dir" -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) || exit 1; \
	done

bench: ## Go benchmarks; BENCH=regexp picks some
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./...

budget: ## allocation budgets
	$(GO) test -count=1 -run 'Budget|Alloc' ./...

load: setup ## compare with a direct connection and with nginx (docs/benchmarking.md)
	$(GO) run ./bench/load $(LOADFLAGS)

cover: ## coverage by function, .cache/cover.html for reading
	@mkdir -p .cache
	$(GO) test -p $(PARALLEL) -timeout $(TIMEOUT) -coverpkg=./... -coverprofile=.cache/cover.out ./...
	$(GO) tool cover -html=.cache/cover.out -o .cache/cover.html
	$(GO) tool cover -func=.cache/cover.out

clean: ## remove what was built; data/ and logs/ stay
	rm -rf headrace .cache
	find . -name '*.test' -o -name '*.prof' | grep -v node_modules | xargs -r rm -f

setup:
	@.ci/setup

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
