import Foundation
import Medipeps
import XCTest

/// What a call costs from Swift; `cargo xtask bench calls` prints it beside Rust's. The suite leaves it out.
final class CallsTests: XCTestCase {
    func testWhatACallCosts() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("medipeps-\(UUID().uuidString)")
        let lock = StoreLock.passphrase(passphrase: "a long passphrase")
        let client = try await Client.create(folder: folder.path, lock: lock)
        try await tell("version", 20_000) { _ = libraryVersion() }
        try await tell("account", 2_000) { _ = try await client.account() }
        await client.shutDown()
        try FileManager.default.removeItem(at: folder)
    }

    private func tell(_ name: String, _ calls: Int, _ call: () async throws -> Void) async throws {
        for _ in 0..<calls / 10 { try await call() }
        let begun = DispatchTime.now().uptimeNanoseconds
        for _ in 0..<calls { try await call() }
        print("value calls/swift/\(name) \((DispatchTime.now().uptimeNanoseconds - begun) / UInt64(calls))")
    }
}
