//! What comes: fetched when an app asks, or received as long as it wants.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use medipeps_client::shell::agent::{Agent, Stay};
use medipeps_client::shell::presence::LockMark;
use tokio::sync::{oneshot, watch};

use super::Client;
use crate::error::Code;
use crate::key_vault::Opener;
use crate::listener::{EventListener, tell};
use crate::progress::{TransferListener, watch};
use crate::record::sync::SyncReport;
use crate::worker::{ended, runtime, until_locked};
use crate::{ClientEvent, MedipepsError};

/// A thread that receives.
pub(super) struct Receiving {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

#[uniffi::export]
impl Client {
    /// Sends what waits, fetches what has come, and stays connected for so many seconds. For background work of an app and
    /// for notification extensions; apps on the screen use [`Client::start_receiving`].
    ///
    /// # Errors
    /// `Network` if not everything was fetched once; `AccountGone`, `NoAccount`.
    pub async fn sync(&self, wait_seconds: u32) -> Result<SyncReport, MedipepsError> {
        self.worker
            .call(async move |agent| {
                let mut report = SyncReport::default();
                agent.sync(Duration::from_secs(wait_seconds.into()), &mut |event| report.hear(event)).await?;
                Ok(report)
            })
            .await
    }

    /// Receives from now on, on a thread and over a connection of its own, and connects again where the connection is lost.
    /// A second call stops the first listener.
    ///
    /// # Errors
    /// `Closed`, `System`, and what opening the store says.
    pub async fn start_receiving(&self, listener: Arc<dyn EventListener>) -> Result<(), MedipepsError> {
        self.stop_receiving().await;
        // Whoever has closed the account does not receive for it.
        self.worker.call(async |_| Ok(())).await?;
        let (folder, opener) = (self.folder.clone(), self.opener.clone());
        let transfers = self.transfers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (stop, stopped) = watch::channel(false);
        let (opened, is_open) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("medipeps-receiving".to_owned())
            .spawn(move || run((&folder, &opener), &listener, transfers, opened, stopped))
            .map_err(|error| MedipepsError::new(Code::System, "thread", error))?;
        is_open.await.unwrap_or_else(|_| Err(MedipepsError::closed()))?;
        *self.receiving.lock().unwrap_or_else(PoisonError::into_inner) = Some(Receiving { stop, thread });
        Ok(())
    }

    /// Receives no more. When it returns, the listener is not called any more.
    pub async fn stop_receiving(&self) {
        let receiving = self.receiving.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Receiving { stop, thread }) = receiving else { return };
        let _ = stop.send(true);
        ended(thread).await;
    }
}

fn run(
    (folder, opener): (&Path, &Opener),
    listener: &Arc<dyn EventListener>,
    transfers: Option<Arc<dyn TransferListener>>,
    opened: oneshot::Sender<Result<(), MedipepsError>>,
    mut stopped: watch::Receiver<bool>,
) {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return drop(opened.send(Err(error))),
    };
    let mark = LockMark::now(folder);
    runtime.block_on(async {
        let mut agent = match Agent::open(folder, &opener.unlock()) {
            Ok(agent) => agent,
            Err(error) => return drop(opened.send(Err(error.into()))),
        };
        if let Some(transfers) = transfers {
            agent.watch_transfers(watch(transfers));
        }
        drop(opened.send(Ok(())));
        let mut is_locked = false;
        let (code, message) = tokio::select! {
            error = receive(&mut agent, listener) => (error.code(), error.to_string()),
            // Every event is committed before anything else: whatever is cut off here comes again.
            _ = stopped.wait_for(|stop| *stop) => (0, "the app asked for it".to_owned()),
            () = until_locked(folder, &mark) => {
                is_locked = true;
                let locked = MedipepsError::locked();
                (locked.code(), locked.to_string())
            }
        };
        // The keys go at once where the account is locked.
        if is_locked {
            drop(agent)
        } else {
            agent.close().await
        }
        tell(listener, ClientEvent::Stopped { code, message });
    });
}

/// Until a person has to do something first.
async fn receive(agent: &mut Agent, listener: &Arc<dyn EventListener>) -> MedipepsError {
    let mut hear = |told: Stay<'_>| {
        let event = match told {
            Stay::Event(event) => ClientEvent::of(event),
            Stay::Ready => Some(ClientEvent::Ready),
            Stay::Offline(failure) => Some(ClientEvent::Offline { message: failure.to_string() }),
        };
        if let Some(event) = event {
            tell(listener, event);
        }
    };
    agent.stay(&mut hear).await.into()
}
