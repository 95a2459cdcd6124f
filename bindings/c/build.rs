//! Names the shared library for the dynamic linker: programs ask for the ABI they were linked with, not for any `libunbroken.so`.

/// As `UNBROKEN_ABI_VERSION`; `tests/c/run` compares the two.
const ABI: u32 = 1;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let system = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if ["linux", "freebsd", "netbsd", "openbsd"].contains(&system.as_str()) {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libunbroken.so.{ABI}");
    }
}
