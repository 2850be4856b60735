//! The kind `device_sync`: what a device tells the other devices of its account. Refused from everybody else, never shown,
//! answered by `received` alone.

use super::content::{ContentError, MessageId};
use super::given_delivery_key::SyncedDelivery;
use super::settings::{BlockedAccount, MutedConversation};
use crate::Address;
use crate::limits::{
    NAME_LENGTH_MAX, SERVER_LENGTH_MAX, STATE_CODE_LENGTH_MAX, STATEMENT_LENGTH_MAX, SYNC_BODY_LENGTH_MAX,
    SYNC_ENTRIES_MAX,
};
use crate::wire;

/// A batch of what has happened on one device. What it says may be said again, in any order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceSync {
    /// Messages that a person has seen.
    pub displayed: Vec<DisplayedMark>,
    /// Contacts that were pinned, or whose statement is newer.
    pub contacts: Vec<SyncedContact>,
    /// How far sent messages have come.
    pub states: Vec<SentState>,
    /// What devices are called.
    pub names: Vec<DeviceName>,
    /// Whom a person has blocked, or does not block any more.
    pub blocked: Vec<BlockedAccount>,
    /// What a person has muted, or does not mute any more.
    pub muted: Vec<MutedConversation>,
    /// Delivery keys, this account's and those of others, and who was accepted.
    pub deliveries: Vec<SyncedDelivery>,
}

/// A message that a person has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayedMark {
    /// Who sent it.
    pub sender: Address,
    /// The sender's account key, where it is pinned.
    pub account_key: Option<[u8; 32]>,
    /// The sender's id of it.
    pub content_id: MessageId,
    /// Milliseconds since 1970, by the clock of the device that showed it.
    pub at: u64,
}

/// A contact.
#[derive(Clone, PartialEq, Eq)]
pub struct SyncedContact {
    /// Who.
    pub address: Address,
    /// An encoded `SignedStatement`, the newest that the device has accepted.
    pub statement: Vec<u8>,
    /// When it was first pinned, in milliseconds since 1970.
    pub added: u64,
    /// The account key that a person has compared, and when, in milliseconds since 1970.
    pub verified: Option<([u8; 32], u64)>,
    /// Where the contact's server is reached, if its domain is another.
    pub server: Option<SyncedServer>,
}

/// Where the accounts of another domain are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncedServer {
    /// `HOST:PORT`.
    pub endpoint: String,
    /// SHA-256 of the server's key, once it is pinned.
    pub key_hash: Option<[u8; 32]>,
}

/// How far a message of this account has come with one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentState {
    /// The message.
    pub content_id: MessageId,
    /// The recipient.
    pub recipient: Address,
    /// How far.
    pub progress: Progress,
    /// Why it failed, or what the recipient could not do; empty otherwise.
    pub code: String,
    /// Milliseconds since 1970, by the clock of the device that learnt it.
    pub at: u64,
}

/// How far, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// On the recipient server's disk.
    Accepted,
    /// A device of the recipient has it.
    Delivered,
    /// A person has seen it.
    Displayed,
    /// Given up.
    Failed,
}

/// What a device is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceName {
    /// The device.
    pub device_id: u32,
    /// As a person wrote it.
    pub name: String,
    /// When it was written, in milliseconds since 1970.
    pub at: u64,
}

