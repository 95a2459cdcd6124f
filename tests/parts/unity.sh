# The Unity package on Mono: C# clients and servers against Rust ones over real TCP through the fault proxy, garbage and leaks, the
# declarations beside the header, and the package's files. Without the Unity editor: see docs/UNITY.md for what that leaves open.
need_rust

step "tools" tests/unity/setup || exit
step "package" tests/unity/run package
step "build" tests/unity/run build || exit
step "docs/UNITY.md" tests/unity/run example
step "tests" tests/unity/run test && figure "C# client through cuts" "[0-9]+ messages both ways in .*"
