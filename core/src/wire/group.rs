//! `spec/proto/group.proto`. Encodings only; [`crate::group`] checks what they say.

use prost::Message;
use zeroize::{Zeroize, Zeroizing};

use super::session::{bytes, secret};
use super::{WireError, fixed, proto};
use crate::Address;
use crate::crypto::secret::Secret;
use crate::group::{
    GroupId, GroupPolicy, GroupPolicyChange, GroupRejoin, GroupWelcome, LogId, Role, RosterEntry, SignedSignal,
};
use crate::limits::{
    GROUP_INVITATION_LENGTH_MAX, GROUP_PAGE_RECORD_LENGTH_MAX, GROUP_PAGES_MAX, GROUP_POLICY_CHANGE_LENGTH_MAX,
};

const POLICY_VERSION: u32 = 1;
const RECORD_VERSION: u32 = 1;

impl GroupPolicy {
    /// The encoding whose hash is in the group context: fields by their numbers, none that is empty or zero.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    fn to_proto(&self) -> proto::GroupPolicy {
        proto::GroupPolicy {
            version: POLICY_VERSION,
            name: self.name.clone(),
            description: self.description.clone(),
            roster: self.roster.iter().map(RosterEntry::to_proto).collect(),
            retention_days: self.retention_days,
            log_domain: self.log_domain.clone(),
            organisation: self.organisation.as_ref().map(Address::to_string).unwrap_or_default(),
            case: self.case.clone(),
            predecessor: self.predecessor.map(|id| id.to_vec()).unwrap_or_default(),
            successor: self.successor.map(|id| id.to_vec()).unwrap_or_default(),
            blinding: if self.blinding == [0; 32] { Vec::new() } else { self.blinding.to_vec() },
        }
    }

    /// Reads a policy. Bounds and the roster's rules are for [`GroupPolicy::check`].
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(encoded: &[u8]) -> Result<Self, WireError> {
        Self::from_proto(proto::GroupPolicy::decode(encoded)?)
    }

    fn from_proto(message: proto::GroupPolicy) -> Result<Self, WireError> {
        if message.version != POLICY_VERSION {
            return Err(WireError::Bounds("version"));
        }
        Ok(Self {
            name: message.name,
            description: message.description,
            roster: message.roster.iter().map(RosterEntry::from_proto).collect::<Result<_, _>>()?,
            retention_days: message.retention_days,
            log_domain: message.log_domain,
            organisation: match message.organisation.as_str() {
                "" => None,
                text => Some(Address::from_canonical(text).map_err(|_| WireError::Bounds("organisation"))?),
            },
            case: message.case,
            predecessor: log_id(&message.predecessor, "predecessor")?,
            successor: log_id(&message.successor, "successor")?,
            blinding: match message.blinding.as_slice() {
                [] => [0; 32],
                blinding => fixed(blinding, "blinding")?,
            },
        })
    }
}

impl GroupPolicyChange {
    /// The authenticated data of the commit that changes the policy.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::GroupPolicyChange {
            rest: Some(self.rest.to_proto()),
            put: self.put.iter().map(RosterEntry::to_proto).collect(),
            taken: self.taken.iter().map(Address::to_string).collect(),
        }
        .encode_to_vec()
    }

    /// Reads it. Nothing is verified by this: what comes of it must have the hash that the commit names.
    ///
    /// # Errors
    /// [`WireError`] with the field's name; also for accounts out of order, and a roster or blinding where none belongs.
    pub fn decode(encoded: &[u8]) -> Result<Self, WireError> {
        if encoded.len() > GROUP_POLICY_CHANGE_LENGTH_MAX {
            return Err(WireError::Bounds("policy change"));
        }
        let message = proto::GroupPolicyChange::decode(encoded)?;
        let rest = GroupPolicy::from_proto(message.rest.ok_or(WireError::Missing("rest"))?)?;
        let put = message.put.iter().map(RosterEntry::from_proto).collect::<Result<Vec<_>, _>>()?;
        let taken = message.taken.iter().map(|text| Address::from_canonical(text)).collect::<Result<Vec<_>, _>>();
        let taken = taken.map_err(|_| WireError::Bounds("taken"))?;
        if !rest.roster.is_empty() || rest.blinding != [0; 32] {
            return Err(WireError::Bounds("rest"));
        }
        if !put.is_sorted_by(|one, other| one.address < other.address) {
            return Err(WireError::Bounds("put"));
        }
        if !taken.is_sorted_by(|one, other| one < other) {
            return Err(WireError::Bounds("taken"));
        }
        Ok(Self { rest, put, taken })
    }
}

