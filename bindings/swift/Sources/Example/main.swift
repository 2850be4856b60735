// An account in a folder, from the command line. The passphrase is in MEDIPEPS_PASSPHRASE, as an app would have it from a person
// or from the Keychain (KeyVault).

import Foundation
import Medipeps

let usage = """
    usage: Example create FOLDER INVITATION ADDRESS NAME SERVER
           Example send FOLDER ADDRESS SUBJECT TEXT
           Example receive FOLDER
    """

func run(_ words: [String]) async throws {
    guard words.count >= 2, let passphrase = ProcessInfo.processInfo.environment["MEDIPEPS_PASSPHRASE"] else {
        throw Wrong.use
    }
    let (folder, lock) = (words[1], StoreLock.passphrase(passphrase: passphrase))
    switch (words[0], words.count) {
    case ("create", 6):
        let client = try await Client.create(folder: folder, lock: lock)
        let request = AccountRequest(invitation: words[2], address: words[3], name: words[4], server: words[5])
        let created = try await client.createAccount(request: request)
        print("\(created.account.address) is there. Recovery key, to be written down: \(created.recoveryKey ?? "shown before")")
        await client.shutDown()
    case ("send", 5):
        let client = try await Client.open(folder: folder, lock: lock)
        let draft = MailDraft(to: [words[2]], subject: words[3], text: words[4], urgency: .routine)
        let sent = try await client.sendMail(draft: draft, waitSeconds: 20)
        print("\(sent.id): \(sent.recipients.map { "\($0.address) \($0.state)" }.joined(separator: ", "))")
        await client.shutDown()
    case ("receive", 2):
        let client = try await Client.open(folder: folder, lock: lock)
        for await event in try await client.events() {
            switch event {
            case .messageReceived(let id, _):
                let message = try await client.message(id: id)
                print("\(message.overview.senderName): \(message.overview.subject)")
            case .stopped(_, let message):
                print("stopped: \(message)")
            default:
                break
            }
        }
    default:
        throw Wrong.use
    }
}

enum Wrong: Error {
    case use
}

do {
    try await run(Array(CommandLine.arguments.dropFirst()))
} catch Wrong.use {
    FileHandle.standardError.write(Data((usage + "\n").utf8))
    exit(2)
} catch {
    FileHandle.standardError.write(Data("error: \(error.localizedDescription)\n".utf8))
    exit(1)
}
