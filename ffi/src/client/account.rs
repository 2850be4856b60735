//! The account itself.

use data_encoding::BASE32_NOPAD;
use medipeps_client::engine::{CreateAccount, Event, Input};
use medipeps_core::crypto::secret::Secret;
use medipeps_core::invitation::Invitation;
use zeroize::Zeroizing;

use super::Client;
use crate::MedipepsError;
use crate::error::Code;
use crate::identifier::address;
use crate::record::account::{Account, AccountCreated, AccountRequest, AccountStatus};

#[uniffi::export]
impl Client {
    /// Makes an account, or goes on making the one that was begun here.
    ///
    /// # Errors
    /// `Argument`, `RegistrationRefused`, `Network` (the keys are kept: call it again), `Rejected` where there is another.
    pub async fn create_account(&self, request: AccountRequest) -> Result<AccountCreated, MedipepsError> {
        let invitation: Invitation = request
            .invitation
            .trim()
            .parse()
            .map_err(|error| MedipepsError::argument("invitation", &format!("{error}")))?;
        let command = CreateAccount {
            address: address(&request.address)?,
            name: request.name.trim().to_owned(),
            server: request.server,
            invitation,
        };
        self.worker
            .call(async move |agent| {
                let (mut recovery_key, mut refusal) = (None, None);
                let mut show = |event: &Event| match event {
                    Event::AccountPrepared { recovery_key: key, .. } => recovery_key = Some(written(key)),
                    Event::RegistrationRefused { code } => refusal = Some(code.clone()),
                    _ => {}
                };
                let failure = agent.run(Input::CreateAccount(command), &mut show).await?;
                if let Some(word) = refusal {
                    return Err(MedipepsError::new(
                        Code::RegistrationRefused,
                        &word,
                        format!("the server refused: {word}"),
                    ));
                }
                let account = agent.status()?.account.map(Account::from);
                match account.filter(|account| account.registered) {
                    Some(account) => Ok(AccountCreated { account, recovery_key }),
                    None => Err(failure.map_or_else(
                        || MedipepsError::new(Code::Network, "no_answer", "the server gave no answer"),
                        MedipepsError::from,
                    )),
                }
            })
            .await
    }

    /// The account; `None` before it is made.
    ///
    /// # Errors
    /// `Store`
    pub async fn account(&self) -> Result<Option<Account>, MedipepsError> {
        self.worker.call(async |agent| Ok(agent.status()?.account.map(Account::from))).await
    }

    /// How things are.
    ///
    /// # Errors
    /// `Store`
    pub async fn status(&self) -> Result<AccountStatus, MedipepsError> {
        self.worker.call(async |agent| Ok(AccountStatus::from(agent.status()?))).await
    }

    /// Locks the store with another passphrase from now on. Other programs that have it open go on.
    ///
    /// # Errors
    /// `Store`; the former passphrase opens it then.
    pub async fn change_passphrase(&self, passphrase: String) -> Result<(), MedipepsError> {
        let passphrase = Zeroizing::new(passphrase);
        self.worker.call(async move |agent| Ok(agent.change_passphrase(&passphrase)?)).await
    }
}

/// As a person writes it down: groups of four letters.
pub(super) fn written(key: &Secret<32>) -> String {
    let encoded = Zeroizing::new(BASE32_NOPAD.encode(key.as_bytes()));
    let mut groups = String::with_capacity(encoded.len() * 5 / 4);
    for (index, letter) in encoded.chars().enumerate() {
        if index > 0 && index % 4 == 0 {
            groups.push(' ');
        }
        groups.push(letter);
    }
    groups
}
