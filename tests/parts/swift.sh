# The Swift package: over TCP through the fault proxy, with warnings as errors. What is for Apple platforms only is type-checked against stubs.
need_rust
[[ $(uname -s) == Linux ]] && command -v apt-get >/dev/null ||
  refuse "the Swift toolchain comes from Debian's packages (tests/toolchains/swift.sh); on macOS use \`swift test\` in bindings/swift"

step toolchain tests/toolchains/swift.sh
step "compile, without warnings" tests/bindings/swift build
step "over TCP, through the fault proxy" tests/bindings/run tests/bindings/swift test
# The stubs, and the code of docs/IOS.md, which uses them.
step "Apple's part, against stubs" tests/bindings/documents swift
need python3 python3
step "the XCFramework's layout" tests/bindings/xcframework
