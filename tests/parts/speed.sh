# The benches: that they build and run. Times are not judged here: they are only good on a quiet machine (benches/run, docs/PERFORMANCE.md); bytes are. With the
# portable backend only; the other one has its tests in the part `rust`.
need_rust

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}/benches"

step format cargo fmt --manifest-path benches/Cargo.toml --check -- --color never
step tests cargo test --release --locked --manifest-path benches/Cargo.toml --lib --no-fail-fast
step "in memory" benches/run --smoke --backend portable --svg "$logs/speed/times.svg"
step "idle memory within its goal" test "$(grep -c '^| idle established session.*| reached |' "$logs/speed/in-memory.log")" = 2
step "a picture" grep -q '<rect' "$logs/speed/times.svg"
step "on sockets" benches/run sockets --smoke --backend portable
step "very many sessions" benches/run scale --smoke --backend portable --svg "$logs/speed/scale.svg"
step "a picture of growth" grep -q '<circle' "$logs/speed/scale.svg"
step "after a lost link" benches/run resume --smoke --backend portable
