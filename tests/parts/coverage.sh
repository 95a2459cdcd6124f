# At least 95 % of the core's lines are reached; a table by folder of src/, and what the fuzz corpora alone reach. Not in CI: it builds and runs half of the tests anew.
need_rust
need python3 python3

step "lines of the core" tests/coverage/run
cp "${CARGO_TARGET_DIR:-$root/target}"/coverage/{uncovered,beyond-fuzzing}.txt "$logs/coverage/" 2>/dev/null
