#!/bin/sh
# Makes medipepsFFI.xcframework beside Package.swift: on macOS, with Xcode and rustup. It was never run: Apple's tools are for macOS
# alone, and this project's machines have Linux.
#
#     rustup target add aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios aarch64-apple-darwin x86_64-apple-darwin
#     cargo xtask bindings swift && bindings/swift/xcframework.sh target/bindings/swift
set -eu

package=${1:?usage: xcframework.sh PACKAGE, a folder that 'cargo xtask bindings swift' has written}
library=libmedipeps_ffi.a
headers=$package/Sources/medipepsFFI
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for target in aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios aarch64-apple-darwin x86_64-apple-darwin; do
    cargo build --profile app --package medipeps-ffi --target "$target"
done

# One file for each system: the simulator and the Mac run on two processors.
join() {
    mkdir -p "$work/$1"
    name=$1
    shift
    for target in "$@"; do
        set -- "$@" "target/$target/app/$library"
        shift
    done
    lipo -create "$@" -output "$work/$name/$library"
    strip -S "$work/$name/$library" # symbols of debugging make it many times as large
}
join ios aarch64-apple-ios
join simulator aarch64-apple-ios-sim x86_64-apple-ios
join macos aarch64-apple-darwin x86_64-apple-darwin

# Xcode looks for module.modulemap, by that name.
rm -rf "$package/medipepsFFI.xcframework"
xcodebuild -create-xcframework \
    -library "$work/ios/$library" -headers "$headers" \
    -library "$work/simulator/$library" -headers "$headers" \
    -library "$work/macos/$library" -headers "$headers" \
    -output "$package/medipepsFFI.xcframework"
# Package.swift takes the framework where there is one, and the header's folder and the library for Linux then have no use.
rm -rf "$headers" "$package/lib"