impl RosterEntry {
    fn to_proto(&self) -> proto::RosterEntry {
        proto::RosterEntry {
            address: self.address.to_string(),
            account_key: self.account_key.to_vec(),
            role: match self.role {
                Role::Owner => 1,
                Role::Member => 2,
                Role::Reader => 3,
            },
        }
    }

    fn from_proto(message: &proto::RosterEntry) -> Result<Self, WireError> {
        Ok(Self {
            address: Address::from_canonical(&message.address).map_err(|_| WireError::Bounds("address"))?,
            account_key: fixed(&message.account_key, "account_key")?,
            role: match message.role {
                1 => Role::Owner,
                2 => Role::Member,
                3 => Role::Reader,
                _ => return Err(WireError::Bounds("role")),
            },
        })
    }
}

/// The account and the number of the device that a leaf's credential names. Nothing is verified by this, not even that
/// its keys are keys: it is asked for every leaf whenever a group is loaded.
pub(crate) fn credential_device(credential: &[u8]) -> Result<(Address, u32), WireError> {
    let signed = proto::SignedDeviceCertificate::decode(credential)?;
    let certificate = proto::DeviceCertificate::decode(signed.certificate.as_slice())?;
    let address = Address::from_canonical(&certificate.address).map_err(|_| WireError::Bounds("address"))?;
    Ok((address, certificate.device_id))
}

/// The same with the account key; as little is verified.
pub(crate) fn credential_names(credential: &[u8]) -> Result<(Address, u32, [u8; 32]), WireError> {
    let signed = proto::SignedDeviceCertificate::decode(credential)?;
    let certificate = proto::DeviceCertificate::decode(signed.certificate.as_slice())?;
    let address = Address::from_canonical(&certificate.address).map_err(|_| WireError::Bounds("address"))?;
    Ok((address, certificate.device_id, fixed(&certificate.account_key, "account_key")?))
}

impl GroupWelcome {
    /// The encoded invitation; who reads it needs no more than a key package of his own.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (welcome, tree, policy) = (self.welcome.clone(), self.tree.clone(), self.policy.clone());
        proto::GroupWelcome { welcome, tree, policy }.encode_to_vec()
    }

    /// Reads an invitation. Nothing is verified by this.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(encoded: &[u8]) -> Result<Self, WireError> {
        if encoded.len() > GROUP_INVITATION_LENGTH_MAX {
            return Err(WireError::Bounds("invitation"));
        }
        let message = proto::GroupWelcome::decode(encoded)?;
        Ok(Self { welcome: message.welcome, tree: message.tree, policy: message.policy })
    }
}

impl GroupRejoin {
    /// The encoded help for a member who lost his state. It holds the epoch's keys: it goes over 1:1 or sealed.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut message = proto::GroupRejoin {
            group_info: self.group_info.clone(),
            tree: self.tree.clone(),
            access_seed: bytes(&self.access_seed),
            outer_key: bytes(&self.outer_key),
            policy: self.policy.clone(),
        };
        let encoded = Zeroizing::new(message.encode_to_vec());
        message.access_seed.zeroize();
        message.outer_key.zeroize();
        encoded
    }

    /// Reads it. Nothing is verified by this.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(encoded: &[u8]) -> Result<Self, WireError> {
        if encoded.len() > GROUP_INVITATION_LENGTH_MAX {
            return Err(WireError::Bounds("rejoin"));
        }
        let mut message = proto::GroupRejoin::decode(encoded)?;
        let keys = secret(&message.access_seed, "access_seed")
            .and_then(|seed| Ok((seed, secret(&message.outer_key, "outer_key")?)));
        message.access_seed.zeroize();
        message.outer_key.zeroize();
        let (access_seed, outer_key) = keys?;
        let proto::GroupRejoin { group_info, tree, policy, .. } = message;
        Ok(Self { group_info, tree, access_seed, outer_key, policy })
    }
}

/// A key package's private half, as the client's store has it.
#[derive(Debug)]
pub(crate) struct KeyPackageSecretFields {
    pub(crate) reference: [u8; 32],
    pub(crate) data: Zeroizing<Vec<u8>>,
    pub(crate) cipher_suite: u16,
}

