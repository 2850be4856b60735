import Foundation

/// Makes a call that is given up when its `Task` is cancelled: `CancellationError` comes at once.
///
/// Calls of generated code do not see that their `Task` was cancelled and wait to their end. In a `Task` that is cancelled already
/// the call is not made. One that was made goes on and is finished: a mail was sent once or not at all, and ``Client/messages()``
/// says which.
///
/// ```swift
/// let report = try await givingUpWhenCancelled { try await client.sync(waitSeconds: 20) }
/// ```
public func givingUpWhenCancelled<Value: Sendable>(
    _ call: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try Task.checkCancellation()
    let answer = FirstAnswer<Value>()
    return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
            answer.wait(continuation)
            // Of its own: who waits may go, what was begun stays.
            Task.detached {
                do {
                    answer.give(.success(try await call()))
                } catch {
                    answer.give(.failure(error))
                }
            }
        }
    } onCancel: {
        answer.give(.failure(CancellationError()))
    }
}

/// Resumes who waits with what is said first; the rest is not heard.
private final class FirstAnswer<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var waiting: CheckedContinuation<Value, Error>?
    private var first: Result<Value, Error>?

    func wait(_ continuation: CheckedContinuation<Value, Error>) {
        lock.lock()
        // A `Task` may be cancelled before anybody waits.
        if let first {
            lock.unlock()
            continuation.resume(with: first)
        } else {
            waiting = continuation
            lock.unlock()
        }
    }

    func give(_ answer: Result<Value, Error>) {
        lock.lock()
        guard first == nil else { return lock.unlock() }
        first = answer
        let continuation = waiting
        waiting = nil
        lock.unlock()
        continuation?.resume(with: answer)
    }
}
