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
if ! command -v cargo-fuzz >/dev/null && ! cargo install --locked cargo-fuzz >>"$logs/cargo-install.log" 2>&1 </dev/null; then
  skip "the short runs: there is no cargo-fuzz, and \`cargo install --locked cargo-fuzz\` did not get it"
  exit
fi

# The core has no unsafe code: a sanitizer would only cost time.
step "build" cargo +nightly fuzz build --sanitizer none || exit

# What a short run finds goes to a scratch folder: the committed corpus changes only by hand.
short_run() {
  local scratch=$logs/fuzz/found/$1
  mkdir -p "$scratch"
  cargo +nightly fuzz run --sanitizer none "$1" "$scratch" "fuzz/corpus/$1" -- -max_total_time="$moment" -timeout=20 -rss_limit_mb=4096
}
for target in $(cargo +nightly fuzz list); do
  step "$target, $moment s" short_run "$target"
done
