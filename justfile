# What people do with this repository. `just` lists it; every recipe is one command that also
# works without `just`.

# List the recipes.
default:
    @just --list

# Start Postgres, Kafka and OpenSearch for this checkout.
up:
    deploy/up

# Stop them; `just down --wipe` removes their data.
down *args:
    deploy/down {{args}}

# The main job end to end on real servers.
demo *args:
    deploy/demo {{args}}

# The same with every package of a Debian archive.
demo-debian *args:
    integration/datasets/debian/run {{args}}

# All tests, as continuous integration runs them.
test *args:
    deploy/test {{args}}

# Values, mappings, the sink's client and the flow on OpenSearch 3.
test-os3:
    deploy/test-os3

# Figures on real servers (run `just up` first): latency, transaction; capture, build, resolve beside the best that can be had by hand.
bench *args:
    cargo build --release --locked --package capture-svc --package worker-svc --package integration --bins
    set -a; . .stack/env; cargo run --release --locked --package integration --bin bench -- {{args}}

# Random cases of the configuration language against the oracle, thousands of them (run `just up` first).
soak-language count="3000" *args:
    cargo build --release --locked --package integration --bin language
    set -a; . .stack/env; cargo run --release --locked --package integration --bin language -- {{count}} {{args}}

# Seeded kills of capture, Postgres and Kafka, eight per seed, against a log of triggers (run
# `just up` first). `FLUSSO_SEED=3 just soak-capture 1` replays one.
soak-capture seeds="7":
    cargo build --locked --package capture-svc
    set -a; . .stack/env; CAPTURE_SEEDS={{seeds}} cargo test --locked --package integration --test main eight_kills -- --nocapture

# Random and broken configuration files, for ten minutes or as long as told: `just fuzz 60`.
fuzz seconds="600":
    FUZZ_SECONDS={{seconds}} cargo test --release --locked --package definition --test never_panics -- --ignored --nocapture fuzz_for_long

# Format the code.
fmt:
    cargo fmt --all

# Lints, warnings are errors.
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Bans, licences and sources of dependencies (needs cargo-deny).
deny:
    cargo deny check bans licenses sources

# The longest files without their tests.
sizes:
    @git ls-files '*.rs' | grep -vE '(^|/)(tests?|benches)(/|\.rs$)|/tests\.rs$' | xargs awk 'FNR==1{stop=0} /#\[cfg\(test\)\]/{stop=1} !stop{n[FILENAME]++} END{for(f in n) print n[f], f}' | sort -rn | head -20
