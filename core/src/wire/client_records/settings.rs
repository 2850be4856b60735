//! Whom a person has blocked and what he has muted.

use prost::Message;

use crate::kind::{DeviceSync, Settings};
use crate::wire::content::{blocked_account, blocked_account_of, muted_conversation, muted_conversation_of};
use crate::wire::{WireError, proto};

/// The settings that an account's devices share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SettingsRecord {
    /// All of them.
    pub settings: Settings,
}

impl SettingsRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (blocked, muted) = self.settings.entries();
        proto::ClientSettings {
            blocked: blocked.iter().map(blocked_account).collect(),
            muted: muted.iter().map(muted_conversation).collect(),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientSettings::decode(bytes)?;
        let blocked = record.blocked.into_iter().map(blocked_account_of).collect::<Result<_, _>>()?;
        let muted = record.muted.into_iter().map(muted_conversation_of).collect::<Result<_, _>>()?;
        let mut settings = Settings::default();
        settings.merge(&DeviceSync { blocked, muted, ..DeviceSync::default() });
        Ok(Self { settings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::{BlockedAccount, Conversation, MutedConversation};

    #[test]
    fn the_record_comes_back_as_it_was() {
        let mut settings = Settings::default();
        let address = "karim@clinic.example".parse().unwrap();
        settings.block(&BlockedAccount { address, blocked: true, at: 5 }).unwrap();
        settings.mute(&MutedConversation { conversation: Conversation::Group([1; 32]), until: 7, at: 6 }).unwrap();
        let address: crate::Address = "anne@clinic.example".parse().unwrap();
        settings.mute(&MutedConversation { conversation: Conversation::Account(address), until: 8, at: 6 }).unwrap();
        let record = SettingsRecord { settings };
        assert_eq!(SettingsRecord::decode(&record.encode()), Ok(record));
    }
}
