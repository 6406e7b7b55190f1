# `make` prints what there is to make.

PREFIX ?= /usr/local
SECONDS ?= 60
SEED ?=
SLOTS ?= 1
FENCE ?=
WORD ?=
# Programs of other packages than those that CONTRIBUTING.md asks for. DEPS=no installs none: it says what is missing.
TEST_NEEDS := redis-server openssl fish zsh tmux strace less sudo sshd ip ps python3 sqlite3
TARGET := $(or $(CARGO_TARGET_DIR),target)
BINARY := $(TARGET)/release/redlock
# What cargo calls this machine; asked for only where it is needed.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
# The oldest Rust that builds it, as Cargo.toml says.
MSRV = $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
# The tests wait more than they work.
TEST_THREADS := $(shell echo $$(( $$(nproc) * 2 )))
# Of the C libraries that Rust can link statically, musl asks the processor nothing before main and resolves names without
# plugins; `rustup target add` brings it.
MUSL = $(HOST:gnu=musl)
STATIC_TARGET = $(if $(wildcard $(shell rustc --print sysroot)/lib/rustlib/$(MUSL)),$(MUSL),$(HOST))
# What compiles C for it. The little there is needs no C library, so any will do.
STATIC_CC = $(or $(if $(filter %-musl,$(STATIC_TARGET)),$(shell command -v musl-gcc)),cc)
STATIC_DIR = $(TARGET)/static
STATIC = $(STATIC_DIR)/$(STATIC_TARGET)/release/redlock
# Without the second flag glibc's would look for getrandom(2) in a libc that it has not, and fall back to /dev/urandom, which
# an empty root does not have either. The linker makes a position-independent binary of it where it can (static-pie).
STATIC_FLAGS := -C target-feature=+crt-static --cfg getrandom_backend="linux_getrandom"

