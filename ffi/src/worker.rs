//! A thread that owns an account and does one thing after the other. Whoever waits for it may go away: what was begun is
//! finished, so that a cancelled send was sent once or, if it had not begun, not at all. Where somebody locks the account, it ends
//! at once: the keys go with it, and what was begun goes on with the next program.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use medipeps_client::shell::agent::Agent;
use medipeps_client::shell::presence::LockMark;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::MedipepsError;
use crate::error::Code;

/// How often it is looked whether the account is locked: what `lock` promises is 2 seconds, and looking costs power.
const LOCK_LOOK: Duration = Duration::from_secs(1);

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
    /// It has ended because somebody has locked the account.
    locked: Arc<AtomicBool>,
}

impl Worker {
    /// Starts it. `open` runs on the thread; until it is done nobody waits for anything else.
    pub(crate) async fn start(
        folder: PathBuf,
        open: impl AsyncFnOnce() -> Result<Agent, MedipepsError> + Send + 'static,
    ) -> Result<Self, MedipepsError> {
        let (jobs, inbox) = mpsc::unbounded_channel();
        let (opened, is_open) = oneshot::channel();
        let locked = Arc::new(AtomicBool::new(false));
        let (lock, mark) = (locked.clone(), LockMark::now(&folder));
        let thread = std::thread::Builder::new()
            .name("medipeps".to_owned())
            .spawn(move || run(open, opened, inbox, (&folder, &mark, &lock)));
        let thread = thread.map_err(|error| MedipepsError::new(Code::System, "thread", error))?;
        is_open.await.unwrap_or_else(|_| Err(MedipepsError::closed()))?;
        Ok(Self { running: Mutex::new(Some(Running { jobs, thread, locked })) })
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
        let running = self.lock().as_ref().map(|running| (running.jobs.clone(), running.locked.clone()));
        let Some((jobs, locked)) = running else { return Err(MedipepsError::closed()) };
        // It has ended if it takes nothing, or lets go of what it had taken.
        let ended = || if locked.load(Ordering::Acquire) { MedipepsError::locked() } else { MedipepsError::closed() };
        jobs.send(job).map_err(|_| ended())?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Takes nothing more, finishes what was asked for, and ends the thread. The second call finds nothing to do.
    pub(crate) async fn close(&self) {
        let Some(Running { jobs, thread, .. }) = self.lock().take() else { return };
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
    (folder, mark, locked): (&Path, &LockMark, &AtomicBool),
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
        let work = async {
            while let Some(job) = inbox.recv().await {
                job(&mut agent).await;
            }
        };
        let lock = async {
            until_locked(folder, mark).await;
            // Before whoever waits hears that his call has ended.
            locked.store(true, Ordering::Release);
        };
        let ended = tokio::select! {
            () = work => true,
            () = lock => false,
        };
        if ended {
            agent.close().await;
        }
    });
}

/// Waits until somebody has locked the account.
pub(crate) async fn until_locked(folder: &Path, mark: &LockMark) {
    while !mark.has_changed(folder) {
        sleep(LOCK_LOOK).await;
    }
}

/// Does on a thread of its own what blocks.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MedipepsError> + Send + 'static,
) -> Result<T, MedipepsError> {
    let (done, is_done) = oneshot::channel();
    let thread = std::thread::Builder::new().name("medipeps-waiting".to_owned());
    let begun = thread.spawn(move || drop(done.send(work())));
    begun.map_err(|error| MedipepsError::new(Code::System, "thread", error))?;
    is_done.await.unwrap_or_else(|_| Err(MedipepsError::closed()))
}
