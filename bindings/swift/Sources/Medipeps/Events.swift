import Foundation

extension Client {
    /// Receives as long as somebody takes events from the sequence: every event is on the disk before it is here.
    ///
    /// The sequence ends after ``ClientEvent/stopped(code:message:)``. There is one at a time; a second one ends the first.
    public func events() async throws -> AsyncStream<ClientEvent> {
        let (events, continuation) = AsyncStream.makeStream(of: ClientEvent.self)
        let forwarder = Forwarder(continuation)
        continuation.onTermination = { [weak self] reason in
            // Where it has ended by itself, another one may have begun.
            guard case .cancelled = reason else { return }
            Task { [weak self] in
                // So too where this comes late.
                guard !forwarder.hasStopped else { return }
                await self?.stopReceiving()
            }
        }
        try await startReceiving(listener: forwarder)
        return events
    }
}

private final class Forwarder: EventListener, @unchecked Sendable {
    private let continuation: AsyncStream<ClientEvent>.Continuation
    private let lock = NSLock()
    private var stopped = false

    init(_ continuation: AsyncStream<ClientEvent>.Continuation) {
        self.continuation = continuation
    }

    var hasStopped: Bool { lock.withLock { stopped } }

    func onEvent(event: ClientEvent) {
        continuation.yield(event)
        if case .stopped = event {
            lock.withLock { stopped = true }
            continuation.finish()
        }
    }
}
