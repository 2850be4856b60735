extension Client {
    /// Receives as long as somebody takes events from the sequence: every event is on the disk before it is here.
    ///
    /// The sequence ends after ``ClientEvent/stopped(code:message:)``. There is one at a time; a second one ends the first.
    public func events() async throws -> AsyncStream<ClientEvent> {
        let (events, continuation) = AsyncStream.makeStream(of: ClientEvent.self)
        continuation.onTermination = { [weak self] reason in
            // Where it has ended by itself, another one may have begun.
            guard case .cancelled = reason else { return }
            Task { [weak self] in await self?.stopReceiving() }
        }
        try await startReceiving(listener: Forwarder(continuation))
        return events
    }
}

private final class Forwarder: EventListener {
    private let continuation: AsyncStream<ClientEvent>.Continuation

    init(_ continuation: AsyncStream<ClientEvent>.Continuation) {
        self.continuation = continuation
    }

    func onEvent(event: ClientEvent) {
        continuation.yield(event)
        if case .stopped = event {
            continuation.finish()
        }
    }
}
