//! What a device keeps of an organisation's mailbox.

use prost::Message;

use super::address;
use crate::Address;
use crate::wire::{WireError, fixed, proto};

/// The group whose mailbox this account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxRecord {
    /// Names the group.
    pub log_id: [u8; 32],
    /// Messages of the group with lower numbers were looked at for answers.
    pub handled: u64,
}

/// Who went out of a group with a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDepartureRecord {
    /// Who took them out.
    pub by: Address,
    /// His account key.
    pub account_key: [u8; 32],
    /// When the server took the commit, in milliseconds since 1970.
    pub at: u64,
    /// Who.
    pub gone: Vec<Address>,
}

impl MailboxRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientMailbox { log_id: self.log_id.to_vec(), handled: self.handled }.encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientMailbox::decode(bytes)?;
        Ok(Self { log_id: fixed(&record.log_id, "log_id")?, handled: record.handled })
    }
}

impl GroupDepartureRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientGroupDeparture {
            by: self.by.to_string(),
            account_key: self.account_key.to_vec(),
            at: self.at,
            gone: self.gone.iter().map(ToString::to_string).collect(),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientGroupDeparture::decode(bytes)?;
        Ok(Self {
            by: address(&record.by)?,
            account_key: fixed(&record.account_key, "account_key")?,
            at: record.at,
            gone: record.gone.iter().map(|gone| address(gone)).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were_written() {
        let mailbox = MailboxRecord { log_id: [1; 32], handled: 2 };
        assert_eq!(MailboxRecord::decode(&mailbox.encode()), Ok(mailbox));
        let gone = vec!["b@x.example".parse().unwrap(), "c@x.example".parse().unwrap()];
        let by = "a@x.example".parse().unwrap();
        let departure = GroupDepartureRecord { by, account_key: [3; 32], at: 4, gone };
        assert_eq!(GroupDepartureRecord::decode(&departure.encode()), Ok(departure));
        assert_eq!(MailboxRecord::decode(&[]), Err(WireError::Bounds("log_id")));
    }
}
