//! The server's end of the control socket.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use medipeps_core::wire::control::{ControlRequest, ControlResponse};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{ControlError, Store};
use crate::config::Config;
use crate::frame::{FrameMemory, read_frame, write_frame};
use crate::limits::{CONTROL_ACCEPT_RETRY_MS, CONTROL_FRAME_LENGTH_MAX, REQUEST_TIMEOUT_MS};

/// An order to read the configuration again, with where the answer goes: the keys that have another value now, or why nothing
/// was taken over.
pub(crate) type ReloadOrder = oneshot::Sender<Result<Vec<String>, String>>;

/// A listening control socket.
pub(crate) struct ControlSocket {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl ControlSocket {
    /// Listens on the socket of the data directory. The caller has the store, so whatever socket is there is a dead
    /// server's.
    pub(crate) async fn open(
        config: &Config,
        store: Store,
        reloads: mpsc::Sender<ReloadOrder>,
        work: mpsc::WeakSender<()>,
    ) -> Result<Self, ControlError> {
        let path = config.control_socket();
        let listener = bind(&path).map_err(|error| ControlError::Socket { path: path.clone(), error })?;
        let task = tokio::spawn(async move {
            loop {
                let stream = match listener.accept().await {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Too many files are open, as a rule; the next order must be taken all the same.
                        tracing::warn!(%error, "an order on the control socket was not taken");
                        sleep(Duration::from_millis(CONTROL_ACCEPT_RETRY_MS)).await;
                        continue;
                    }
                };
                let (store, reloads) = (store.clone(), reloads.clone());
                // Once the server stops, nobody can hold work any more.
                let Some(work) = work.upgrade() else { return };
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, &store, &reloads).await {
                        tracing::warn!(%error, "an order on the control socket failed");
                    }
                    drop(work);
                });
            }
        });
        Ok(Self { path, task })
    }

    /// Takes no more orders. The socket goes; a server that starts next makes its own.
    pub(crate) async fn close(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
        let _ = fs::remove_file(&self.path);
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Hands the order on to whoever runs the server, and waits.
async fn reload(reloads: &mpsc::Sender<ReloadOrder>) -> ControlResponse {
    let (order, answer) = oneshot::channel();
    if reloads.send(order).await.is_err() {
        return ControlResponse::Error("this server was not started from a file".to_owned());
    }
    match answer.await {
        Ok(Ok(changed)) => ControlResponse::Reloaded(changed),
        Ok(Err(message)) => ControlResponse::Error(message),
        Err(_) => ControlResponse::Error("the server is stopping".to_owned()),
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = reach(path, |path| UnixListener::bind(path))?;
    // The folder is for its owner only, so nobody could connect in between.
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Names a socket so that the name fits into the 107 bytes that the system has for it, however long the path is.
pub(super) fn reach<T>(path: &Path, open: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return open(path) };
    if path.as_os_str().len() < 100 || !cfg!(target_os = "linux") {
        return open(path);
    }
    let folder = File::open(folder)?;
    open(&PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name))
}

async fn answer(mut stream: UnixStream, store: &Store, reloads: &mpsc::Sender<ReloadOrder>) -> io::Result<()> {
    let memory = FrameMemory::new(CONTROL_FRAME_LENGTH_MAX);
    let read = read_frame(&mut stream, CONTROL_FRAME_LENGTH_MAX, &memory);
    let frame = timeout(Duration::from_millis(REQUEST_TIMEOUT_MS), read).await?.map_err(io::Error::other)?;
    let response = match ControlRequest::decode(&frame.bytes) {
        Ok(ControlRequest::Reload) => reload(reloads).await,
        Ok(request) => store.carry_out(request).await,
        Err(error) => ControlResponse::Error(error.to_string()),
    };
    write_frame(&mut stream, &response.encode()).await
}
