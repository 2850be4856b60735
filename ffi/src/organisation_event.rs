//! What happens with organisations by itself, as apps hear it.

use std::time::SystemTime;

use medipeps_client::engine::OrganisationEvent as EngineEvent;
use medipeps_core::Address;

use crate::record::group::number;
use crate::record::{hex, time};
use crate::{AccountAddress, DraftIdentifier, GroupIdentifier, MessageIdentifier};

/// What has happened with an organisation.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum OrganisationEvent {
    /// Somebody has told of it: a person compares its digits, then joins.
    Offered {
        /// Its name, as it says.
        name: String,
        /// Who has told.
        by: Option<AccountAddress>,
    },
    /// It is joined.
    Joined,
    /// It has a newer statement: look at it again.
    Advanced {
        /// Which.
        version: i64,
    },
    /// Alarm: there are two statements of one version, both signed by enough administrators. Nothing of it is trusted any more.
    Forked {
        /// The version.
        version: i64,
        /// Who has brought the other one.
        by: Option<AccountAddress>,
    },
    /// A person has decided about a fork.
    Resolved,
    /// This account is certified.
    Certified {
        /// As what.
        role: String,
        /// From when on it is not.
        ends: SystemTime,
    },
    /// This account's certificate does not hold, or not any more.
    NotCertified {
        /// Why: a word out of `spec/organisation.md`.
        reason: String,
    },
    /// Somebody has shown a good certificate.
    MemberSeen {
        /// Who.
        address: AccountAddress,
        /// As what.
        role: String,
        /// From when on he is not.
        ends: SystemTime,
    },
    /// What somebody has told is passed over.
    Refused {
        /// Who.
        by: Option<AccountAddress>,
        /// Why: a word out of `spec/organisation.md`.
        reason: String,
    },
    /// Something was not sent: the recipient belongs to another domain and is no contact.
    NotReachable {
        /// Who.
        address: AccountAddress,
    },
    /// A member of a group of the organisation is being taken out: his certificate does not hold any more.
    TakingOut {
        /// Of which group.
        group: GroupIdentifier,
        /// Whom.
        address: AccountAddress,
        /// Why: a word out of `spec/organisation.md`.
        reason: String,
    },
    /// An administrator asks for a signature.
    DraftReceived {
        /// On which draft.
        draft: DraftIdentifier,
        /// Who; `None`: it was drafted here.
        by: Option<AccountAddress>,
    },
    /// A draft has more signatures.
    DraftSigned {
        /// Which.
        draft: DraftIdentifier,
        /// Good signatures that it has.
        signatures: u32,
        /// How many it needs.
        required: u32,
    },
    /// A draft holds from now on.
    DraftPublished {
        /// Which.
        draft: DraftIdentifier,
    },
    /// Access in an emergency has come further: list it again.
    BreakGlass {
        /// Which request.
        request: MessageIdentifier,
        /// What has happened: `requested`, `agreed`, `used`, `ended`.
        what: String,
        /// Who has done it.
        by: AccountAddress,
    },
}

impl OrganisationEvent {
    /// What an app is to hear of it. Keys that this device has drawn are no event.
    pub(crate) fn of(event: &EngineEvent) -> Option<Self> {
        let name = |address: &Option<Address>| address.as_ref().map(Address::to_string);
        Some(match event {
            EngineEvent::Offered { name: called, by } => Self::Offered { name: called.clone(), by: name(by) },
            EngineEvent::Joined => Self::Joined,
            EngineEvent::Advanced { version } => Self::Advanced { version: number(*version) },
            EngineEvent::Forked { version, by } => Self::Forked { version: number(*version), by: name(by) },
            EngineEvent::Resolved => Self::Resolved,
            EngineEvent::Certified { role, ends } => Self::Certified { role: role.clone(), ends: time(*ends) },
            EngineEvent::NotCertified { code } => Self::NotCertified { reason: code.clone() },
            EngineEvent::MemberSeen { address, role, ends } => {
                Self::MemberSeen { address: address.to_string(), role: role.clone(), ends: time(*ends) }
            }
            EngineEvent::Refused { from, code } => Self::Refused { by: name(from), reason: code.clone() },
            EngineEvent::NotReachable { address } => Self::NotReachable { address: address.to_string() },
            EngineEvent::TakingOut { group, address, code } => {
                Self::TakingOut { group: hex(group), address: address.to_string(), reason: code.clone() }
            }
            EngineEvent::Drafted { draft, from } => Self::DraftReceived { draft: hex(draft), by: name(from) },
            EngineEvent::Signed { draft, signatures, needed } => Self::DraftSigned {
                draft: hex(draft),
                signatures: u32::try_from(*signatures).unwrap_or(u32::MAX),
                required: *needed,
            },
            EngineEvent::Published { draft } => Self::DraftPublished { draft: hex(draft) },
            EngineEvent::BreakGlass { request, what, by } => {
                Self::BreakGlass { request: hex(request), what: what.clone(), by: by.to_string() }
            }
            EngineEvent::KeyDrawn { .. } | EngineEvent::KeyAdded { .. } => return None,
        })
    }
}
