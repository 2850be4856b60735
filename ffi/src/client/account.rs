//! The account itself.

use medipeps_client::engine::{CreateAccount, EngineError, Event};
use medipeps_client::shell::agent::{Agent, AgentError, Recovered};
use medipeps_core::invitation::Invitation;
use zeroize::Zeroizing;

use super::Client;
use crate::MedipepsError;
use crate::error::Code;
use crate::identifier::address;
use crate::record::account::{Account, AccountCreated, AccountRequest, AccountStatus, RecoveryRequest};

#[uniffi::export]
impl Client {
    /// Makes an account, or goes on making the one that was begun here. The recovery key of one that was begun by this object is
    /// given back once the server has the account, however many calls that takes.
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
        let kept = self.recovery_key.clone();
        self.worker
            .call(async move |agent| {
                let mut show = |event: &Event| {
                    if let Event::AccountPrepared { recovery_key, .. } = event {
                        kept.keep(recovery_key);
                    }
                };
                agent.create_account(command, &mut show).await.map_err(|error| match error {
                    AgentError::Refused(word) => {
                        MedipepsError::new(Code::RegistrationRefused, &word, format!("the server refused: {word}"))
                    }
                    error => error.into(),
                })?;
                let account = agent.status()?.account.map(Account::from).ok_or(EngineError::NoAccount)?;
                Ok(AccountCreated { account, recovery_key: kept.take() })
            })
            .await
    }

    /// Takes an account over with its recovery key, in a folder that has none, or goes on with that. Its former devices are none of it
    /// any more, and contacts are shown that its keys have changed.
    ///
    /// # Errors
    /// `Argument`; `Rejected` with `wrong_recovery_key`: nothing was made; `Refused`; `Network`: call it again.
    pub async fn recover_account(&self, request: RecoveryRequest) -> Result<AccountCreated, MedipepsError> {
        let recovery = request.into_recovery()?;
        let kept = self.recovery_key.clone();
        self.worker
            .call(async move |agent| {
                if agent.status()?.account.is_none() {
                    // A wrong key is told before anything is made.
                    Agent::check_recovery(&recovery).await?;
                }
                let mut show = |event: &Event| {
                    if let Event::AccountPrepared { recovery_key, .. } = event {
                        kept.keep(recovery_key);
                    }
                };
                match agent.recover(&recovery, &mut show).await? {
                    Recovered::Done(problem) => {
                        if let Some(error) = problem {
                            // Others can write to it after the next sync.
                            tracing::info!(%error, "the recovered account has no keys at the server yet");
                        }
                        let account = agent.status()?.account.map(Account::from).ok_or(EngineError::NoAccount)?;
                        Ok(AccountCreated { account, recovery_key: kept.take() })
                    }
                    Recovered::Refused(word) => {
                        Err(MedipepsError::new(Code::Refused, &word, format!("the server refused: {word}")))
                    }
                    Recovered::Unanswered(failure) => Err(failure.into()),
                }
            })
            .await
    }

    /// Deletes the account at the server, on a primary device. What is on this device can be read still, and nothing is sent or
    /// received; [`crate::wipe_account`] destroys it.
    ///
    /// # Errors
    /// `Rejected` with `not_primary`; `Refused`, `Network`: nothing was deleted, or it is not known; call it again.
    pub async fn delete_account(&self) -> Result<(), MedipepsError> {
        self.worker.call(async |agent| Ok(agent.delete_account(&mut |_| {}).await?)).await
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