impl KeyPackageSecretFields {
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut message = proto::KeyPackageSecret {
            version: RECORD_VERSION,
            reference: self.reference.to_vec(),
            data: self.data.to_vec(),
            cipher_suite: u32::from(self.cipher_suite),
        };
        let encoded = Zeroizing::new(message.encode_to_vec());
        message.data.zeroize();
        encoded
    }

    pub(crate) fn decode(encoded: &[u8]) -> Result<Self, WireError> {
        let mut message = proto::KeyPackageSecret::decode(encoded)?;
        let data = Zeroizing::new(std::mem::take(&mut message.data));
        if message.version != RECORD_VERSION {
            return Err(WireError::Bounds("version"));
        }
        Ok(Self {
            reference: fixed(&message.reference, "reference")?,
            data,
            cipher_suite: u16::try_from(message.cipher_suite).map_err(|_| WireError::Bounds("cipher_suite"))?,
        })
    }
}

/// What a group's manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ManifestFields {
    pub(crate) generation: u64,
    pub(crate) group_id: GroupId,
    pub(crate) cipher_suite: u16,
    pub(crate) log_id: LogId,
    pub(crate) next_page: u32,
    pub(crate) sections: Vec<SectionFields>,
    pub(crate) keys: Vec<EpochKeyFields>,
    pub(crate) pending: Option<PendingFields>,
}

/// A section and where it lies: pairs of a page's number and the generation that it was written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SectionFields {
    pub(crate) section: Section,
    pub(crate) pages: Vec<(u32, u64)>,
}

/// The parts of a group at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    /// Everything of the current epoch but the tree.
    State,
    /// The public ratchet tree.
    Tree,
    /// The state after a commit that the server has not accepted yet.
    Pending,
    /// A past epoch.
    Epoch(u64),
    /// The policy that holds from this epoch on.
    Policy(u64),
    /// The policy that the pending commit changes to.
    PendingPolicy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EpochKeyFields {
    pub(crate) epoch: u64,
    pub(crate) access_seed: Secret<32>,
    pub(crate) outer_key: Secret<32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PendingFields {
    pub(crate) entry_hash: [u8; 32],
    pub(crate) keys: EpochKeyFields,
}

impl ManifestFields {
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut message = proto::GroupManifest {
            version: RECORD_VERSION,
            generation: self.generation,
            group_id: self.group_id.0.to_vec(),
            cipher_suite: u32::from(self.cipher_suite),
            log_id: self.log_id.to_vec(),
            next_page: self.next_page,
            sections: self.sections.iter().map(SectionFields::to_proto).collect(),
            keys: self.keys.iter().map(EpochKeyFields::to_proto).collect(),
            pending: self.pending.as_ref().map(|pending| proto::GroupPendingCommit {
                entry_hash: pending.entry_hash.to_vec(),
                keys: Some(pending.keys.to_proto()),
            }),
        };
        let mut encoded = Zeroizing::new(Vec::with_capacity(message.encoded_len()));
        if message.encode(&mut *encoded).is_err() {
            unreachable!("a vector has room for the length that was computed");
        }
        wipe(&mut message);
        encoded
    }

    pub(crate) fn decode(encoded: &[u8]) -> Result<Self, WireError> {
        let mut message = proto::GroupManifest::decode(encoded)?;
        let fields = Self::from_proto(&message);
        wipe(&mut message);
        fields
    }

    fn from_proto(message: &proto::GroupManifest) -> Result<Self, WireError> {
        if message.version != RECORD_VERSION {
            return Err(WireError::Bounds("version"));
        }
        let sections = message.sections.iter().map(SectionFields::from_proto).collect::<Result<Vec<_>, WireError>>()?;
        if sections.iter().map(|section| section.pages.len()).sum::<usize>() > GROUP_PAGES_MAX {
            return Err(WireError::Bounds("sections"));
        }
        Ok(Self {
            generation: message.generation,
            group_id: GroupId(fixed(&message.group_id, "group_id")?),
            cipher_suite: u16::try_from(message.cipher_suite).map_err(|_| WireError::Bounds("cipher_suite"))?,
            log_id: fixed(&message.log_id, "log_id")?,
            next_page: message.next_page,
            sections,
            keys: message.keys.iter().map(EpochKeyFields::from_proto).collect::<Result<_, _>>()?,
            pending: message
                .pending
                .as_ref()
                .map(|pending| {
                    Ok::<_, WireError>(PendingFields {
                        entry_hash: fixed(&pending.entry_hash, "entry_hash")?,
                        keys: EpochKeyFields::from_proto(
                            pending.keys.as_ref().ok_or(WireError::Missing("pending.keys"))?,
                        )?,
                    })
                })
                .transpose()?,
        })
    }
}

