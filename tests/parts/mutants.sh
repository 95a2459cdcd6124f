# No line of the core that differs from main can be changed without a test seeing it, but where tests/mutants/SCORES has a reason. Not in CI: each mutant
# takes seconds. tests/mutants/run asks of whole files, which takes hours for all.
need_rust
need python3 python3
need_cargo_tool cargo-mutants cargo-mutants 27.1.0

step "mutants of the diff" tests/mutants/run --diff "${UNBROKEN_BASE:-main}"
