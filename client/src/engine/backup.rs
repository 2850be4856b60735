//! What a backup has of an account, and what of a backup comes into a store. `spec/backup.md` says what is left out, and
//! why.

use std::collections::BTreeSet;

use medipeps_core::kind::Content;
use medipeps_core::wire::backup::{BackupAccount, BackupEntry};
use medipeps_core::wire::client_records::{
    AccountRecord, BodyFetchRecord, ContactRecord, DeliveryRecord, DepartedDomainRecord, GroupDepartureRecord,
    GroupMessageRecord, GroupMessageState, GroupRecord, GroupRosterRecord, ListedDomainRecord, MessageRecord,
    RecipientState, ServerRecord, SettingsRecord, TrustListRecord, UnconfirmedRecord, UnconfirmedSenderRecord,
};
use medipeps_core::wire::identity::SignedDeviceCertificate;
use zeroize::Zeroizing;

use super::LocalId;
use super::group;
use super::records::{Record, class, key};
use crate::store::{RecordClass, RecordKey};

/// The classes that a backup has, in the order in which they are read. A message's mark that it has come is committed
/// with the message, so marks are read first: no backup has one without its message. Contents come after the messages that
/// they belong to, because others wait there to be sent. A group comes after its messages, because it counts them.
pub(crate) const CLASSES: [RecordClass; 22] = [
    class::SERVER,
    class::TRUST_LIST,
    class::LISTED_DOMAIN,
    class::DEPARTED_DOMAIN,
    class::CONTACT,
    class::UNCONFIRMED_SENDER,
    class::RECEIVED,
    class::MESSAGE,
    class::CONTENT,
    class::BODY_FETCH,
    class::UNCONFIRMED,
    class::SETTINGS,
    class::DELIVERY,
    class::GROUP_RECEIVED,
    class::DEVICE_CERTIFICATE,
    class::GROUP_MESSAGE,
    class::GROUP_NUMBER,
    class::GROUP_EXPIRY,
    class::GROUP_OWNER_SAID,
    class::GROUP_DEPARTURE,
    class::GROUP_ROSTER,
    class::GROUP,
];

/// The code of messages that waited in the outbox of the device that wrote the backup.
const UNSENT: &str = "restored_unsent";

/// Chooses the records of a backup, which come in the order of [`CLASSES`].
#[derive(Debug, Default)]
pub(crate) struct Choice {
    received: BTreeSet<LocalId>,
    sent: BTreeSet<LocalId>,
    /// Names of the sealed copies of bodies.
    copies: BTreeSet<Vec<u8>>,
}

impl Choice {
    /// Whether a record goes into the backup.
    pub(crate) fn takes(&mut self, key: &RecordKey, value: &[u8]) -> bool {
        let id = LocalId::try_from(key.name.as_slice()).ok();
        match (key.class, id) {
            (class::MESSAGE, Some(id)) => match MessageRecord::decode(value) {
                Ok(message) if message.sent => self.sent.insert(id),
                Ok(_) => self.received.insert(id),
                Err(_) => false,
            },
            (class::CONTENT, Some(id)) => {
                let (sent, received) = (self.sent.contains(&id), self.received.contains(&id));
                if let (true, Ok(content)) = (sent || received, Content::decode(value))
                    && let Some(blob) = content.body_blob
                {
                    self.copies.insert(if sent { blob.id.to_vec() } else { id.to_vec() });
                }
                sent || received
            }
            (class::BODY_FETCH, Some(id)) => self.received.contains(&id),
            (class::UNCONFIRMED, _) => match UnconfirmedRecord::decode(value) {
                // What the server has not taken is in the outbox of the device that wrote the backup.
                Ok(record) => record.accepted != 0 && self.sent.contains(&record.content_id),
                Err(_) => false,
            },
            (class, _) => CLASSES.contains(&class),
        }
    }

    /// Names of the sealed copies that belong to what was taken.
    pub(crate) fn copies(&self) -> impl Iterator<Item = &[u8]> {
        self.copies.iter().map(Vec::as_slice)
    }
}

/// The account as a backup has it: without what makes up this device.
pub(crate) fn account(record: &AccountRecord) -> BackupAccount {
    BackupAccount {
        address: record.address.clone(),
        name: record.name.clone(),
        server: record.server.clone(),
        server_key_hash: record.server_key_hash,
        account_key: record.account_key.clone(),
        statement: record.statement.clone(),
    }
}

