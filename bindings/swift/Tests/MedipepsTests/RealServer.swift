import Foundation

/// A real server: `MEDIPEPS_SERVER` names the program.
final class RealServer {
    static let domain = "clinic.example"
    let address: String
    private let process = Process()
    private let config: URL
    private let program: URL

    init(in folder: URL) throws {
        guard let program = ProcessInfo.processInfo.environment["MEDIPEPS_SERVER"] else { throw Missing.server }
        self.program = URL(fileURLWithPath: program)
        let config = folder.appendingPathComponent("server.toml")
        self.config = config
        let data = folder.appendingPathComponent("data").path
        // Port 0: it takes a free one and says which.
        let settings = "domain = \"\(Self.domain)\"\nlisten = \"127.0.0.1:0\"\ndata_dir = \"\(data)\"\n"
        try settings.write(to: config, atomically: true, encoding: .utf8)
        process.executableURL = self.program
        process.arguments = ["run", "--config", config.path]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        guard let said = output.firstLine(), said.hasPrefix("listening on ") else { throw Missing.address }
        address = String(said.dropFirst("listening on ".count).prefix { $0 != "," })
    }

    /// The code of a new invitation.
    func invite() throws -> String {
        let asked = Process()
        asked.executableURL = program
        asked.arguments = ["admin", "invite", "--org", "Intensive care", "--config", config.path]
        let output = Pipe()
        asked.standardOutput = output
        asked.standardError = FileHandle.nullDevice
        try asked.run()
        let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        asked.waitUntilExit()
        guard asked.terminationStatus == 0, let code = said.split(separator: "\n").last else { throw Missing.invitation }
        return String(code)
    }

    func stop() {
        process.terminate()
        process.waitUntilExit()
    }

    enum Missing: Error {
        case server, address, invitation
    }
}

extension Pipe {
    func firstLine() -> String? {
        var line = Data()
        while let byte = try? fileHandleForReading.read(upToCount: 1), let first = byte.first {
            if first == UInt8(ascii: "\n") { return String(decoding: line, as: UTF8.self) }
            line.append(first)
        }
        return nil
    }
}
