# The commands of daily work; `make` lists them. CI (.ci/run) calls the same ones.

.DEFAULT_GOAL := help
# `make setup test` means one after the other, also under -j.
.NOTPARALLEL:

graphiql := assets/graphiql/dist/licences.txt
node_tools := tests/node/node_modules/.package-lock.json
python_tools := tests/python/.venv/requirements.txt

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what building and testing need (asks before apt-get), fetch all dependencies
	@scripts/setup
	@$(MAKE) --silent $(graphiql) $(node_tools) $(python_tools)
	@cargo fetch --locked

.PHONY: run
run: ## Build and start the server, with a demo in it
	@echo "The first build takes some minutes, later ones seconds."
	cargo run --locked -- serve --demo

.PHONY: test
test: ## Run all tests, against real servers; fails when one cannot be started
	cargo test --locked --workspace

.PHONY: check
check: ## Check formatting, lints and documentation
	cargo fmt --check --all
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked

.PHONY: bench
bench: ## Measure speed against the references (docs/benchmarks.md)
	cargo bench --locked --bench house

.PHONY: faults
faults: ## Run the fault tests in full length (`make test` has them in short)
	CONCORD_FAULTS=full cargo test --locked --test it -- faults
	CONCORD_FAULTS=full cargo test --locked --test it -- claim_load
	CONCORD_FAULTS=full cargo test --locked --test it -- merge_model
	CONCORD_FAULTS=full cargo test --locked --test it -- merge_trace

CONCORD_CASES ?= 1000000

.PHONY: fuzz
fuzz: ## Try the laws of the merge a million times each (`make test`: 10,000); CONCORD_CASES says how often
	CONCORD_CASES=$(CONCORD_CASES) cargo test --locked --profile bench --lib -- domain::merge domain::version_vector

.PHONY: graphiql
graphiql: $(graphiql) ## Fetch the files of the GraphiQL page; the next build embeds them

.PHONY: schema
schema: ## Write schema.graphql from the code
	cargo run --locked --quiet -- schema > schema.graphql.new && mv schema.graphql.new schema.graphql

$(graphiql): assets/graphiql/package-lock.json assets/graphiql/collect.mjs scripts/graphiql
	scripts/graphiql

$(node_tools): tests/node/package-lock.json
	npm ci --prefix tests/node --ignore-scripts --no-audit --no-fund
	@touch $@

# The copy of the list is what says that the folder is whole; it is the last thing to be put there.
$(python_tools): tests/python/requirements.txt
	python3 -m venv --clear tests/python/.venv
	tests/python/.venv/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --requirement $<
	@cp $< $@
