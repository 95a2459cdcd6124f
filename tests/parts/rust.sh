# Format, lints, tests and documentation of the workspace. The core is tested with both backends: their bytes are the same, their code is not.
need_rust

step format cargo fmt --all --check -- --color never
step clippy cargo clippy --workspace --all-targets -- -D warnings
step "clippy, all features" cargo clippy -p unbroken -p unbroken-tokio --all-targets --all-features -- -D warnings
# The corpora of the fuzzers belong to the part `fuzz`.
step tests cargo test --workspace --exclude unbroken-fuzz-oracles --no-fail-fast
step "tests, aws-lc-rs" cargo test -p unbroken --features aws-lc-rs --no-fail-fast
RUSTDOCFLAGS='-D warnings' step documentation cargo doc --workspace --no-deps --all-features
