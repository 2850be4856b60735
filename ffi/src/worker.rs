//! A thread that owns an account and does one thing after the other. Whoever waits for it may go away: what was begun is
//! finished, so that a cancelled send was sent once or, if it had not begun, not at all.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use medipeps_client::shell::agent::Agent;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};

use crate::MedipepsError;
use crate::error::Code;

type Job = Box<dyn for<'a> FnOnce(&'a mut Agent) -> Pin<Box<dyn Future<Output = ()> + 'a>> + Send>;

/// The thread.
#[derive(Debug)]
pub(crate) struct Worker {
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    jobs: mpsc::UnboundedSender<Job>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts it. `open` runs on the thread; until it is done nobody waits for anything else.
    pub(crate) async fn start(
        open: impl AsyncFnOnce() -> Result<Agent, MedipepsError> + Send + 'static,
    ) -> Result<Self, MedipepsError> {
        let (jobs, inbox) = mpsc::unbounded_channel();
        let (opened, is_open) = oneshot::channel();
        let thread = std::thread::Builder::new().name("medipeps".to_owned()).spawn(move || run(open, opened, inbox));
        let thread = thread.map_err(|error| MedipepsError::new(Code::System, "thread", error))?;
        is_open.await.unwrap_or_else(|_| Err(MedipepsError::closed()))?;
        Ok(Self { running: Mutex::new(Some(Running { jobs, thread })) })
    }

    /// Does it after everything that was asked for before.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        job: impl AsyncFnOnce(&mut Agent) -> Result<T, MedipepsError> + Send + 'static,
    ) -> Result<T, MedipepsError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |agent| {
            Box::pin(async move {
                // Nobody may be waiting any more.
                drop(reply.send(job(agent).await));
            })
        });
        let jobs = self.lock().as_ref().map(|running| running.jobs.clone());
        jobs.and_then(|jobs| jobs.send(job).ok()).ok_or_else(MedipepsError::closed)?;
        answer.await.unwrap_or_else(|_| Err(MedipepsError::closed()))
    }

    /// Takes nothing more, finishes what was asked for, and ends the thread. The second call finds nothing to do.
    pub(crate) async fn close(&self) {
        let Some(Running { jobs, thread }) = self.lock().take() else { return };
        drop(jobs);
        ended(thread).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the end of a thread, which may take a while, without holding up the one that asks: it may be a user interface's.
pub(crate) async fn ended(thread: JoinHandle<()>) {
    let (ended, is_over) = oneshot::channel();
    let joined = std::thread::Builder::new().spawn(move || {
        drop(thread.join());
        let _ = ended.send(());
    });
    if joined.is_ok() {
        drop(is_over.await);
    }
}

/// What the future of an account's thread runs on.
pub(crate) fn runtime() -> Result<Runtime, MedipepsError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| MedipepsError::new(Code::System, "runtime", error))
}

fn run(
    open: impl AsyncFnOnce() -> Result<Agent, MedipepsError>,
    opened: oneshot::Sender<Result<(), MedipepsError>>,
    mut inbox: mpsc::UnboundedReceiver<Job>,
) {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return drop(opened.send(Err(error))),
    };
    runtime.block_on(async {
        let mut agent = match open().await {
            Ok(agent) => agent,
            Err(error) => return drop(opened.send(Err(error))),
        };
        if opened.send(Ok(())).is_err() {
            return;
        }
        while let Some(job) = inbox.recv().await {
            job(&mut agent).await;
        }
        agent.close().await;
    });
}
