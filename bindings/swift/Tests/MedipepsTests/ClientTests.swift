import Foundation
import Medipeps
import XCTest

final class ClientTests: XCTestCase {
    private static let passphrase = "a long passphrase"
    private var folder = URL(fileURLWithPath: "/")
    private var server: RealServer!

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("medipeps-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        server = try RealServer(in: folder)
    }

    override func tearDownWithError() throws {
        server.stop()
        try FileManager.default.removeItem(at: folder)
    }

    private func home(_ name: String) -> String { folder.appendingPathComponent(name).path }

    private func address(_ name: String) -> String { "\(name)@\(RealServer.domain)" }

    private func person(_ name: String, _ shown: String) async throws -> Client {
        let client = try await Client.create(folder: home(name), lock: .passphrase(passphrase: Self.passphrase))
        let invitation = try server.invite()
        let request = AccountRequest(invitation: invitation, address: address(name), name: shown, server: server.address)
        let created = try await client.createAccount(request: request)
        XCTAssertNotNil(created.recoveryKey)
        return client
    }

    private func draft(_ to: String, _ subject: String, _ text: String, _ documents: [Document] = []) -> MailDraft {
        MailDraft(to: [to], subject: subject, text: text, documents: documents, urgency: .routine)
    }

    func testTwoPeopleWriteToEachOther() async throws {
        let (claire, karim) = (try await person("claire", "Dr Claire Martin"), try await person("karim", "كريم بن علي 🩺"))
        let events = try await karim.events()
        let letter = folder.appendingPathComponent("letter.txt")
        let content = Data((0..<300_000).map { UInt8(truncatingIfNeeded: $0) })
        try content.write(to: letter)
        let documents: [Document] = [
            .file(path: letter.path, name: "letter.txt", mediaType: "text/plain"),
            .data(data: Data("small".utf8), name: "../evil.txt", mediaType: "text/plain"),
        ]
        let mail = draft(address("karim"), "Prélèvement", "À faire", documents)
        let sent = try await claire.sendMail(draft: mail, waitSeconds: 20)
        XCTAssertEqual(sent.recipients.map(\.state), [.accepted])
        var received: String?
        for await event in events {
            if case .messageReceived(let id, _) = event {
                received = id
                break
            }
        }
        let id = try XCTUnwrap(received)
        let message = try await karim.message(id: id)
        guard case .mail(let subject, let text, _, _, _, _) = message.body else { return XCTFail("no mail") }
        XCTAssertEqual([subject, text, message.overview.senderName], ["Prélèvement", "À faire", "Dr Claire Martin"])
        let saved = try await karim.saveAttachments(id: id, folder: home("saved"))
        guard case .saved(let first) = saved[0], case .saved(let second) = saved[1] else { return XCTFail("\(saved)") }
        XCTAssertEqual(try Data(contentsOf: URL(fileURLWithPath: first)), content)
        XCTAssertEqual(URL(fileURLWithPath: second).deletingLastPathComponent().path, home("saved"))
        _ = try await karim.sendMail(draft: draft(address("claire"), "رد", "تم"), waitSeconds: 20)
        _ = try await claire.sync(waitSeconds: 0)
        let answer = try await claire.messages()[0]
        XCTAssertEqual([answer.senderName, answer.subject], ["كريم بن علي 🩺", "رد"])
        for client in [claire, karim] { await client.shutDown() }
    }

    func testErrorsAreTypedAndHaveCodes() async throws {
        let client = try await person("claire", "Claire")
        await client.shutDown()
        await client.shutDown()
        await refused("after its end") { _ = try await client.status() } as: {
            if case .Closed(let code, _, _) = $0 { return code == 1 } else { return false }
        }
        let lock = StoreLock.passphrase(passphrase: "another")
        await refused("passphrase") { _ = try await Client.open(folder: self.home("claire"), lock: lock) } as: {
            if case .WrongPassphrase(let code, _, _) = $0 { return code == 12 } else { return false }
        }
        await refused("no store") { _ = try await Client.open(folder: self.home("nobody"), lock: lock) } as: {
            if case .NoStore = $0 { return true } else { return false }
        }
    }

