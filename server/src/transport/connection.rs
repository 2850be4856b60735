//! One QUIC connection: every stream is read, answered and finished on its own, so that a slow one holds up no other.

use std::sync::Arc;
use std::time::Duration;

use medipeps_core::label;
use medipeps_core::limits::{FRAME_LENGTH_MAX, GROUP_FRAME_LENGTH_MAX};
use medipeps_core::proof::{EXPORTER_LENGTH, Exporter};
use medipeps_core::wire::WireError;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Request, Response, Transport};
use quinn::{RecvStream, SendStream, VarInt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::fail_point::fail_point;
use crate::frame::{Frame, FrameError, FrameMemory, read_body, read_length, write_frame};
use crate::limits::{
    FINISH_TIMEOUT_MS, HELLO_TIMEOUT_MS, LARGE_REQUEST_TIMEOUT_MS, REQUEST_MEMORY_RETRY_MS, REQUEST_TASKS_MAX,
    REQUEST_TIMEOUT_MS, WRITE_TIMEOUT_MS,
};
use crate::service::{Answer, Connection, Service, Sink, SinkClosed, access};

/// Held by everything that shutdown waits for.
pub(crate) type Work = mpsc::Sender<()>;

/// Bytes that may be in memory at once, over all connections.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    /// Of requests.
    pub(crate) requests: FrameMemory,
    /// Of requests whose frames are larger than most may be.
    pub(crate) large_requests: FrameMemory,
    /// Of answers to fetches of blobs.
    pub(crate) blobs: FrameMemory,
}

impl Memory {
    /// The share of the answer to a request, to be held until it is written.
    fn share_of_answer(&self, request: &Request) -> Result<Option<OwnedSemaphorePermit>, ErrorReply> {
        match request {
            // The bytes, and the frame that they are written in.
            Request::FetchBlob(fetch) => self.blobs.share(2 * fetch.length as usize).map(Some).ok_or_else(no_memory),
            _ => Ok(None),
        }
    }
}

/// Why the server closes a connection, as QUIC application error codes. `spec/transport.md`, section "Connection".
#[derive(Debug, Clone, Copy)]
pub(crate) enum Close {
    /// The server stops.
    ShuttingDown = 1,
    /// Nobody said Hello.
    NoHello = 2,
    /// TLS gave no exporter.
    NoExporter = 3,
}

impl Close {
    pub(crate) fn code(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }
}

/// Serves one connection until it closes.
pub(crate) async fn serve(quic: quinn::Connection, service: Arc<Service>, memory: Memory, work: mpsc::WeakSender<()>) {
    let mut exporter: Exporter = [0; EXPORTER_LENGTH];
    if quic.export_keying_material(&mut exporter, label::TLS_EXPORTER.as_bytes(), b"").is_err() {
        quic.close(Close::NoExporter.code(), b"no TLS exporter");
        return;
    }
    let connection = Arc::new(Connection::new(Transport::Quic, Some(exporter)));
    let hello_deadline = Instant::now() + Duration::from_millis(HELLO_TIMEOUT_MS);
    // A client may reset a stream while its request is still under way, and open another: QUIC's limit alone does not
    // bound the tasks.
    let tasks = Arc::new(Semaphore::new(REQUEST_TASKS_MAX));
    loop {
        let Ok(task) = tasks.clone().acquire_owned().await else { return };
        let stream = tokio::select! {
            stream = quic.accept_bi() => stream,
            () = sleep_until(hello_deadline), if !connection.is_greeted() => {
                quic.close(Close::NoHello.code(), b"no Hello");
                return;
            }
        };
        let Ok((send, receive)) = stream else { return };
        let stream = Stream { quic: quic.clone(), service: service.clone(), connection: connection.clone(), send };
        let (work, memory) = (work.clone(), memory.clone());
        tokio::spawn(async move {
            stream.serve(receive, &memory, &work).await;
            drop(task);
        });
    }
}

struct Stream {
    quic: quinn::Connection,
    service: Arc<Service>,
    connection: Arc<Connection>,
    send: SendStream,
}

