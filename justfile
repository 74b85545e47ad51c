# The shop on the embedded database, with a demo catalogue.
run *arguments:
    cargo run --release -- {{arguments}}

# Every test, with a MariaDB, a Redis and a broker found or started for them.
test *arguments:
    cargo xtask test {{arguments}}

# Everything that must pass before a change is merged.
ci:
    cargo xtask ci

# Release build and benchmark.
bench *arguments:
    cargo xtask bench {{arguments}}

# Every script for k6, for a moment, against a demo shop.
k6 *arguments:
    cargo xtask k6 {{arguments}}

fmt:
    cargo fmt --all
