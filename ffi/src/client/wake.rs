//! Being woken when the app is not open.

use medipeps_client::engine::{GroupInput, Input};

use super::Client;
use crate::MedipepsError;
use crate::record::wake::{PushEndpoint, PushServices, Wake};

#[uniffi::export]
impl Client {
    /// By which push services the account's server wakes devices, and the key that a subscription of Web Push names.
    ///
    /// # Errors
    /// `Network`, `AccountGone`.
    pub async fn push_services(&self) -> Result<PushServices, MedipepsError> {
        self.worker.call(async |agent| Ok(agent.push_services(&mut |_| {}).await?.into())).await
    }

    /// From now on this device is woken there when something comes, by mail or in a group, and it is not connected; `None`:
    /// nowhere. To be called whenever the system hands the app an endpoint, the same one included: a server forgets one that
    /// its push service calls gone. The answer is what the account's server says; where it cannot be reached the wake is
    /// kept, and it is told with the next sync.
    ///
    /// A push says that something came, and nothing else. What is woken opens the account with
    /// [`Client::open_for_notification`], and syncs. On Apple's systems a push shows the app's own text under the key
    /// `medipeps_notice` until its notification extension has put another in its place.
    ///
    /// # Errors
    /// `Argument` for what is no endpoint; `NoAccount`, `AccountGone`, `Store`.
    pub async fn set_wake(&self, endpoint: Option<PushEndpoint>) -> Result<Option<Wake>, MedipepsError> {
        let endpoint = endpoint.as_ref().map(PushEndpoint::read).transpose()?;
        self.worker
            .call(async move |agent| {
                agent.run(Input::Wake(endpoint), &mut |_| {}).await?;
                // A group's server takes it from whoever has read to the end of the log.
                agent.run(Input::Group(GroupInput::ReadAll), &mut |_| {}).await?;
                agent.send_due(&mut |_| {}).await?;
                Ok(Wake::of(agent.wakes()?))
            })
            .await
    }

    /// Where this device is woken, and whether the account's server has it.
    ///
    /// # Errors
    /// `Store`.
    pub async fn wake(&self) -> Result<Option<Wake>, MedipepsError> {
        self.worker.call(async |agent| Ok(Wake::of(agent.wakes()?))).await
    }
}