impl Stream {
    async fn serve(mut self, mut receive: RecvStream, memory: &Memory, work: &mpsc::WeakSender<()>) {
        let read = read_request(&mut receive, memory).await;
        // Whatever follows the frame is of no interest; on a finished stream this does nothing.
        let _ = receive.stop(VarInt::from_u32(0));
        // The frame's share of the memory is held until the request has been answered.
        let frame;
        let request = match read {
            Ok(whole) => {
                frame = whole;
                Request::decode(&frame.bytes).map_err(|error| malformed(&error))
            }
            Err(FrameError::TooLong { .. }) => Err(ErrorReply::new(ErrorCode::TooLarge, "the frame is over the limit")),
            Err(FrameError::NoMemory) => Err(no_memory()),
            Err(FrameError::Truncated | FrameError::Read(_)) => return,
        };
        // From here on a stopping server waits for the answer. When nobody can hold work any more, it is too late.
        let Some(_work) = work.upgrade() else { return };
        // Held until the answer is written.
        let admitted = request.and_then(|request| Ok((memory.share_of_answer(&request)?, request)));
        let (answer, _share) = match admitted {
            Ok((share, request)) => {
                let name = access::name(&request);
                let answer = self.service.answer(&self.connection, self.quic.remote_address().ip(), request).await;
                log(name, &answer);
                (answer, share)
            }
            Err(error) => (Answer::Response(Response::Error(error)), None),
        };
        match answer {
            Answer::Response(response) => {
                fail_point!(BeforeAnswer);
                let _ = self.send(&response).await;
            }
            Answer::Held(response, share) => {
                fail_point!(BeforeAnswer);
                let _ = self.send(&response).await;
                drop(share);
            }
            Answer::GroupWatch(watch) => watch.run(&mut self).await,
            Answer::Subscription(subscription) => subscription.run(&mut self).await,
        }
        self.finish().await;
    }

    /// Ends the stream and waits a little for the client to have it all: closing the connection would drop the rest.
    async fn finish(mut self) {
        if self.send.finish().is_ok() {
            let _ = timeout(Duration::from_millis(FINISH_TIMEOUT_MS), self.send.stopped()).await;
        }
    }
}

impl Sink for Stream {
    async fn send(&mut self, response: &Response) -> Result<(), SinkClosed> {
        let frame = response.encode();
        let write = write_frame(&mut self.send, &frame);
        match timeout(Duration::from_millis(WRITE_TIMEOUT_MS), write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(SinkClosed),
            Err(_) => {
                // Half a frame may be out; nothing may follow it.
                let _ = self.send.reset(VarInt::from_u32(0));
                Err(SinkClosed)
            }
        }
    }

    async fn closed(&mut self) {
        let _ = self.send.stopped().await;
    }
}

/// Reads the frame of a request. A large one has a memory of its own and more time.
async fn read_request(receive: &mut RecvStream, memory: &Memory) -> Result<Frame, FrameError> {
    let late = |_| FrameError::Truncated;
    let milliseconds = Duration::from_millis;
    let begun = Instant::now();
    let length = read_length(receive, GROUP_FRAME_LENGTH_MAX);
    let length = timeout(milliseconds(REQUEST_TIMEOUT_MS), length).await.map_err(late)??;
    let (memory, patience) = if length > FRAME_LENGTH_MAX {
        (&memory.large_requests, LARGE_REQUEST_TIMEOUT_MS)
    } else {
        (&memory.requests, REQUEST_TIMEOUT_MS)
    };
    timeout_at(begun + milliseconds(patience), read_body(receive, length, memory)).await.map_err(late)?
}

fn no_memory() -> ErrorReply {
    let error = ErrorReply::new(ErrorCode::RateLimited, "too many requests are under way");
    error.retry_after(REQUEST_MEMORY_RETRY_MS)
}

fn malformed(error: &WireError) -> ErrorReply {
    let code = if *error == WireError::Bounds("frame") { ErrorCode::TooLarge } else { ErrorCode::Malformed };
    ErrorReply::new(code, error.to_string())
}

/// A request and how it ended, and nothing of what was in it or of who sent it.
fn log(request: &'static str, answer: &Answer) {
    match answer {
        Answer::Response(Response::Error(error)) | Answer::Held(Response::Error(error), _) => {
            tracing::debug!(request, error = error.code, "refused");
        }
        Answer::Response(_) | Answer::Held(..) | Answer::GroupWatch(_) | Answer::Subscription(_) => {
            tracing::debug!(request, "answered");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medipeps_core::wire::transport::FetchBlob;

    #[test]
    fn answers_with_blobs_share_a_memory_of_their_own() {
        let requests = FrameMemory::new(0);
        let memory = Memory { requests: requests.clone(), large_requests: requests, blobs: FrameMemory::new(2100) };
        let fetch = Request::FetchBlob(FetchBlob { id: [0; 32], offset: 0, length: 1000 });
        let held = memory.share_of_answer(&fetch).unwrap();
        assert!(held.is_some());
        let refused = memory.share_of_answer(&fetch).unwrap_err();
        assert_eq!(refused.known_code(), Some(ErrorCode::RateLimited));
        assert!(refused.retry_after > 0);
        assert!(memory.share_of_answer(&Request::Subscribe).unwrap().is_none(), "nobody else is held up");
        drop(held);
        assert!(memory.share_of_answer(&fetch).is_ok());
    }
}
