# The Kotlin package on the JVM: over TCP through the fault proxy. The Android module is compiled against the types of API 23; it cannot run here.
need_rust
[[ $(uname -s) == Linux ]] && command -v apt-get >/dev/null ||
  refuse "the Kotlin toolchain comes from Debian's packages and npm (tests/toolchains/kotlin.sh)"
need readelf binutils

step toolchain tests/toolchains/kotlin.sh
step "compile, with the Android module" tests/bindings/kotlin build
step "over TCP, through the fault proxy" tests/bindings/run tests/bindings/kotlin run dev.unbroken.MainKt

# The gate for 16 KB pages, on libraries that have them and one that has not.
alignment() {
  local out=${CARGO_TARGET_DIR:-$root/target}/kotlin page
  echo 'int answer(void) { return 42; }' >"$out/page.c"
  for page in 4096 16384 65536; do
    cc -shared -fPIC -Wl,-z,max-page-size="$page" "$out/page.c" -o "$out/page-$page.so"
  done
  bindings/kotlin/check-alignment "$out/page-16384.so" "$out/page-65536.so" || return
  ! bindings/kotlin/check-alignment "$out/page-4096.so" || return
  ! bindings/kotlin/check-alignment "$out/page-16384.so" "$out/page.c"
}
step "docs/ANDROID.md" tests/bindings/documents kotlin
step "16 KB pages: the gate" alignment