    func testAListenerThatThrowsChangesNothing() async throws {
        let (claire, karim) = (try await person("claire", "Claire"), try await person("karim", "Karim"))
        let listener = Throwing()
        try await karim.startReceiving(listener: listener)
        for subject in ["one", "two"] {
            _ = try await claire.sendMail(draft: draft(address("karim"), subject, "text"), waitSeconds: 20)
        }
        for _ in 0..<3_000 where listener.received < 2 { try await Task.sleep(nanoseconds: 20_000_000) }
        XCTAssertEqual(listener.received, 2)
        await karim.shutDown()
        XCTAssertTrue(listener.hasStopped, "the end was told")
        await claire.shutDown()
    }

    func testASendThatIsGivenUpWasMadeOnceOrNotAtAll() async throws {
        let (claire, karim) = (try await person("claire", "Claire"), try await person("karim", "Karim"))
        var givenUp = 0
        for pause in [0, 1, 5, 20, 100] as [UInt64] {
            let mail = draft(address("karim"), "after \(pause)", "text")
            let sending = Task { try await givingUpWhenCancelled { try await claire.sendMail(draft: mail, waitSeconds: 20) } }
            try await Task.sleep(nanoseconds: pause * 1_000_000)
            sending.cancel()
            if case .failure(let error) = await sending.result {
                XCTAssertTrue(error is CancellationError, "\(error)")
                givenUp += 1
            }
        }
        XCTAssertGreaterThan(givenUp, 0, "all were made before they could be given up")
        // What was begun is finished before anything else is done.
        _ = try await claire.sync(waitSeconds: 0)
        _ = try await karim.sync(waitSeconds: 0)
        let sent = try await claire.messages().compactMap(\.subject).sorted()
        let came = try await karim.messages().compactMap(\.subject).sorted()
        XCTAssertEqual(sent, came)
        XCTAssertEqual(Set(came).count, came.count)
        for client in [claire, karim] { await client.shutDown() }
    }

    func testATaskThatIsCancelledWaitsNoMore() async throws {
        let (claire, karim) = (try await person("claire", "Claire"), try await person("karim", "Karim"))
        let begun = Date()
        let waiting = Task { try await givingUpWhenCancelled { try await claire.sync(waitSeconds: 6) } }
        try await Task.sleep(nanoseconds: 200_000_000)
        waiting.cancel()
        guard case .failure(let error) = await waiting.result else { return XCTFail("it was not given up") }
        XCTAssertTrue(error is CancellationError, "\(error)")
        XCTAssertLessThan(Date().timeIntervalSince(begun), 3)
        // In a Task that was cancelled before, nothing is begun.
        let mail = draft(address("karim"), "never", "text")
        let never = Task {
            while !Task.isCancelled { await Task.yield() }
            _ = try await givingUpWhenCancelled { try await claire.sendMail(draft: mail, waitSeconds: 20) }
        }
        never.cancel()
        guard case .failure(let error) = await never.result else { return XCTFail("it was sent") }
        XCTAssertTrue(error is CancellationError, "\(error)")
        let sent = try await claire.messages().count
        XCTAssertEqual(sent, 0)
        for client in [claire, karim] { await client.shutDown() }
    }

    func testWhoeverTakesNoMoreEventsIsNotReceivedFor() async throws {
        let (claire, karim) = (try await person("claire", "Claire"), try await person("karim", "Karim"))
        let first = try await claire.events()
        let ended = Task { await first.reduce(into: [ClientEvent]()) { $0.append($1) } }
        for await event in try await claire.events() {
            if case .ready = event { break }
        }
        guard case .stopped = await ended.value.last else { return XCTFail("a second sequence ends the first") }
        try await Task.sleep(nanoseconds: 500_000_000)
        // Nobody takes events any more: a message waits until it is fetched.
        _ = try await karim.sendMail(draft: draft(address("claire"), "one", "text"), waitSeconds: 20)
        try await Task.sleep(nanoseconds: 500_000_000)
        let before = try await claire.messages().count
        XCTAssertEqual(before, 0)
        _ = try await claire.sync(waitSeconds: 0)
        let after = try await claire.messages().count
        XCTAssertEqual(after, 1)
        for client in [claire, karim] { await client.shutDown() }
    }

