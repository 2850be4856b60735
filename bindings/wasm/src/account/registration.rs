//! The account itself.

use data_encoding::BASE32_NOPAD;
use medipeps_client::engine::{CreateAccount, Event, Input};
use medipeps_client::shell::address::ServerAddress;
use medipeps_core::Address;
use medipeps_core::invitation::Invitation;
use wasm_bindgen::prelude::*;
use zeroize::Zeroizing;

use super::{Account, Agent};
use crate::error::PageError;
use crate::record::{self, Created, given};

#[wasm_bindgen]
impl Account {
    /// Makes the account at a server, `HOST:PORT`, with an invitation code. Called again after a failure it goes on, and the call
    /// that comes to an end gives the recovery key.
    ///
    /// # Errors
    /// `argument`, `refused`, `network`.
    pub async fn create(
        &self,
        server: String,
        invitation: String,
        address: String,
        name: String,
    ) -> Result<JsValue, JsValue> {
        let server: ServerAddress = server.trim().parse().map_err(|error| argument(&error))?;
        let invitation: Invitation = invitation.trim().parse().map_err(|error| argument(&error))?;
        let address: Address = record::address(&address)?;
        let command = CreateAccount {
            address: address.clone(),
            name: name.trim().to_owned(),
            server: server.to_string(),
            invitation,
        };
        let made = async |agent: &mut Agent| {
            let (mut registered, mut refusal) = (false, None);
            let mut show = |event: &Event| match event {
                Event::AccountPrepared { recovery_key, .. } => {
                    **self.recovery_key.borrow_mut() = BASE32_NOPAD.encode(recovery_key.as_bytes());
                }
                Event::Registered => registered = true,
                Event::RegistrationRefused { code } => refusal = Some(code.clone()),
                _ => {}
            };
            let failure = agent.run(Input::CreateAccount(command), &mut show).await?;
            match (registered, refusal, failure) {
                (true, _, _) => Ok(()),
                (false, Some(code), _) => Err(PageError::refused(&code)),
                (false, None, Some(failure)) => Err(failure.into()),
                (false, None, None) => Err(PageError::network("the server gave no answer")),
            }
        };
        self.with(made).await?;
        let recovery_key: Zeroizing<String> = self.recovery_key.take();
        given(&Created { address: &address.to_string(), recovery_key: &recovery_key })
    }

    /// The account; `undefined` before it is made.
    ///
    /// # Errors
    /// `store`
    pub async fn account(&self) -> Result<JsValue, JsValue> {
        let asked = async |agent: &mut Agent| {
            let Some(account) = agent.account()?.filter(|account| account.registered) else { return Ok(None) };
            Ok(Some(record::Account {
                primary: agent.is_primary(account.device_id)?,
                address: account.address.to_string(),
                name: account.name,
                device_id: account.device_id,
                server: account.server,
            }))
        };
        given(&self.with(asked).await?)
    }
}

fn argument(error: &impl std::fmt::Display) -> PageError {
    PageError::argument(error.to_string())
}
