//! The connection on which a client gets its mail.

use std::sync::Arc;
use std::time::{Duration, Instant};

use medipeps_client::shell::connection::{Connection, Subscription};
use medipeps_core::wire::transport::{Acknowledge, Request, SubscriptionEvent};
use tokio::sync::watch;
use tokio::time::sleep;

use super::tally::Tally;
use crate::account::Account;
use crate::error::LoadError;
use crate::wire::Place;

/// Pause before a lost connection is made anew.
const RECONNECT: Duration = Duration::from_millis(200);

/// A client's proved connection with its subscription.
pub(super) struct Receiver {
    place: Place,
    account: Arc<Account>,
    tally: Arc<Tally>,
    open: Option<(Connection, Subscription)>,
}

impl Receiver {
    /// Connects, proves the device and subscribes.
    pub(super) async fn connect(place: &Place, account: Arc<Account>, tally: Arc<Tally>) -> Result<Self, LoadError> {
        let mut receiver = Self { place: place.clone(), account, tally, open: None };
        receiver.open = Some(receiver.subscribe().await?);
        Ok(receiver)
    }

    /// Takes what comes until everything is done, over further connections where one is lost.
    pub(super) async fn run(mut self, mut done: watch::Receiver<bool>) {
        let receive = async {
            loop {
                if let Some((connection, subscription)) = self.open.take() {
                    self.take(&connection, subscription).await;
                }
                match self.subscribe().await {
                    Ok(open) => self.open = Some(open),
                    Err(_) => sleep(RECONNECT).await,
                }
            }
        };
        tokio::select! {
            () = receive => {}
            _ = done.wait_for(|done| *done) => {}
        }
    }

    /// Takes what comes over one subscription. Acknowledgements go beside it, each of all that has come by then.
    async fn take(&self, connection: &Connection, mut subscription: Subscription) {
        let (come, to_acknowledge) = watch::channel(None);
        let receive = async {
            let mut incarnation = [0; 16];
            while let Ok(Some(event)) = subscription.next().await {
                match event {
                    SubscriptionEvent::Open(of_store) => incarnation = of_store,
                    SubscriptionEvent::Delivery(delivery) => {
                        self.tally.delivered(&delivery.envelope, Instant::now());
                        come.send_replace(Some((incarnation, delivery.sequence)));
                    }
                    SubscriptionEvent::Displaced | SubscriptionEvent::GoAway { .. } => return,
                    SubscriptionEvent::QueueEmpty
                    | SubscriptionEvent::Expired(_)
                    | SubscriptionEvent::PrekeysWithheld(_) => {}
                }
            }
        };
        tokio::select! {
            () = receive => {}
            () = acknowledge(connection, to_acknowledge) => {}
        }
    }

    async fn subscribe(&self) -> Result<(Connection, Subscription), LoadError> {
        self.account.subscribe(&self.place).await
    }
}

/// Acknowledges whatever is newest, one request at a time, until the connection fails.
async fn acknowledge(connection: &Connection, mut to_acknowledge: watch::Receiver<Option<([u8; 16], u64)>>) {
    while to_acknowledge.changed().await.is_ok() {
        let newest = *to_acknowledge.borrow_and_update();
        let Some((incarnation, up_to)) = newest else { continue };
        let acknowledge = Request::Acknowledge(Acknowledge { incarnation, up_to, generation: 0 });
        if connection.request(&acknowledge).await.is_err() {
            return;
        }
    }
}