impl DeviceSync {
    /// Entries of all sorts.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.displayed.len()
            + self.contacts.len()
            + self.states.len()
            + self.names.len()
            + self.blocked.len()
            + self.muted.len()
            + self.deliveries.len()
    }

    /// Whether it says nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether one more entry could make it too large to be sent.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= SYNC_ENTRIES_MAX || wire::content::sync_length(self) > SYNC_BODY_LENGTH_MAX - ENTRY_LENGTH_MAX
    }

    /// Everything that another batch says as well.
    pub fn append(&mut self, mut other: Self) {
        self.displayed.append(&mut other.displayed);
        self.contacts.append(&mut other.contacts);
        self.states.append(&mut other.states);
        self.names.append(&mut other.names);
        self.blocked.append(&mut other.blocked);
        self.muted.append(&mut other.muted);
        self.deliveries.append(&mut other.deliveries);
    }

    /// The same in batches that can be sent, in order.
    #[must_use]
    pub fn split(self) -> Vec<Self> {
        let Self { displayed, contacts, states, names, blocked, muted, deliveries } = self;
        let entries = displayed
            .into_iter()
            .map(|entry| Self { displayed: vec![entry], ..Self::default() })
            .chain(contacts.into_iter().map(|entry| Self { contacts: vec![entry], ..Self::default() }))
            .chain(states.into_iter().map(|entry| Self { states: vec![entry], ..Self::default() }))
            .chain(names.into_iter().map(|entry| Self { names: vec![entry], ..Self::default() }))
            .chain(blocked.into_iter().map(|entry| Self { blocked: vec![entry], ..Self::default() }))
            .chain(muted.into_iter().map(|entry| Self { muted: vec![entry], ..Self::default() }))
            .chain(deliveries.into_iter().map(|entry| Self { deliveries: vec![entry], ..Self::default() }));
        let mut batches: Vec<Self> = Vec::new();
        let mut length = 0;
        for entry in entries {
            let more = wire::content::sync_length(&entry);
            match batches.last_mut().filter(|last| last.len() < SYNC_ENTRIES_MAX) {
                Some(last) if length + more <= SYNC_BODY_LENGTH_MAX => {
                    length += more;
                    last.append(entry);
                }
                _ => {
                    length = more;
                    batches.push(entry);
                }
            }
        }
        batches
    }

    pub(super) fn validate(&self) -> Result<(), ContentError> {
        if self.len() > SYNC_ENTRIES_MAX {
            return Err(ContentError::Field("device_sync"));
        }
        for contact in &self.contacts {
            let endpoint_is_good = |server: &SyncedServer| server.endpoint.len() <= SERVER_LENGTH_MAX;
            if contact.statement.len() > STATEMENT_LENGTH_MAX || !contact.server.as_ref().is_none_or(endpoint_is_good) {
                return Err(ContentError::Field("contacts"));
            }
        }
        let code_is_good =
            |code: &str| code.len() <= STATE_CODE_LENGTH_MAX && code.bytes().all(|byte| byte.is_ascii_graphic());
        if !self.states.iter().all(|state| code_is_good(&state.code)) {
            return Err(ContentError::Field("states.code"));
        }
        let name_is_good = |name: &str| name.len() <= NAME_LENGTH_MAX && !name.chars().any(char::is_control);
        if !self.names.iter().all(|device| name_is_good(&device.name)) {
            return Err(ContentError::Field("names.name"));
        }
        Ok(())
    }
}

/// Bytes of the largest entry, a contact, encoded: statement, server, and an address with what is around it.
const ENTRY_LENGTH_MAX: usize = STATEMENT_LENGTH_MAX + SERVER_LENGTH_MAX + 512;

impl std::fmt::Debug for SyncedContact {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SyncedContact").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::{Body, Content, Conversation, GivenDeliveryKey, ReceiptsWanted, Urgency};

    fn content(sync: DeviceSync) -> Content {
        Content {
            id: MessageId([1; 16]),
            thread: MessageId([1; 16]),
            in_reply_to: None,
            replaces: None,
            created: 1,
            expires: None,
            urgency: Urgency::Routine,
            sender_name: String::new(),
            sender_role: String::new(),
            on_behalf_of: None,
            patient: None,
            receipts_wanted: ReceiptsWanted::default(),
            fallback_text: String::new(),
            attachments: Vec::new(),
            body_blob: None,
            sender_statement_version: 1,
            body: Body::DeviceSync(sync),
        }
    }

    fn address(number: usize) -> Address {
        format!("contact-{number}@clinic.example").parse().unwrap()
    }