impl SectionFields {
    fn to_proto(&self) -> proto::GroupSection {
        let (kind, epoch) = match self.section {
            Section::State => (1, 0),
            Section::Tree => (2, 0),
            Section::Pending => (3, 0),
            Section::Epoch(epoch) => (4, epoch),
            Section::Policy(first) => (5, first),
            Section::PendingPolicy => (6, 0),
        };
        let (pages, generations) = self.pages.iter().copied().unzip();
        proto::GroupSection { kind, epoch, pages, generations }
    }

    fn from_proto(message: &proto::GroupSection) -> Result<Self, WireError> {
        let section = match (message.kind, message.epoch) {
            (1, 0) => Section::State,
            (2, 0) => Section::Tree,
            (3, 0) => Section::Pending,
            (4, epoch) => Section::Epoch(epoch),
            (5, first) => Section::Policy(first),
            (6, 0) => Section::PendingPolicy,
            _ => return Err(WireError::Bounds("kind")),
        };
        if message.pages.len() != message.generations.len() {
            return Err(WireError::Bounds("generations"));
        }
        Ok(Self { section, pages: message.pages.iter().copied().zip(message.generations.iter().copied()).collect() })
    }
}

impl EpochKeyFields {
    fn to_proto(&self) -> proto::GroupEpochKeys {
        proto::GroupEpochKeys {
            epoch: self.epoch,
            access_seed: bytes(&self.access_seed),
            outer_key: bytes(&self.outer_key),
        }
    }

    fn from_proto(message: &proto::GroupEpochKeys) -> Result<Self, WireError> {
        Ok(Self {
            epoch: message.epoch,
            access_seed: secret(&message.access_seed, "access_seed")?,
            outer_key: secret(&message.outer_key, "outer_key")?,
        })
    }
}

/// A page's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageFields {
    pub(crate) group_id: GroupId,
    pub(crate) number: u32,
    pub(crate) generation: u64,
    pub(crate) content: Zeroizing<Vec<u8>>,
}

impl PageFields {
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut message = proto::GroupPage {
            group_id: self.group_id.0.to_vec(),
            number: self.number,
            generation: self.generation,
            content: self.content.to_vec(),
        };
        let mut encoded = Zeroizing::new(Vec::with_capacity(message.encoded_len()));
        if message.encode(&mut *encoded).is_err() {
            unreachable!("a vector has room for the length that was computed");
        }
        message.content.zeroize();
        encoded
    }

    pub(crate) fn decode(encoded: &[u8]) -> Result<Self, WireError> {
        if encoded.len() > GROUP_PAGE_RECORD_LENGTH_MAX {
            return Err(WireError::Bounds("page"));
        }
        let mut message = proto::GroupPage::decode(encoded)?;
        let content = Zeroizing::new(std::mem::take(&mut message.content));
        Ok(Self {
            group_id: GroupId(fixed(&message.group_id, "group_id")?),
            number: message.number,
            generation: message.generation,
            content,
        })
    }
}

impl SignedSignal {
    /// What is sealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::SignedGroupSignal {
            address: self.address.to_string(),
            device_id: self.device_id,
            at: self.at,
            chat: self.chat.clone(),
            signature: self.signature.to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads what was sealed; the signature is for [`crate::group::Group::open_signal`].
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(encoded: &[u8]) -> Result<Self, WireError> {
        let message = proto::SignedGroupSignal::decode(encoded)?;
        Ok(Self {
            address: Address::from_canonical(&message.address).map_err(|_| WireError::Bounds("address"))?,
            device_id: message.device_id,
            at: message.at,
            chat: message.chat,
            signature: fixed(&message.signature, "signature")?,
        })
    }
}

fn log_id(bytes: &[u8], field: &'static str) -> Result<Option<LogId>, WireError> {
    if bytes.is_empty() { Ok(None) } else { Ok(Some(fixed(bytes, field)?)) }
}

/// prost's copies of the secrets.
fn wipe(message: &mut proto::GroupManifest) {
    let pending = message.pending.as_mut().and_then(|pending| pending.keys.as_mut());
    for keys in message.keys.iter_mut().chain(pending) {
        keys.access_seed.zeroize();
        keys.outer_key.zeroize();
    }
}
