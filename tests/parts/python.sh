# The Python package: the UniFFI surface it is generated from, its sources' drift, and a client over TCP through the fault proxy.
need_rust
need python3 python3
# The document's virtual environment; Debian's Python has its means in a package apart.
python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv ||
  refuse "python3 cannot make a virtual environment; install python3-venv and run again"

# As it is shipped: with the core's portable cipher, where the part rust has the workspace's.
step surface cargo test -p unbroken-uniffi
step "generated sources are current" bindings/uniffi/generate --check

# As an application has it: from the wheel, installed where nothing else is.
installed=${CARGO_TARGET_DIR:-$root/target}/python
install_wheel() {
    rm -rf "$installed"
    bindings/python/build --debug --out "$installed/dist"
    python3 -m zipfile -e "$installed"/dist/*.whl "$installed/site"
}
step wheel install_wheel
export PYTHONPATH=$installed/site PYTHONDONTWRITEBYTECODE=1
step "over TCP, through the fault proxy" tests/bindings/run python3 bindings/python/tests/main.py
step "docs/PYTHON.md" tests/bindings/documents python
