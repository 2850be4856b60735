//! Whom a person lets write to him, and what does not ring.

use std::time::SystemTime;

use medipeps_client::engine::Input;
use medipeps_client::shell::agent::now;
use medipeps_core::kind::MUTED_FOR_EVER;

use super::Client;
use crate::MedipepsError;
use crate::identifier::address;
use crate::record::conversation::{Conversation, MutedConversation};
use crate::record::milliseconds;

#[uniffi::export]
impl Client {
    /// Lets a conversation come without ringing, on all devices of the account, until a time or until [`Client::unmute`].
    ///
    /// # Errors
    /// `Argument`, `NoAccount`.
    pub async fn mute(&self, conversation: Conversation, until: Option<SystemTime>) -> Result<(), MedipepsError> {
        let until = until.map(milliseconds);
        if until.is_some_and(|until| until <= now().0) {
            return Err(MedipepsError::argument("until", "that time is over already"));
        }
        self.set_muted(conversation, until.unwrap_or(MUTED_FOR_EVER)).await
    }

    /// Lets a conversation ring again.
    ///
    /// # Errors
    /// `Argument`, `NoAccount`.
    pub async fn unmute(&self, conversation: Conversation) -> Result<(), MedipepsError> {
        self.set_muted(conversation, 0).await
    }

    /// What does not ring now.
    ///
    /// # Errors
    /// `Store`
    pub async fn muted_conversations(&self) -> Result<Vec<MutedConversation>, MedipepsError> {
        self.worker
            .call(async |agent| {
                let (_, muted) = agent.settings()?.entries();
                Ok(muted.iter().filter(|one| one.until > now().0).map(MutedConversation::from).collect())
            })
            .await
    }

    /// Lets an account write to this one like those to whom this one has written: what it has sent so far came as a request.
    ///
    /// # Errors
    /// `Argument`, `NotFound`.
    pub async fn accept(&self, contact: String) -> Result<(), MedipepsError> {
        let contact = address(&contact)?;
        self.worker
            .call(async move |agent| {
                agent.run(Input::Accept(contact), &mut |_| {}).await?;
                agent.send_due(&mut |_| {}).await?;
                Ok(())
            })
            .await
    }

    /// Makes another delivery key, which those get who are accepted with the next thing that they are sent: whoever else has the
    /// former one writes by requests from now on.
    ///
    /// # Errors
    /// `NoAccount`
    pub async fn renew_delivery_key(&self) -> Result<(), MedipepsError> {
        self.worker
            .call(async |agent| {
                agent.run(Input::RenewDeliveryKey, &mut |_| {}).await?;
                agent.send_due(&mut |_| {}).await?;
                Ok(())
            })
            .await
    }
}

impl Client {
    async fn set_muted(&self, conversation: Conversation, until: u64) -> Result<(), MedipepsError> {
        let conversation = conversation.into_conversation()?;
        self.worker
            .call(async move |agent| {
                agent.run(Input::Mute { conversation, until }, &mut |_| {}).await?;
                // The other devices hear of it now; if not, with the next sync.
                agent.send_due(&mut |_| {}).await?;
                Ok(())
            })
            .await
    }
}
