# `make` lists the targets.

CARGO := cargo
# The tests need the `testing` features of the crates. All commands select the same, or they would compile again.
ALL := --workspace --all-features --locked

.DEFAULT_GOAL := help
.PHONY: help run demo test test-sqlite test-postgres test-s3 soak bench fmt lint docs openapi deny check

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

run: ## Build and run the server on 127.0.0.1:8000, with its data in ./data
	$(CARGO) build --release --locked --bin guildhall
	./target/release/guildhall serve

demo: ## Build, and fill the empty ./data with a small community
	$(CARGO) build --release --locked --bin guildhall
	./target/release/guildhall demo

test: ## Run all tests on SQLite and, if installed, on PostgreSQL and an S3 server
	@$(MAKE) --no-print-directory test-sqlite
	@tests/with-s3.sh $(MAKE) --no-print-directory test-s3; status=$$?; \
	if [ $$status = 77 ]; then echo "SKIPPED: S3 (moto from PyPI is not installed)."; \
	elif [ $$status != 0 ]; then exit 1; fi
	@tests/with-postgres.sh $(MAKE) --no-print-directory test-postgres; status=$$?; \
	if [ $$status = 0 ]; then echo "All tests passed on SQLite and on PostgreSQL."; \
	elif [ $$status = 77 ] && [ -z "$(REQUIRE_POSTGRES)" ]; then \
		echo "All tests passed on SQLite. SKIPPED: PostgreSQL (not installed)."; \
	else echo "The tests failed, or PostgreSQL is required but not installed."; exit 1; fi

test-sqlite:
	GUILDHALL_TEST_POSTGRES= $(CARGO) test $(ALL)

# Only tests that use the database.
test-postgres:
	$(CARGO) test $(ALL) --lib --test it

# Only tests that use an object store.
test-s3:
	$(CARGO) test $(ALL) --test it -- s3::

soak: ## Run the long tests: crashes, full disks, overload, several gateways, fuzzing and simulation
	@command -v nats-server >/dev/null || [ -x /usr/sbin/nats-server ] || \
		{ [ "$$(id -u)" = 0 ] && apt-get install -y -qq --no-install-recommends nats-server >/dev/null; } || \
		echo "nats-server is not installed (Debian's package has this name); its test will be skipped."
	$(CARGO) build --release --locked --bin guildhall
	PROPTEST_CASES=10000 $(CARGO) test $(ALL) --lib --test it -- fuzz_
	GUILDHALL_SEEDS=0..200000 $(CARGO) test $(ALL) --test it -- simulation
	$(CARGO) test $(ALL) --test soak -- --nocapture --test-threads=1
	@tests/with-postgres.sh $(CARGO) test $(ALL) --test soak -- --nocapture --test-threads=1

bench: ## Run the benchmarks: functions, then the whole server against its baseline
	$(CARGO) build --release --locked --bin guildhall
	$(CARGO) bench --locked -p guildhall-bench
	$(CARGO) run --release --locked -p guildhall-bench --features recording -- --mixed --rest 300 --docs docs
	$(CARGO) run --release --locked -p guildhall-bench --features recording -- rooms --docs docs
	$(CARGO) run --release --locked -p guildhall-bench --features recording -- sockets --docs docs

fmt: ## Format the code
	$(CARGO) fmt --all

lint: ## Check formatting, and run clippy with warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(ALL) --all-targets -- -D warnings

docs: ## Build the crate documentation with warnings as errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(ALL) --no-deps

openapi: ## Validate the OpenAPI document, if openapi-spec-validator (from PyPI) is installed
	@if command -v openapi-spec-validator >/dev/null; then \
		$(CARGO) build --quiet $(ALL) --bin guildhall && \
		"$${CARGO_TARGET_DIR:-target}/debug/guildhall" openapi | openapi-spec-validator -; \
	else echo "SKIPPED: OpenAPI validation (openapi-spec-validator from PyPI is not installed)."; fi

deny: ## Check advisories, licenses and banned crates, if cargo-deny is installed
	@if command -v cargo-deny >/dev/null; then cargo deny check; else echo "SKIPPED: dependency checks (cargo-deny is not installed)."; fi

check: lint docs test openapi deny ## Run everything that CI checks
