//! The devices of the account, and the linking of a further one.

use medipeps_client::engine::{Input, LinkDevice};
use medipeps_core::linking::LinkingCode;

use super::Client;
use crate::MedipepsError;
use crate::error::Code;
use crate::identifier::{address, server_address};
use crate::record::device::{Device, LinkState};

#[uniffi::export]
impl Client {
    /// The devices of the account.
    ///
    /// # Errors
    /// `NoAccount`, `Store`.
    pub async fn devices(&self) -> Result<Vec<Device>, MedipepsError> {
        self.worker.call(async |agent| Ok(agent.devices()?.into_iter().map(Device::from).collect())).await
    }

    /// New device: begins to belong to an account that has other devices, or goes on with that. `name` is what its owner calls
    /// it; the server does not learn it. `anew` throws away what was begun here. Then [`Client::continue_linking`].
    ///
    /// # Errors
    /// `Argument`, `Network`, `Rejected` where the store has an account; `Linking`.
    pub async fn become_device(
        &self,
        account: String,
        server: String,
        name: String,
        anew: bool,
    ) -> Result<LinkState, MedipepsError> {
        let (account, server) = (address(&account)?, server_address(&server)?);
        self.worker
            .call(async move |agent| Ok(agent.begin_linking(&account, &server, name.trim(), anew).await?.into()))
            .await
    }

    /// Primary device: begins to link the new device that shows this code. With `make_primary` that one holds the account key too,
    /// so that it can link and revoke devices. Then [`Client::continue_linking`].
    ///
    /// # Errors
    /// `Argument` where the text is no code or a letter of it is wrong; `Linking`, `Network`, `Rejected` on a device that is
    /// not primary.
    pub async fn link_device(&self, code: String, make_primary: bool) -> Result<LinkState, MedipepsError> {
        let code: LinkingCode =
            code.trim().parse().map_err(|error| MedipepsError::argument("code", &format!("{error}")))?;
        self.step(Input::LinkDevice(LinkDevice { code, make_primary })).await
    }

    /// Goes on with a linking: with a person's answer to the digits, or, where there is none yet, by looking whether the other
    /// device has done something. To be called about twice a second until it says `Linked`, or `Granted` for longer than
    /// somebody wants to wait. `false` ends the linking on both devices as long as nothing is granted.
    ///
    /// The new device publishes its prekeys when it first syncs or receives.
    ///
    /// # Errors
    /// `Linking`: it is over, `reason` says why; `NotFound` where none was begun; `Network`: to be tried again.
    pub async fn continue_linking(&self, agreed: Option<bool>) -> Result<LinkState, MedipepsError> {
        self.step(agreed.map_or(Input::LinkTick, |agreed| Input::LinkDecide { agreed })).await
    }

    /// Takes another device off the account, on a primary one: it gets nothing from now on.
    ///
    /// # Errors
    /// `Rejected`; `Refused` where the server does not take the new list of devices: sync, and try again; `Network`: the list
    /// is signed and kept, and goes with the next sync.
    pub async fn revoke_device(&self, id: u32) -> Result<(), MedipepsError> {
        self.worker.call(async move |agent| Ok(agent.revoke_device(id).await?)).await
    }

    /// Calls a device by another name, on all devices of the account; the server does not learn it. An empty one takes its name
    /// away.
    ///
    /// # Errors
    /// `NotFound`, `Rejected`.
    pub async fn rename_device(&self, id: u32, name: String) -> Result<(), MedipepsError> {
        let name = name.trim().to_owned();
        self.worker
            .call(async move |agent| {
                agent.run(Input::NameDevice { device_id: id, name }, &mut |_| {}).await?;
                // The other devices hear of it now; if not, with the next sync.
                agent.send_due(&mut |_| {}).await?;
                Ok(())
            })
            .await
    }
}

impl Client {
    async fn step(&self, input: Input) -> Result<LinkState, MedipepsError> {
        self.worker
            .call(async move |agent| {
                let progress = agent.link_step(input).await?;
                progress
                    .map(LinkState::from)
                    .ok_or_else(|| MedipepsError::new(Code::NotFound, "linking", "no linking was begun"))
            })
            .await
    }
}