/// The record that an entry becomes in the store, read and written anew: nothing gets in that the engine could not read.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn admit(entry: &BackupEntry) -> Result<(RecordKey, Zeroizing<Vec<u8>>), &'static str> {
    let (class, name) = (RecordClass::from_byte(entry.class), entry.name.as_slice());
    let is_id = name.len() == size_of::<LocalId>();
    let value = match class {
        class::SERVER => again::<ServerRecord>(&entry.value, |_| !name.is_empty()),
        class::TRUST_LIST => again::<TrustListRecord>(&entry.value, |_| name == key::trust_list().name()),
        class::LISTED_DOMAIN => again::<ListedDomainRecord>(&entry.value, |listed| listed.0.domain.as_bytes() == name),
        class::DEPARTED_DOMAIN => again::<DepartedDomainRecord>(&entry.value, |_| !name.is_empty()),
        class::CONTACT => again::<ContactRecord>(&entry.value, |contact| contact.address.as_str().as_bytes() == name),
        class::UNCONFIRMED_SENDER => again::<UnconfirmedSenderRecord>(&entry.value, |sender| {
            name.len() > 32 && &name[32..] == sender.address.as_str().as_bytes()
        }),
        class::RECEIVED => (name.len() > 48 && entry.value.len() == size_of::<LocalId>()).then(|| entry.value.clone()),
        class::MESSAGE => message(&entry.value).filter(|_| is_id),
        class::CONTENT => (is_id && Content::decode(&entry.value).is_ok()).then(|| entry.value.clone()),
        class::BODY_FETCH => again::<BodyFetchRecord>(&entry.value, |_| is_id),
        class::UNCONFIRMED => again::<UnconfirmedRecord>(&entry.value, |record| {
            *key::unconfirmed(&record.content_id, &record.recipient).name() == *name && !record.bare
        }),
        class::SETTINGS => again::<SettingsRecord>(&entry.value, |_| name == key::settings().name()),
        class::DELIVERY => again::<DeliveryRecord>(&entry.value, |_| !name.is_empty()),
        class::GROUP_RECEIVED => {
            (name.len() > 48 && entry.value.len() == size_of::<u64>()).then(|| entry.value.clone())
        }
        class::DEVICE_CERTIFICATE => certificate(&entry.value, name),
        class::GROUP_MESSAGE => group_message(&entry.value).filter(|_| name.len() == 32 + size_of::<u64>()),
        class::GROUP_NUMBER => (name.len() == 48 && entry.value.len() == size_of::<u64>()).then(|| entry.value.clone()),
        class::GROUP_EXPIRY => (name.len() == 48 && entry.value.is_empty()).then(|| entry.value.clone()),
        class::GROUP_OWNER_SAID => (name.len() == 40 && entry.value.is_empty()).then(|| entry.value.clone()),
        class::GROUP_DEPARTURE => again::<GroupDepartureRecord>(&entry.value, |_| name.len() == 40),
        class::GROUP_ROSTER => again::<GroupRosterRecord>(&entry.value, |_| name.len() == 32),
        class::GROUP => group(&entry.value, name),
        _ => return Err("a record of a class that backups do not have"),
    };
    Ok((RecordKey::new(class, name), value.ok_or("a record that cannot be read")?))
}

fn again<T: Record>(value: &[u8], fits: impl FnOnce(&T) -> bool) -> Option<Zeroizing<Vec<u8>>> {
    let record = T::decode(value).ok()?;
    fits(&record).then(|| record.encode())
}

/// A message as it was, except that nothing of it waits to be sent: the outbox is not in the backup, and whether the old
/// device has sent it meanwhile nobody knows here.
fn message(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut message = <MessageRecord as Record>::decode(value).ok()?;
    for recipient in message.recipients.iter_mut().filter(|one| one.state == RecipientState::Queued) {
        (recipient.state, recipient.code) = (RecipientState::Failed, Some(UNSENT.to_owned()));
    }
    Some(Record::encode(&message))
}

/// The certificate of a device that has said something: it goes with a report.
fn certificate(value: &Zeroizing<Vec<u8>>, name: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let certificate = SignedDeviceCertificate::decode(value).ok()?;
    (name.len() == 32 && certificate.encode() == **value).then(|| value.clone())
}

/// What was said in a group, except that nothing of it waits to be said.
fn group_message(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut message = <GroupMessageRecord as Record>::decode(value).ok()?;
    if message.state == GroupMessageState::Queued {
        (message.state, message.code) = (GroupMessageState::Failed, Some(UNSENT.to_owned()));
    }
    Some(Record::encode(&message))
}

/// A group, whose keys are not in the backup: the new device asks for the way back into it.
fn group(value: &[u8], name: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut group = <GroupRecord as Record>::decode(value).ok().filter(|group| *name == group.log_id)?;
    group::restored(&mut group);
    Some(Record::encode(&group))
}

/// The entry of a record.
pub(crate) fn entry(key: RecordKey, value: Zeroizing<Vec<u8>>) -> BackupEntry {
    BackupEntry { class: key.class.byte(), name: key.name, value }
}
