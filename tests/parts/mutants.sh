# No line of the core that differs from main can be changed without a test seeing it, but where tests/mutants/SCORES has a reason. Not in CI: the tree with
# all mutants in it must be built, and each test run once. tests/mutants/run asks of whole files.
need_rust
need python3 python3
need_cargo_tool cargo-mutants cargo-mutants 27.1.0

step "switches" cargo test --locked --manifest-path tests/mutants/switch/Cargo.toml
step "mutants of the diff" tests/mutants/run --diff "${UNBROKEN_BASE:-main}"
