//! What comes: fetched when a page asks, or received as long as it wants.

use std::time::Duration;

use futures_util::future::{AbortHandle, Abortable};
use medipeps_client::engine::{GroupInput, Input};
use medipeps_client::shell::agent::Stay;
use tokio::sync::oneshot;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::{Account, Agent};
use crate::error::PageError;
use crate::record::event::ClientEvent;

/// Somebody who receives.
#[derive(Debug)]
pub(super) struct Receiving {
    abort: AbortHandle,
    /// Says when he has ended.
    ended: oneshot::Receiver<()>,
}

#[wasm_bindgen]
impl Account {
    /// Sends what is due, fetches everything that has come, and stays connected for so many milliseconds. While the account
    /// receives, it only sends and looks at groups.
    ///
    /// # Errors
    /// `network` if not everything was fetched once.
    pub async fn sync(&self, milliseconds: u32) -> Result<(), JsValue> {
        let wait = Duration::from_millis(milliseconds.into());
        let synced = async |agent: &mut Agent| {
            let mut hear = self.hear();
            if self.is_receiving() {
                agent.run(Input::Group(GroupInput::ReadAll), &mut hear).await?;
                agent.send_due(&mut hear).await?;
                return Ok(());
            }
            Ok(agent.sync(wait, &mut hear).await?)
        };
        Ok(self.with(synced).await?)
    }

    /// Receives from now on, over a connection of its own, and connects again where the connection is lost. Does nothing if it
    /// receives already.
    ///
    /// # Errors
    /// `closed`, `store`.
    #[wasm_bindgen(js_name = startReceiving)]
    pub async fn start_receiving(&self) -> Result<(), JsValue> {
        let _changing = self.changing.lock().await;
        if self.closed.get() {
            return Err(PageError::closed().into());
        }
        if self.is_receiving() {
            return Ok(());
        }
        drop(self.store.turn().await);
        let mut agent = self.another_agent()?;
        let (abort, registration) = AbortHandle::new_pair();
        let (end, ended) = oneshot::channel();
        let (listener, watch) = (self.listener.clone(), self.listener.clone());
        agent.watch_transfers(Box::new(move |progress| watch.moved(progress)));
        spawn_local(async move {
            let mut tell = |told: Stay<'_>| {
                if let Some(event) = ClientEvent::of(&told) {
                    listener.tell(&event);
                }
            };
            // Every event is kept before anything else: whatever is cut off comes again.
            let stopped = match Abortable::new(agent.stay(&mut tell), registration).await {
                Ok(error) => ClientEvent::stopped(&PageError::from(error)),
                Err(_) => ClientEvent::asked_to_stop(),
            };
            agent.close().await;
            let _ = end.send(());
            listener.tell(&stopped);
        });
        self.receiving.replace(Some(Receiving { abort, ended }));
        Ok(())
    }

    /// Receives no more.
    ///
    /// # Errors
    /// None.
    #[wasm_bindgen(js_name = stopReceiving)]
    pub async fn stop_receiving(&self) -> Result<(), JsValue> {
        let _changing = self.changing.lock().await;
        let receiving = self.receiving.take();
        if let Some(Receiving { abort, ended }) = receiving {
            abort.abort();
            drop(ended.await);
        }
        Ok(())
    }
}

impl Account {
    pub(super) fn is_receiving(&self) -> bool {
        // It may have ended by itself.
        self.receiving
            .borrow_mut()
            .as_mut()
            .is_some_and(|receiving| matches!(receiving.ended.try_recv(), Err(oneshot::error::TryRecvError::Empty)))
    }
}
