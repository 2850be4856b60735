//! An account taken over with its recovery key: nothing is proved, because nothing is left to prove.

use medipeps_core::Address;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::wire::transport::{ErrorCode, Request, Response};

use super::{AccountAgent, AgentError, NetworkError, Platform, Show};
use crate::engine::{EngineError, Event, Input, RecoverAccount};
use crate::limits::RECOVERY_TRIES_MAX;
use crate::shell::address::ServerAddress;
use crate::shell::carrier::Carrier;
use crate::shell::connection::{RequestError, ServerConnection, ServerExpectation, ServerTrust};

/// An account that is to be taken over.
#[derive(Debug)]
pub struct Recovery {
    /// Whose.
    pub address: Address,
    /// Display name.
    pub name: String,
    /// Where its server is.
    pub server: ServerAddress,
    /// By which the server is known; without it, by a certificate of the Web's PKI.
    pub server_key_hash: Option<[u8; 32]>,
    /// Ed25519 secret.
    pub recovery_key: Secret<32>,
}

/// How a recovery ended.
#[derive(Debug)]
pub enum Recovered {
    /// The account is this device's. Its prekeys may be missing still, for this reason.
    Done(Option<AgentError>),
    /// The server refused, with this code.
    Refused(String),
    /// The server did not answer.
    Unanswered(NetworkError),
}

impl Recovery {
    /// The account's newest statement and the hash of the key of the server that gave it, over a connection of its own.
    async fn newest_statement<C: Carrier>(&self) -> Result<(Vec<u8>, [u8; 32]), NetworkError> {
        let trust = ServerTrust::from(self.server_key_hash);
        let domain = Some(self.address.domain());
        let expectation = ServerExpectation { address: &self.server, trust, domain };
        let connection = ServerConnection::<C>::anonymous(&expectation).await?;
        let server_key_hash = connection.server_key_hash();
        let answer = connection.request(&Request::FetchStatement(self.address.clone())).await;
        connection.close().await;
        match answer? {
            Response::FetchStatement(newest) => Ok((newest, server_key_hash)),
            _ => Err(RequestError::Unexpected.into()),
        }
    }

    fn command(&self, newest: Vec<u8>, server_key_hash: [u8; 32]) -> RecoverAccount {
        RecoverAccount {
            address: self.address.clone(),
            name: self.name.clone(),
            server: self.server.to_string(),
            server_key_hash,
            recovery_key: self.recovery_key.clone(),
            newest,
        }
    }
}

impl<P: Platform> AccountAgent<P> {
    /// Whether the recovery key is the account's, before anything is made here.
    ///
    /// # Errors
    /// [`EngineError::WrongRecoveryKey`]; [`AgentError::Network`].
    pub async fn check_recovery(recovery: &Recovery) -> Result<(), AgentError> {
        let (newest, server_key_hash) = recovery.newest_statement::<P::Carrier>().await?;
        Ok(recovery.command(newest, server_key_hash).check()?)
    }

    /// Takes the account over, or goes on with that; where another statement comes between, it is tried again on top.
    ///
    /// # Errors
    /// [`AgentError::Handle`]; [`AgentError::Network`] if the newest statement could not be had.
    pub async fn recover(&mut self, recovery: &Recovery, show: Show<'_>) -> Result<Recovered, AgentError> {
        let mut refusal = ErrorCode::StatementVersion.name().to_owned();
        for _ in 0..RECOVERY_TRIES_MAX {
            let (newest, server_key_hash) = recovery.newest_statement::<P::Carrier>().await?;
            let (mut done, mut refused) = (false, None);
            let mut see = |event: &Event| {
                match event {
                    Event::Registered => done = true,
                    Event::RegistrationRefused { code } => refused = Some(code.clone()),
                    _ => {}
                }
                show(event);
            };
            let failure = self.run(Input::RecoverAccount(recovery.command(newest, server_key_hash)), &mut see).await?;
            if done {
                // Others can write to it once it has prekeys at the server, which it draws when it first proves itself.
                return Ok(Recovered::Done(self.become_proved(show).await.err()));
            }
            match (refused, failure) {
                (Some(code), _) if code == ErrorCode::StatementVersion.name() => refusal = code,
                (Some(code), _) => return Ok(Recovered::Refused(code)),
                (None, Some(failure)) => return Ok(Recovered::Unanswered(failure)),
                (None, None) => return Err(EngineError::NoProgress.into()),
            }
        }
        Ok(Recovered::Refused(refusal))
    }
}
