# One word per chore. `make` lists them.

CARGO := cargo
# The tests need the kernel's test kit and the crates' fakes.
ALL := --workspace --all-features --locked

.DEFAULT_GOAL := help
.PHONY: help run test test-sqlite test-postgres test-s3 soak bench fmt lint docs openapi deny check

help: ## List the chores
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

run: ## Build and run the server on 127.0.0.1:8000, with its data in ./data
	$(CARGO) build --release --locked --bin guildhall
	./target/release/guildhall serve

test: ## Run every test, on SQLite and, where its server is installed, on PostgreSQL
	@$(MAKE) --no-print-directory test-sqlite
	@tests/with-s3.sh $(MAKE) --no-print-directory test-s3; status=$$?; \
	if [ $$status = 77 ]; then echo "NOT COVERED: S3, whose server program (moto, from PyPI) is not installed."; \
	elif [ $$status != 0 ]; then exit 1; fi
	@tests/with-postgres.sh $(MAKE) --no-print-directory test-postgres; status=$$?; \
	if [ $$status = 0 ]; then echo "All tests passed on SQLite and on PostgreSQL."; \
	elif [ $$status = 77 ] && [ -z "$(REQUIRE_POSTGRES)" ]; then \
		echo "All tests passed on SQLite. NOT COVERED: PostgreSQL, whose server programs are not installed."; \
	else echo "The tests failed, or PostgreSQL is required and not installed."; exit 1; fi

test-sqlite:
	GUILDHALL_TEST_POSTGRES= $(CARGO) test $(ALL)

# What depends on the database; unit tests and examples have run already.
test-postgres:
	$(CARGO) test $(ALL) --lib --test it

# What depends on an object store.
test-s3:
	$(CARGO) test --locked -p guildhall-platform --all-features --test it

soak: ## What takes long: killing, starving and attacking the server, and feeding its parsers
	$(CARGO) build --release --locked --bin guildhall
	PROPTEST_CASES=10000 $(CARGO) test $(ALL) --lib --test it -- fuzz_
	$(CARGO) test --locked -p guildhall-tests --test soak -- --nocapture --test-threads=1
	@tests/with-postgres.sh $(CARGO) test --locked -p guildhall-tests --test soak -- --nocapture --test-threads=1

bench: ## Measure in release mode: functions, then the whole server beside its floor
	$(CARGO) build --release --locked --bin guildhall
	$(CARGO) bench --locked -p guildhall-bench
	$(CARGO) run --release --locked -p guildhall-bench

fmt: ## Format the sources
	$(CARGO) fmt --all

lint: ## Check formatting, and clippy with warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(ALL) --all-targets -- -D warnings

docs: ## Build the documentation of the crates, with warnings as errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(ALL) --no-deps

openapi: ## Check the API's description, where openapi-spec-validator (from PyPI) is installed
	@if command -v openapi-spec-validator >/dev/null; then \
		$(CARGO) run --quiet --locked --bin guildhall -- openapi | openapi-spec-validator -; \
	else echo "NOT COVERED: the API's description, for openapi-spec-validator (from PyPI) is not installed."; fi

deny: ## Check advisories, licences and duplicates, where cargo-deny is installed
	@if command -v cargo-deny >/dev/null; then cargo deny check; else echo "cargo-deny is not installed: skipped"; fi

check: lint docs test openapi deny ## Everything that CI checks
