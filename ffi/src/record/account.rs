//! The account of a client.

use medipeps_client::account_store::Status;
use medipeps_client::engine::AccountSummary;
use medipeps_client::shell::agent::Recovery;
use zeroize::Zeroizing;

use crate::identifier::{address, server_address, server_key};
use crate::paper_key::typed;
use crate::{AccountAddress, MedipepsError};

/// What an account is made of.
#[derive(Debug, Clone, uniffi::Record)]
pub struct AccountRequest {
    /// The invitation code, as the server's operator gave it.
    pub invitation: String,
    /// `local@domain`.
    pub address: AccountAddress,
    /// As recipients see it.
    pub name: String,
    /// `HOST:PORT`.
    pub server: String,
}

/// An account that is to be taken over.
#[derive(Clone, uniffi::Record)]
pub struct RecoveryRequest {
    /// `local@domain`.
    pub address: AccountAddress,
    /// As recipients see it.
    pub name: String,
    /// `HOST:PORT`.
    pub server: String,
    /// As the person has written it down, in any case and with any spaces.
    pub recovery_key: String,
    /// Hash of the server's key, 64 hexadecimal digits; without it the server is known by a certificate of the Web's PKI.
    #[uniffi(default = None)]
    pub server_key: Option<String>,
}

impl std::fmt::Debug for RecoveryRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RecoveryRequest").field("address", &self.address).finish_non_exhaustive()
    }
}

impl RecoveryRequest {
    pub(crate) fn into_recovery(self) -> Result<Recovery, MedipepsError> {
        let recovery_key = Zeroizing::new(self.recovery_key);
        Ok(Recovery {
            address: address(&self.address)?,
            name: self.name.trim().to_owned(),
            server: server_address(&self.server)?,
            server_key_hash: self.server_key.as_deref().map(server_key).transpose()?,
            recovery_key: typed("recovery_key", &recovery_key)?,
        })
    }
}

/// An account that was made.
#[derive(Clone, uniffi::Record)]
pub struct AccountCreated {
    /// It.
    pub account: Account,
    /// With it the account can be taken over to new keys if all devices are lost. In groups of four letters, shown now and
    /// kept nowhere: the person writes it down. `None` where the making was begun by an earlier call, which had it.
    pub recovery_key: Option<String>,
}

impl std::fmt::Debug for AccountCreated {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AccountCreated").field("account", &self.account).finish_non_exhaustive()
    }
}

/// An account on this device.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Account {
    /// `local@domain`.
    pub address: AccountAddress,
    /// As recipients see it.
    pub name: String,
    /// `HOST:PORT`.
    pub server: String,
    /// This device's number in the account.
    pub device_id: u32,
    /// Whether the server has confirmed it.
    pub registered: bool,
    /// The store is an old copy: its sessions were dropped, and nothing is sent.
    pub rolled_back: bool,
    /// This device is none of the account any more.
    pub revoked: bool,
}

/// How things are.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct AccountStatus {
    /// `None` before it is made.
    pub account: Option<Account>,
    /// Messages and receipts that are to be sent.
    pub waiting: u32,
    /// Messages that have come.
    pub received: u32,
    /// Of these, not displayed yet.
    pub unread: u32,
    /// Messages that were written here.
    pub sent: u32,
    /// Contacts.
    pub contacts: u32,
    /// Envelopes that could not be read, the last ones.
    pub undecryptable: u32,
}

impl From<AccountSummary> for Account {
    fn from(account: AccountSummary) -> Self {
        Self {
            address: account.address.to_string(),
            name: account.name,
            server: account.server,
            device_id: account.device_id,
            registered: account.registered,
            rolled_back: account.rolled_back,
            revoked: account.revoked.is_some(),
        }
    }
}

impl From<Status> for AccountStatus {
    fn from(status: Status) -> Self {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            waiting: count(status.outbox.len()),
            received: count(status.received),
            unread: count(status.unread),
            sent: count(status.sent),
            contacts: count(status.contacts),
            undecryptable: count(status.undecryptable.len()),
            account: status.account.map(Account::from),
        }
    }
}
