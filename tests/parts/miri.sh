# The C ABI under Miri: an interpreter that sees undefined behaviour which sanitizers do not, of aliasing, of bytes that were never written, and races. All
# `unsafe` that ships is there. With the mock crypto, as the real one would take hours. Not in CI: it takes minutes for little.
need_rust

cargo +nightly miri --version >/dev/null 2>&1 ||
  rustup toolchain install nightly --profile minimal --component miri --component rust-src >>"$logs/rustup.log" 2>&1 </dev/null
cargo +nightly miri --version >/dev/null 2>&1 ||
  refuse "there is no Miri; run \`rustup toolchain install nightly --component miri --component rust-src\` and run again"

interpreted() {
  RUSTFLAGS="${RUSTFLAGS-} --cfg unbroken_mock_crypto" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}/miri" \
    MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test "$@"
}
step handles interpreted -p unbroken-c --test handles --test sizes
# Clients, servers and their store, by the calls of the ABI; a session that outlives its process, and what is freed.
step "a program of calls" interpreted -p unbroken-fuzz-oracles --lib -- \
  c_abi::tests::a_durable_session_outlives_its_process c_abi::tests::what_is_freed_is_told_apart
