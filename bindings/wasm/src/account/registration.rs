//! The account itself.

use data_encoding::BASE32_NOPAD;
use medipeps_client::engine::{CreateAccount, Event};
use medipeps_client::shell::address::ServerAddress;
use medipeps_client::shell::agent::{Recovered, Recovery};
use medipeps_core::Address;
use medipeps_core::crypto::secret::Secret;
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
            Ok(agent.create_account(command, &mut |event| self.keep_recovery_key(event)).await?)
        };
        self.with(made).await?;
        self.created(&address)
    }

    /// Takes an account over with its recovery key, at a server with a certificate of the Web's PKI, or goes on with that. Its former
    /// devices are none of it any more. Gives another recovery key.
    ///
    /// # Errors
    /// `argument`; `refused` with `wrong_recovery_key`: nothing was made; `network`: to be called again.
    pub async fn recover(
        &self,
        server: String,
        address: String,
        name: String,
        recovery_key: String,
    ) -> Result<JsValue, JsValue> {
        let recovery = Recovery {
            address: record::address(&address)?,
            name: name.trim().to_owned(),
            server: server.trim().parse().map_err(|error| argument(&error))?,
            server_key_hash: None,
            recovery_key: typed(&Zeroizing::new(recovery_key))?,
        };
        let recovered = async |agent: &mut Agent| {
            if agent.account()?.is_none() {
                // A wrong key is told before anything is made.
                Agent::check_recovery(&recovery).await?;
            }
            match agent.recover(&recovery, &mut |event| self.keep_recovery_key(event)).await? {
                // Without prekeys at the server, which it gets with the next sync, others cannot write to it.
                Recovered::Done(_) => Ok(()),
                Recovered::Refused(word) => Err(PageError::refused(&word)),
                Recovered::Unanswered(failure) => Err(failure.into()),
            }
        };
        self.with(recovered).await?;
        self.created(&recovery.address)
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

impl Account {
    fn keep_recovery_key(&self, event: &Event) {
        if let Event::AccountPrepared { recovery_key, .. } = event {
            **self.recovery_key.borrow_mut() = BASE32_NOPAD.encode(recovery_key.as_bytes());
        }
    }

    fn created(&self, address: &Address) -> Result<JsValue, JsValue> {
        let recovery_key: Zeroizing<String> = self.recovery_key.take();
        given(&Created { address: &address.to_string(), recovery_key: &recovery_key })
    }
}

/// A recovery key as it was shown, in any case and with any spaces.
fn typed(text: &str) -> Result<Secret<32>, PageError> {
    let mut letters = Zeroizing::new(String::with_capacity(text.len()));
    letters.extend(text.chars().filter(|letter| !letter.is_whitespace()).map(|letter| letter.to_ascii_uppercase()));
    let key = BASE32_NOPAD.decode(letters.as_bytes()).ok().map(Zeroizing::new);
    let secret = key.and_then(|key| Secret::from_slice(&key));
    secret.ok_or_else(|| PageError::argument("a recovery key has 52 letters and digits 2 to 7, spaces aside"))
}

fn argument(error: &impl std::fmt::Display) -> PageError {
    PageError::argument(error.to_string())
}
