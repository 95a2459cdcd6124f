# The fuzzers. What they found once is replayed by plain tests, with the real crypto and with the mock that lets a fuzzer past
# authentication. Then each runs for a moment, if a nightly toolchain and cargo-fuzz are there or can be had.
need_rust

moment=${UNBROKEN_FUZZ_SECONDS:-10}

step "corpora" cargo test -p unbroken-fuzz-oracles --no-fail-fast
# In a target directory of its own: the flag would rebuild everything, now and again when it is gone. Of the core only what stands
# beside the code: the tests outside it are about what real crypto does.
mock() {
  RUSTFLAGS="${RUSTFLAGS-} --cfg unbroken_mock_crypto" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}/mock" "$@"
}
step "core, mock crypto" mock cargo test -p unbroken --lib --no-fail-fast
step "corpora, mock crypto" mock cargo test -p unbroken-fuzz-oracles --no-fail-fast

if ! cargo +nightly --version >/dev/null 2>&1; then
  rustup toolchain install nightly --profile minimal >>"$logs/rustup.log" 2>&1 </dev/null
fi
if ! cargo +nightly --version >/dev/null 2>&1; then
  skip "the short runs: there is no nightly toolchain, and \`rustup toolchain install nightly\` did not get one"
  exit
fi
if ! command -v cargo-fuzz >/dev/null && ! cargo install --debug --locked cargo-fuzz >>"$logs/cargo-install.log" 2>&1 </dev/null; then
  skip "the short runs: there is no cargo-fuzz, and \`cargo install --locked cargo-fuzz\` did not get it"
  exit
fi

mapfile -t targets < <(cargo +nightly fuzz list)
# cargo_fuzz VERB TARGET ...: the core has no unsafe code, a sanitizer would only cost time. The C ABI has, and so a target directory of its own.
cargo_fuzz() {
  local verb=$1 target=$2
  shift 2
  if [[ $target == c_abi ]]; then
    CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/fuzz/target}/address cargo +nightly fuzz "$verb" --sanitizer address "$target" "$@"
  else
    cargo +nightly fuzz "$verb" --sanitizer none "$target" "$@"
  fi
}
# All of a kind at once, on all cores: one for whom the flag is wrong costs less than one after the other.
build_all() { cargo +nightly fuzz build --sanitizer none && cargo_fuzz build c_abi; }
step "build" build_all || exit

# What a short run finds goes to a scratch folder: the committed corpus changes only by hand.
short_run() {
  local scratch=$logs/fuzz/found/$1
  mkdir -p "$scratch"
  cargo_fuzz run "$1" "$scratch" "fuzz/corpus/$1" -- -max_total_time="$moment" -timeout=20 -rss_limit_mb=4096
}
# A fuzzer is one thread: as many at a time as there are processors.
short_runs() {
  local failed=0 target
  export -f short_run cargo_fuzz
  export logs moment root
  printf '%s\n' "${targets[@]}" |
    xargs -P "$(nproc)" -I{} bash -c 'short_run "$1" >"$logs/fuzz/$1.log" 2>&1 || touch "$logs/fuzz/$1.failed"' - {}
  for target in "${targets[@]}"; do
    grep -E '^(Done|stat::|#.*DONE)' "$logs/fuzz/$target.log" | tail -1
    if [[ -e $logs/fuzz/$target.failed ]] || ! grep -q '^Done' "$logs/fuzz/$target.log"; then
      failed=$((failed + 1))
      printf 'FAILED: %s\n' "$target"
      tail -n 30 "$logs/fuzz/$target.log"
    fi
  done
  for target in "${targets[@]}"; do grep -oE '^Done [0-9]+' "$logs/fuzz/$target.log"; done |
    awk '{ sum += $2 } END { print sum + 0, "executions" }'
  printf '%d passed, %d failed\n' "$((${#targets[@]} - failed))" "$failed"
  return "$((failed > 0))"
}
step "every target, $moment s" short_runs && figure "fuzzers, nothing found" "[0-9]+ executions"