    fn contact(number: usize, length: usize) -> SyncedContact {
        SyncedContact { address: address(number), statement: vec![7; length], added: 5, verified: None, server: None }
    }

    fn mark(number: usize) -> DisplayedMark {
        DisplayedMark { sender: address(number), account_key: Some([9; 32]), content_id: MessageId([3; 16]), at: 4 }
    }

    fn batch() -> DeviceSync {
        DeviceSync {
            displayed: vec![mark(0)],
            contacts: vec![SyncedContact {
                verified: Some(([5; 32], 6)),
                server: Some(SyncedServer { endpoint: "server.example:4433".into(), key_hash: Some([8; 32]) }),
                ..contact(1, 900)
            }],
            states: vec![SentState {
                content_id: MessageId([4; 16]),
                recipient: address(2),
                progress: Progress::Failed,
                code: "unknown_account".into(),
                at: 6,
            }],
            names: vec![DeviceName { device_id: 7, name: "Workstation".into(), at: 8 }],
            blocked: vec![BlockedAccount { address: address(3), blocked: true, at: 9 }],
            muted: [Conversation::Thread(MessageId([5; 16])), Conversation::Group([6; 32])]
                .map(|conversation| MutedConversation { conversation, until: 10, at: 9 })
                .to_vec(),
            deliveries: [None, Some(GivenDeliveryKey { key: [7; 16].into(), made_at: 11 })]
                .map(|key| SyncedDelivery { address: address(4), key, accepted_at: 12 })
                .to_vec(),
        }
    }

    #[test]
    fn a_batch_comes_back_as_it_was() {
        let sent = content(batch());
        assert_eq!(Content::decode(&sent.encode().unwrap()), Ok(sent));
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_by_name() {
        let refused = |change: fn(&mut DeviceSync), field| {
            let mut sync = batch();
            change(&mut sync);
            assert_eq!(content(sync).encode(), Err(ContentError::Field(field)));
        };
        refused(|sync| sync.contacts[0].statement = vec![0; STATEMENT_LENGTH_MAX + 1], "contacts");
        let long = |sync: &mut DeviceSync| {
            let endpoint = "a".repeat(SERVER_LENGTH_MAX + 1);
            sync.contacts[0].server = Some(SyncedServer { endpoint, key_hash: None });
        };
        refused(long, "contacts");
        refused(|sync| sync.states[0].code = "a".repeat(STATE_CODE_LENGTH_MAX + 1), "states.code");
        refused(|sync| sync.states[0].code = "two words".into(), "states.code");
        refused(|sync| sync.names[0].name = "a\nb".into(), "names.name");
        refused(|sync| sync.displayed = vec![mark(0); SYNC_ENTRIES_MAX], "device_sync");
    }

    #[test]
    fn whatever_is_noted_goes_out_in_batches_that_fit_and_none_is_lost() {
        let contacts: Vec<_> = (0..1000).map(|number| contact(number, 1500)).collect();
        let displayed: Vec<_> = (0..3000).map(mark).collect();
        let blocked: Vec<_> =
            (0..1500).map(|number| BlockedAccount { address: address(number), blocked: true, at: 1 }).collect();
        let batches = DeviceSync { contacts, displayed, blocked: blocked.clone(), ..DeviceSync::default() }.split();
        assert!(batches.len() > 10);
        let mut again = DeviceSync::default();
        for batch in batches {
            content(batch.clone()).encode().expect("it fits");
            again.append(batch);
        }
        assert_eq!(again.displayed, (0..3000).map(mark).collect::<Vec<_>>());
        assert_eq!(again.contacts.len(), 1000);
        assert_eq!(again.blocked, blocked);
    }

    #[test]
    fn a_batch_is_full_before_one_more_entry_can_break_it() {
        let mut sync = DeviceSync::default();
        while !sync.is_full() {
            sync.contacts.push(contact(sync.len(), STATEMENT_LENGTH_MAX));
        }
        content(sync).encode().expect("it fits");
    }
}