    func testSixtyFourCallersAtOnce() async throws {
        let claire = try await person("claire", "Claire")
        let answers = try await withThrowingTaskGroup(of: String?.self) { group in
            for _ in 0..<64 { group.addTask { try await claire.status().account?.address } }
            return try await group.reduce(into: [String?]()) { $0.append($1) }
        }
        XCTAssertEqual(answers, Array(repeating: address("claire"), count: 64))
        await claire.shutDown()
    }

    func testAKeystoreLocksTheStore() async throws {
        let vault = Vault()
        let client = try await Client.create(folder: home("claire"), lock: .vault(vault: vault))
        await client.shutDown()
        XCTAssertEqual(vault.key?.count, 32)
        await (try await Client.open(folder: home("claire"), lock: .vault(vault: vault))).shutDown()
        vault.isLocked = true
        await refused("locked") { _ = try await Client.open(folder: self.home("claire"), lock: .vault(vault: vault)) } as: {
            if case .KeyVault(14, "locked", _) = $0 { return true } else { return false }
        }
    }

    /// The example, as an app that the system ends at any moment, between its commit and its return too.
    func testAProgramThatIsKilledHasSentOnceOrNotAtAll() async throws {
        let (claire, karim) = (try await person("claire", "Claire"), try await person("karim", "Karim"))
        await claire.shutDown()
        let pauses = [20, 60, 100, 140, 180, 220, 260, 300, 400, 600]
        for pause in pauses {
            let program = Process()
            // Beside the program that the tests are.
            program.executableURL = Bundle.main.bundleURL.appendingPathComponent("Example")
            program.arguments = ["send", home("claire"), address("karim"), "\(pause)", "text"]
            program.environment = ProcessInfo.processInfo.environment
                .merging(["MEDIPEPS_PASSPHRASE": Self.passphrase]) { $1 }
            program.standardOutput = FileHandle.nullDevice
            try program.run()
            try await Task.sleep(nanoseconds: UInt64(pause) * 1_000_000)
            kill(program.processIdentifier, SIGKILL)
            program.waitUntilExit()
        }
        let again = try await Client.open(folder: home("claire"), lock: .passphrase(passphrase: Self.passphrase))
        _ = try await again.sync(waitSeconds: 0)
        _ = try await karim.sync(waitSeconds: 0)
        let sent = try await again.messages().compactMap(\.subject).sorted()
        let came = try await karim.messages().compactMap(\.subject).sorted()
        XCTAssertEqual(sent, came, "what the killed had in the outbox came, once")
        XCTAssertFalse(came.isEmpty, "none came so far that it shows anything")
        for client in [again, karim] { await client.shutDown() }
    }

    private func refused(
        _ what: String,
        _ call: () async throws -> Void,
        as expected: (MedipepsError) -> Bool
    ) async {
        do {
            try await call()
            XCTFail("\(what): it was not refused")
        } catch let error as MedipepsError {
            XCTAssertTrue(expected(error), "\(what): \(error)")
        } catch {
            XCTFail("\(what): \(error)")
        }
    }
}

private final class Throwing: EventListener, @unchecked Sendable {
    private let lock = NSLock()
    private var events: [ClientEvent] = []

    func onEvent(event: ClientEvent) throws {
        lock.withLock { events.append(event) }
        throw ListenerError.Failed(reason: "this listener fails")
    }

    var received: Int {
        lock.withLock { events.filter { if case .messageReceived = $0 { true } else { false } }.count }
    }

    var hasStopped: Bool {
        lock.withLock { if case .stopped = events.last { true } else { false } }
    }
}

private final class Vault: KeyVault, @unchecked Sendable {
    var key: Data?
    var isLocked = false

    func load() throws -> Data? {
        if isLocked { throw VaultError.Locked }
        return key
    }

    func store(key: Data) { self.key = key }
}
