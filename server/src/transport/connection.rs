//! One connection, whatever carries it: every stream is read, answered and finished on its own, so that a slow one holds up no other.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use medipeps_core::limits::{FRAME_LENGTH_MAX, GROUP_FRAME_LENGTH_MAX};
use medipeps_core::proof::Exporter;
use medipeps_core::wire::WireError;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, Sleep, sleep, timeout, timeout_at};

use super::link::{Close, Link, ReceiveHalf, SendHalf, StreamGone};
use super::memory::{Memories, Memory, NoMemory};
use crate::fail_point::fail_point;
use crate::frame::{Frame, FrameError, ReadSome, read_body, read_length};
use crate::limits::{
    FINISH_TIMEOUT_MS, HELLO_TIMEOUT_MS, LARGE_REQUEST_TIMEOUT_MS, REQUEST_MEMORY_RETRY_MS, REQUEST_TASKS_MAX,
    REQUEST_TIMEOUT_MS, WRITE_TIMEOUT_MS,
};
use crate::service::{Answer, Connection, GroupWatch, Service, Sink, SinkClosed, Subscription, access};

/// Held by everything that shutdown waits for.
pub(crate) type Work = mpsc::Sender<()>;

/// What all connections are served with.
#[derive(Clone)]
pub(crate) struct Host {
    /// Answers requests.
    pub(crate) service: Arc<Service>,
    /// Of requests and answers.
    pub(crate) memory: Arc<Memories>,
    /// Held by everything that shutdown waits for.
    pub(crate) work: mpsc::WeakSender<()>,
    /// Becomes true when every connection is to be closed.
    pub(crate) closing: watch::Receiver<bool>,
    /// Web origins whose pages may connect.
    pub(crate) allowed_origins: Arc<[String]>,
}

impl Host {
    /// Waits until every connection is to be closed, or the server is gone.
    async fn closes(&mut self) {
        let _ = self.closing.wait_for(|closing| *closing).await;
    }
}

/// Serves one connection until it closes. `exporter` is what the TLS exporter gave, where the transport has one.
pub(crate) async fn serve(link: Link, exporter: Option<Exporter>, mut host: Host) {
    if exporter.is_some() != link.transport().has_exporter() {
        link.close(Close::NoExporter);
        return;
    }
    let connection = Arc::new(Connection::new(link.transport(), exporter));
    let memory = host.memory.of_connection(link.address().into());
    // On the heap, and gone once it was said: nearly every connection waits below for days.
    let mut hello = Some(Box::pin(sleep(Duration::from_millis(HELLO_TIMEOUT_MS))));
    // A client may reset a stream while its request is still under way, and open another: the transport's limit alone does
    // not bound the tasks.
    let tasks = Arc::new(Semaphore::new(REQUEST_TASKS_MAX));
    loop {
        let Ok(task) = tasks.clone().acquire_owned().await else { return };
        let stream = tokio::select! {
            stream = link.accept() => stream,
            () = due(&mut hello) => {
                if connection.is_greeted() {
                    continue;
                }
                link.close(Close::NoHello);
                return;
            }
            () = host.closes() => {
                link.close(Close::ShuttingDown);
                link.closed().await;
                return;
            }
        };
        let Some((send, receive)) = stream else { return };
        let stream = Stream { link: link.clone(), connection: connection.clone(), send };
        let (host, memory) = (host.clone(), memory.clone());
        tokio::spawn(async move {
            stream.serve(receive, &host, &memory.part, task).await;
        });
    }
}

/// Waits until a time has come, once.
async fn due(time: &mut Option<Pin<Box<Sleep>>>) {
    match time {
        Some(sleep) => sleep.await,
        None => pending().await,
    }
    *time = None;
}

struct Stream {
    link: Link,
    connection: Arc<Connection>,
    send: SendHalf,
}

impl Stream {
    async fn serve(mut self, mut receive: ReceiveHalf, host: &Host, memory: &Memory, task: OwnedSemaphorePermit) {
        let read = Box::pin(read_request(&mut receive, memory)).await;
        // A client that still writes shall come to its answer. Otherwise only the end of its half is left to come, and a
        // page takes it for a failure when it is told to stop before.
        if read.is_err() {
            receive.stop();
        }
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
        let Some(work) = host.work.upgrade() else { return };
        // Held until the answer is written.
        let admitted = request.and_then(|request| match memory.share_of_answer(&request) {
            Ok(share) => Ok((share, request)),
            Err(NoMemory) => Err(no_memory()),
        });
        let (answer, _share) = match admitted {
            Ok((share, request)) => {
                let name = access::name(&request);
                let answer = Box::pin(host.service.answer(&self.connection, self.link.address(), request)).await;
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
            // In tasks of their own: these live for days, and this one is as large as what had to be done to come here.
            Answer::GroupWatch(watch) => {
                tokio::spawn(self.push_group_logs(watch, receive, (work, task)));
                return;
            }
            Answer::Subscription(subscription) => {
                tokio::spawn(self.push_queue(subscription, receive, (work, task)));
                return;
            }
        }
        Box::pin(self.finish(receive)).await;
    }

    async fn push_queue(mut self, queue: Subscription, receive: ReceiveHalf, _held: (Work, OwnedSemaphorePermit)) {
        queue.run(&mut self).await;
        Box::pin(self.finish(receive)).await;
    }

    async fn push_group_logs(mut self, logs: GroupWatch, receive: ReceiveHalf, _held: (Work, OwnedSemaphorePermit)) {
        logs.run(&mut self).await;
        Box::pin(self.finish(receive)).await;
    }

    /// Ends the stream and waits a little for the client to have it all, and to have ended its half: closing the connection
    /// would drop the rest. What follows the request is of no interest.
    async fn finish(mut self, mut receive: ReceiveHalf) {
        let patience = Duration::from_millis(FINISH_TIMEOUT_MS);
        if self.send.finish() {
            let _ = timeout(patience, self.send.stopped()).await;
        }
        let ended = timeout(patience, receive.read_some(&mut Vec::new(), 1)).await;
        if !matches!(ended, Ok(Ok(0))) {
            receive.stop();
        }
    }
}

impl Sink for Stream {
    async fn send(&mut self, response: &Response) -> Result<(), SinkClosed> {
        let body = response.encode();
        let length = u32::try_from(body.len()).map_err(|_| SinkClosed)?;
        let write = async {
            self.send.write_all(&length.to_be_bytes()).await?;
            self.send.write_all(&body).await
        };
        // On the heap: a subscription waits for days in a task that would be as large as what it does when it writes.
        match Box::pin(timeout(Duration::from_millis(WRITE_TIMEOUT_MS), write)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(StreamGone)) => Err(SinkClosed),
            Err(_) => {
                // Half a frame may be out; nothing may follow it.
                self.send.reset();
                Err(SinkClosed)
            }
        }
    }

    async fn closed(&mut self) {
        self.send.stopped().await;
    }
}

/// Reads the frame of a request. A large one has a memory of its own and more time.
async fn read_request(receive: &mut ReceiveHalf, memory: &Memory) -> Result<Frame, FrameError> {
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
