//! The devices of the account, and the linking of a further one.

use medipeps_client::engine::{Input, LinkDevice};
use medipeps_client::shell::address::ServerAddress;
use medipeps_core::linking::LinkingCode;
use wasm_bindgen::prelude::*;

use super::{Account, Agent};
use crate::error::PageError;
use crate::record::device::{Device, LinkState};
use crate::record::{address, given};

#[wasm_bindgen]
impl Account {
    /// The devices of the account.
    ///
    /// # Errors
    /// `store`
    pub async fn devices(&self) -> Result<JsValue, JsValue> {
        let listed = async |agent: &mut Agent| Ok(agent.devices()?.into_iter().map(Device::from).collect::<Vec<_>>());
        given(&self.with(listed).await?)
    }

    /// New device: begins to belong to an account that has other devices, or goes on with that.
    ///
    /// # Errors
    /// `argument`, `network`, `linking`; `engine` where the store has an account.
    #[wasm_bindgen(js_name = becomeDevice)]
    pub async fn become_device(
        &self,
        account: String,
        server: String,
        name: String,
        anew: bool,
    ) -> Result<JsValue, JsValue> {
        let account = address(&account)?;
        let server: ServerAddress = server.trim().parse().map_err(|error| PageError::argument(format!("{error}")))?;
        let begun = async |agent: &mut Agent| {
            Ok(LinkState::from(agent.begin_linking(&account, &server, name.trim(), anew).await?))
        };
        given(&self.with(begun).await?)
    }

    /// Primary device: begins to link the new device that shows this code.
    ///
    /// # Errors
    /// `argument`, `linking`, `network`; `engine` on a device that is not primary.
    #[wasm_bindgen(js_name = linkDevice)]
    pub async fn link_device(&self, code: String, make_primary: bool) -> Result<JsValue, JsValue> {
        let code: LinkingCode = code.trim().parse().map_err(|error| PageError::argument(format!("{error}")))?;
        self.step(Input::LinkDevice(LinkDevice { code, make_primary })).await
    }

    /// Goes on with a linking: with a person's answer to the digits, or by looking whether the other device has done something.
    ///
    /// # Errors
    /// `linking`: it is over; `not_found` where none was begun; `network`: to be tried again.
    #[wasm_bindgen(js_name = continueLinking)]
    pub async fn continue_linking(&self, agreed: Option<bool>) -> Result<JsValue, JsValue> {
        self.step(agreed.map_or(Input::LinkTick, |agreed| Input::LinkDecide { agreed })).await
    }

    /// Takes another device off the account, on a primary one.
    ///
    /// # Errors
    /// `engine`, `refused`; `network`: the list is signed and kept, and goes with the next sync.
    #[wasm_bindgen(js_name = revokeDevice)]
    pub async fn revoke_device(&self, id: u32) -> Result<(), JsValue> {
        let revoked = async |agent: &mut Agent| Ok(agent.revoke_device(id).await?);
        Ok(self.with(revoked).await?)
    }

    /// Calls a device by another name, on all devices of the account.
    ///
    /// # Errors
    /// `engine`
    #[wasm_bindgen(js_name = renameDevice)]
    pub async fn rename_device(&self, id: u32, name: String) -> Result<(), JsValue> {
        self.done(Input::NameDevice { device_id: id, name: name.trim().to_owned() }).await
    }
}

impl Account {
    async fn step(&self, input: Input) -> Result<JsValue, JsValue> {
        let stepped = async |agent: &mut Agent| {
            let progress = agent.link_step(input).await?;
            progress.map(LinkState::from).ok_or_else(|| PageError::not_found("no linking was begun"))
        };
        given(&self.with(stepped).await?)
    }
}
