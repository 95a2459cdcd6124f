# Path changes on real network stacks. Needs the right to make network namespaces; tests/netns/run says what it found, and fails where it
# is forbidden (then: tests/run --without netns).
need_rust
need ip iproute2

step build tests/cargo build --bin unbroken-netns || exit
step "two paths, ten scenarios" tests/netns/run
