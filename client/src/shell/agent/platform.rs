//! What differs between a program and a page of a browser: medium, network, and where documents are.

use std::fmt::Debug;

use chacha20::ChaCha20Rng;

use super::sending::DocumentSource;
use super::{AccountAgent, AgentError};
use crate::account_store::Handled;
use crate::engine::{Input, Time};
use crate::shell::address::ServerAddress;
use crate::shell::carrier::Carrier;
use crate::shell::lookup_error::LookupError;
use crate::shell::transfer::sealed_copy::SealedCopies;
use crate::store::{Store, StoreError};

/// What an [`AccountAgent`] stands on. What it decides is the same on all.
pub trait Platform: Debug + Sized {
    /// Keeps the sealed records.
    type Store: Store + Debug;
    /// Carries connections.
    type Carrier: Carrier;
    /// The right to commit. `()` where the store itself keeps its handles apart until what they commit is durable.
    type Turn;
    /// Keeps the sealed copies of documents and long texts.
    type Copies: SealedCopies;
    /// Where a document is that a person sends.
    type Place: DocumentSource;

    /// Milliseconds since 1970, by the machine's clock.
    fn now() -> Time;

    /// Waits for the right to commit, which another handle on the same store may have.
    fn turn(&mut self) -> impl Future<Output = Self::Turn>;

    /// Waits until everything that the store has committed would survive a power cut, and gives the turn back. Nothing of it is
    /// told or sent before. Whoever drops the future does not end what it has begun. A store that is durable as it commits has
    /// nothing to wait for.
    ///
    /// # Errors
    /// [`StoreError`]; the store must then refuse every further event, since what it has is more than what is kept.
    fn keep(&mut self, _: Self::Turn) -> impl Future<Output = Result<(), StoreError>> {
        async { Ok(()) }
    }

    /// Handles one event: commits it, and waits until it is kept.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    fn handle(agent: &mut AccountAgent<Self>, input: &Input) -> impl Future<Output = Result<Handled, AgentError>> {
        async move {
            let turn = agent.platform.turn().await;
            let handled = agent.store.handle(input, Self::now(), &mut agent.rng)?;
            agent.platform.keep(turn).await?;
            Ok(handled)
        }
    }

    /// Where the server of a domain is, as far as this machine can find out, the likeliest first.
    ///
    /// # Errors
    /// [`LookupError`]
    fn servers(
        &mut self,
        domain: &str,
        rng: &mut ChaCha20Rng,
    ) -> impl Future<Output = Result<Vec<ServerAddress>, LookupError>>;

    /// The sealed copies of this account.
    fn copies(&self) -> &Self::Copies;
}
