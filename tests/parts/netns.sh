# Path changes on real network stacks. Needs the right to make network namespaces; tests/netns/run says what it found, and fails where it
# is forbidden (then: tests/run --without netns).
need_rust
need ip iproute2

step build release_programs || exit
UNBROKEN_BUILT=1 step "two paths, ten scenarios" tests/netns/run
