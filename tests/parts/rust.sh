# Format, lints, tests and documentation of the workspace. The core is tested with both backends: their bytes are the same, their code is
# not. As a whole the workspace has AWS-LC, because unbroken-tokio asks for it; alone, the core is portable, and the simulator with it.
need_rust

step format cargo fmt --all --check -- --color never
step clippy cargo clippy --workspace --all-targets -- -D warnings
# Of unbroken-tokio nothing depends on the backend but what it asks of the core.
step "clippy, portable" cargo clippy -p unbroken -p unbroken-tokio --no-default-features --all-targets -- -D warnings
step "clippy, all features" cargo clippy -p unbroken -p unbroken-tokio --all-targets --all-features -- -D warnings
# What has a part of its own is tested there: `fuzz`, `model`, `python`, `store`. Examples are linted above and run by `examples`; without the kinds of
# targets named, cargo would build them here for nothing.
step tests tests/cargo test --lib --bins --tests --no-fail-fast
step "code in documents" tests/cargo test --doc --no-fail-fast
step "tests, portable" cargo test -p unbroken -p unbroken-sim --lib --bins --tests --no-fail-fast
RUSTDOCFLAGS='-D warnings' step documentation cargo doc --workspace --no-deps --exclude unbroken-store
# The public API of the Rust crates against tests/golden.
step "public API" tests/api/run
# Whether the bugs of tests/sabotage still fit the code; tests/sabotage/run asks which check sees them, and takes long.
need python3 python3
step "seeded bugs fit" tests/sabotage/run --check
