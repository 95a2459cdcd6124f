# Other platforms, with what Debian has: the core's tests and a C program for arm64 under emulation, the Windows DLL and a C program under Wine. The type
# checks for phones and the browser build Rust's library anew for each and take longer than the rest together: UNBROKEN_CROSS=all adds them.
need_rust

if [[ $(uname -m) != x86_64 ]] || ! command -v apt-get >/dev/null; then
  refuse "the part needs Debian on x86_64, for its cross compilers and emulators"
fi

step "tools" tests/cross/setup || exit
step "arm64 Linux, emulated" tests/cross/run arm64
step "Windows, under Wine" tests/cross/run windows
# The part python believes their stamp.
step "generated sources, made anew" bindings/uniffi/generate --check --anew
if [[ ${UNBROKEN_CROSS-} == all ]]; then
  for platform in android android-armv7 ios wasm; do
    step "type check, $platform" tests/cross/run check "$platform"
  done
else
  skip "type checks for Android, iOS and wasm: UNBROKEN_CROSS=all tests/run cross"
fi
