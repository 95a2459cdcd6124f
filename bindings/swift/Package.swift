// swift-tools-version: 6.0
import PackageDescription

// The library itself: on Apple platforms the XCFramework that `build-xcframework` makes; on Linux a header, with the shared or static library
// that cargo builds found in $UNBROKEN_LIBRARY_DIR.
#if canImport(Darwin)
let library: [Target] = [.binaryTarget(name: "UnbrokenFFI", path: "UnbrokenFFI.xcframework")]
let linking: [LinkerSetting] = []
#else
let library: [Target] = [.target(name: "UnbrokenFFI")]
let directory = Context.environment["UNBROKEN_LIBRARY_DIR"] ?? "\(Context.packageDirectory)/../../target/debug"
let linking: [LinkerSetting] = [.unsafeFlags(["-L", directory, "-Xlinker", "-l:libunbroken_uniffi.a"])]
#endif

let package = Package(
    name: "Unbroken",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "Unbroken", targets: ["Unbroken"])],
    targets: library + [
        .target(
            name: "Unbroken",
            dependencies: ["UnbrokenFFI"],
            resources: [.copy("PrivacyInfo.xcprivacy")],
            linkerSettings: linking
        ),
        .testTarget(name: "UnbrokenTests", dependencies: ["Unbroken"]),
    ],
    swiftLanguageModes: [.v6]
)
