# The C ABI: the header's drift, symbols and layout, and programs in C11 and C++17 under sanitizers and valgrind, in memory and over TCP.
need_rust

step clippy cargo clippy -p unbroken-c --all-targets --all-features -- -D warnings
step "C and C++" tests/c/run
