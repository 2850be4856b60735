// swift-tools-version: 6.0
// `cargo xtask bindings swift` lays this package out with the generated code and the library; from here alone it does not build.

import Foundation
import PackageDescription

/// On Apple's systems the library is an XCFramework, as `xcframework.sh` makes it; elsewhere a shared library in `lib`.
let framework = "medipepsFFI.xcframework"
let isFramework = FileManager.default.fileExists(atPath: Context.packageDirectory + "/" + framework)

let library: Target = isFramework
    ? .binaryTarget(name: "medipepsFFI", path: framework)
    : .systemLibrary(name: "medipepsFFI")

let linked: [LinkerSetting] = isFramework
    ? []
    : [.unsafeFlags(["-L", Context.packageDirectory + "/lib"]), .linkedLibrary("medipeps_ffi")]

let package = Package(
    name: "Medipeps",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [.library(name: "Medipeps", targets: ["Medipeps"])],
    targets: [
        library,
        // Generated code is of the fifth language mode; apps may be of the sixth.
        .target(
            name: "Medipeps",
            dependencies: ["medipepsFFI"],
            swiftSettings: [.swiftLanguageMode(.v5)],
            linkerSettings: linked
        ),
        .executableTarget(name: "Example", dependencies: ["Medipeps"]),
        .testTarget(name: "MedipepsTests", dependencies: ["Medipeps"]),
    ]
)