# Names of folders of this machine are not to be in a binary. rustc names its own by their hash, and ours are relative;
# those of the dependencies are below here.
REGISTRY = $(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src/
ANONYMOUS = RUSTFLAGS="$$RUSTFLAGS --remap-path-prefix=$(REGISTRY)="

BIN_DIR := $(DESTDIR)$(PREFIX)/bin
MAN_PAGES := $(notdir $(wildcard man/*.[157]))
MAN_DIR := $(DESTDIR)$(PREFIX)/share/man
BASH_DIR := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
ZSH_DIR := $(DESTDIR)$(PREFIX)/share/zsh/site-functions
FISH_DIR := $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d

SHELL_SCRIPTS := .ci/run $(wildcard scripts/*.sh examples/*.sh examples/*/*.sh)
C_FILES := $(wildcard bench/*.c)

.DEFAULT_GOAL := help
.PHONY: help build static check needs test perf-test no-tls-test msrv bare-test static-test hardened counts budget chaos mutants planted test-servers demo bench picture completions model man install uninstall clean dist dist-test lint-examples hostile fuzz test-clients

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## Build the release binary
	$(ANONYMOUS) cargo build --release --locked
	@touch $(BINARY)

static: ## Build a binary that needs no library, for any Linux of this architecture
	RUSTFLAGS='$(STATIC_FLAGS) --remap-path-prefix=$(REGISTRY)=' CC_$(subst -,_,$(STATIC_TARGET))='$(STATIC_CC)' \
		cargo build --release --locked --target "$(STATIC_TARGET)" --target-dir "$(STATIC_DIR)"
	@echo "$(STATIC)"
	@[ "$(STATIC_TARGET)" = "$(MUSL)" ] || \
		echo "with glibc, with which a run costs a quarter more than with musl; install that: rustup target add $(MUSL)" >&2

check: ## Format, lints, documentation, shell scripts, C
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked
	cc -Wall -Wextra -Werror -O2 -fsyntax-only $(C_FILES)
	@if command -v cargo-deny >/dev/null; then cargo deny --locked --offline check bans licenses sources; \
	else echo "cargo-deny is not installed: skipped"; fi
	@if command -v shellcheck >/dev/null; then shellcheck $(SHELL_SCRIPTS); else echo "shellcheck is not installed: skipped"; fi

# Runs a command with a mark that whatever it starts inherits, so that what outlives it is found, and with a file for the
# tests that are left out for want of root or of namespaces, so that they are said where they are seen.
define marked
@mark="$$$$-$$(date +%s)"; left_out=$$(mktemp); \
REDLOCK_TEST_MARK="$$mark" REDLOCK_TEST_LEFT_OUT="$$left_out" $(1); status=$$?; \
cat "$$left_out"; rm -f "$$left_out"; \
scripts/leftovers.sh "$$mark" || status=1; \
exit $$status
endef

needs: ## Install what the demo and the tests need, or with DEPS=no say what is missing
	@scripts/need.sh $(TEST_NEEDS)

test: ## Run every test, against servers that the tests start
	@scripts/need.sh $(TEST_NEEDS)
	$(call marked,RUST_TEST_THREADS=$(TEST_THREADS) cargo test --locked --no-fail-fast)

# Optimized, since the processor time counts, but not as long in the making as the release binary.
hostile: ## Try every misbehaviour of servers against each step of a run, and print a table; WORD=part of a name
	@scripts/need.sh $(TEST_NEEDS)
	$(call marked,REDLOCK_HOSTILE_WORD="$(WORD)" CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
		cargo test --locked --release --target-dir "$(TARGET)/hostile" --test integration -- --ignored --nocapture \
		hostile_servers::)

# With a limit of 4 GB for each process, so that a length that a message claims is never reserved.
fuzz: ## Try mutated input on every parser for SECONDS (60), all of them at once, with SEED or a new one
	cargo test --locked --lib --no-run
	ulimit -v 4000000 && REDLOCK_FUZZ_SECONDS=$(SECONDS) REDLOCK_FUZZ_SEED=$(SEED) RUST_TEST_THREADS=8 \
		cargo test --locked --lib -- --nocapture fuzz::

perf-test: ## Run the tests that measure a speed, one at a time, on a machine that does nothing else
	@scripts/need.sh $(TEST_NEEDS)
	$(call marked,cargo test --locked --test integration -- --ignored --test-threads=1 --nocapture speed::)

no-tls-test: ## Lint and run every test without TLS: --no-default-features
	@scripts/need.sh $(TEST_NEEDS)
	cargo clippy --all-targets --no-default-features --locked -- -D warnings
	$(call marked,RUST_TEST_THREADS=$(TEST_THREADS) cargo test --no-default-features --locked --no-fail-fast)

msrv: ## Build everything with the oldest Rust that Cargo.toml allows, if rustup has it
	@rustup run $(MSRV) cargo --version >/dev/null 2>&1 || { \
		echo "make: Rust $(MSRV) is not installed; install it: rustup toolchain install $(MSRV)" >&2; exit 1; }
	rustup run $(MSRV) cargo check --all-targets --locked --target-dir "$(TARGET)/msrv"

bare-test: ## Run the demo, the tests and .ci/run in a root that debootstrap has just made, as root and as a user
	scripts/bare-test.sh

static-test: static ## Run the static binary where there is nothing else
	@scripts/need.sh redis-server
	scripts/hardened.sh "$(STATIC)" "$(HOME)/" "$(REGISTRY)"
	scripts/static-test.sh "$(STATIC)"

hardened: build ## Check how the release binary is linked, and that it names no folder of this machine
	scripts/hardened.sh "$(BINARY)" "$(HOME)/" "$(REGISTRY)"

counts: build ## Count commands and system calls of the release binary, and compare with what is committed
	@scripts/need.sh redis-server python3 strace
	bench/budget --counts

budget: build ## The same, and instructions, bytes and memory, which another compiler changes too
	@scripts/need.sh redis-server python3 strace valgrind
	bench/budget

chaos: ## Break servers, network and redlock for SECONDS (60) with SEED, and look for two at once in one of SLOTS (1), FENCE=1 with tokens; STEPS of 100 are jobs (20)
	@scripts/need.sh redis-server
	$(call marked,REDLOCK_CHAOS_SECONDS=$(SECONDS) REDLOCK_CHAOS_SEED=$(SEED) REDLOCK_CHAOS_SLOTS=$(SLOTS) \
		REDLOCK_CHAOS_FENCE=$(FENCE) REDLOCK_CHAOS_STEPS=$(STEPS) \
		cargo test --locked --test chaos -- --ignored --nocapture)

model: ## Search the small worlds of the lock and of the fencing token, most of them to the end, which takes memory and an hour
	cargo test --release --locked --test model -- --include-ignored --nocapture --test-threads=1

mutants: ## Change the decisions one place at a time, and look for what no unit test notices
	scripts/mutants.sh

planted: ## Plant wrong rules one by one, and look for one that the simulator and the unit tests let pass; WORD=part of a name
	@scripts/need.sh python3
	scripts/planted.sh "$(WORD)"

test-servers: ## Run the integration tests against the server in PATH, Redis 6.2, Redis 8.2 and Valkey 9
	$(call marked,scripts/test-servers.sh)

picture: build ## Run redlock on a terminal, and draw what it shows: docs/terminal.svg
	@scripts/need.sh redis-server python3
	scripts/picture "$(BINARY)"

test-clients: build ## Share one key with six other Redlock clients of PyPI and npm, each for SECONDS (60)
	scripts/test-clients.sh "$(BINARY)" "$(SECONDS)"

demo: ## Show the main job: five deploys migrate one database at once
	@scripts/need.sh redis-server sqlite3
	$(ANONYMOUS) cargo build --release --locked
	@PATH="$(dir $(abspath $(BINARY))):$$PATH" redlock sandbox -n 5 -- scripts/demo.sh

bench: static ## Measure redlock beside flock, and write docs/performance.md
	@scripts/need.sh redis-server gcc python3 openssl
	$(ANONYMOUS) cargo build --release --locked
	bench/all

completions: ## Generate the shell completions anew
	$(ANONYMOUS) cargo build --release --locked
	$(BINARY) completions bash >completions/redlock.bash
	$(BINARY) completions zsh >completions/_redlock
	$(BINARY) completions fish >completions/redlock.fish

man: ## Generate the manual anew
	REDLOCK_WRITE_MAN=1 cargo test --locked --quiet --test documents the_manual_is_up_to_date

# Built only where it is missing or older than what it is made of, so that `sudo make install` needs no cargo after
# `make build`. Cargo leaves a binary as old as it is where nothing of it has changed.
$(BINARY): Cargo.toml Cargo.lock build.rs $(shell find src -name '*.rs')
	$(ANONYMOUS) cargo build --release --locked
	@touch $(BINARY)

install: $(BINARY) ## Install the binary, the manual and the completions under PREFIX (/usr/local)
	install -d "$(BIN_DIR)" "$(BASH_DIR)" "$(ZSH_DIR)" "$(FISH_DIR)"
	install -m 755 $(BINARY) "$(BIN_DIR)/redlock"
	install -m 644 completions/redlock.bash "$(BASH_DIR)/redlock"
	install -m 644 completions/_redlock "$(ZSH_DIR)/_redlock"
	install -m 644 completions/redlock.fish "$(FISH_DIR)/redlock.fish"
	for page in $(MAN_PAGES); do install -D -m 644 "man/$$page" "$(MAN_DIR)/man$${page##*.}/$$page"; done

uninstall: ## Remove what install put there
	rm -f "$(BIN_DIR)/redlock" "$(BASH_DIR)/redlock" "$(ZSH_DIR)/_redlock" "$(FISH_DIR)/redlock.fish"
	for page in $(MAN_PAGES); do rm -f "$(MAN_DIR)/man$${page##*.}/$$page"; done

clean: ## Remove what was built
	cargo clean

DIST = $(TARGET)/dist/packages

dist: static ## Pack the static binary: tarball, .deb, .rpm, SBOM, checksums; needs cargo-deb and cargo-generate-rpm
	scripts/dist.sh "$(STATIC)" "$(STATIC_TARGET)" "$(DIST)"

dist-test: ## Install, use and remove the packages of `make dist` in a bare Debian root; needs root
	scripts/dist-test.sh "$(DIST)"

lint-examples: ## Check examples, recipes, packaging and workflows by linters and schemas, which come from PyPI
	@scripts/need.sh python3 shellcheck
	scripts/lint-examples.sh
