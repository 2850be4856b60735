//! What comes into organisations and what comes out of them.

use medipeps_core::Address;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::kind::OrganisationMessageError;
use medipeps_core::organisation::{ChainError, MembershipError, OrganisationError, OrganisationId};
use thiserror::Error;

use super::break_glass::BreakGlassInput;
use super::proposal::{Certify, CreateOrganisation, ProposeStatement};
use super::{administrator, break_glass, chain, draft, exchange, member, proposal};
use crate::engine::transaction::{Stop, Transaction};

/// What is to happen with an organisation.
#[derive(Debug, Clone, PartialEq)]
pub enum OrganisationInput {
    /// Draw a key with which this person administers organisations.
    NewAdministratorKey,
    /// Take one in that was drawn elsewhere, or here before.
    AddAdministratorKey(Secret<32>),
    /// Forget one.
    ForgetAdministratorKey(VerifyingKey),
    /// Draft the first statement of an organisation, and sign it if this device can.
    Create(Box<CreateOrganisation>),
    /// Draft the next statement, and sign it.
    Propose(Box<ProposeStatement>),
    /// Draft a member's certificate, and sign it.
    Certify(Certify),
    /// Draft again the certificates that have too few signatures under the newest statement, and sign them.
    SignAgain(OrganisationId),
    /// Take in a message that has come in a file.
    Take(Vec<u8>),
    /// Sign a draft, and send it back to who asked and to the other administrators.
    Sign([u8; 32]),
    /// A draft has signatures enough: it holds from now on, and goes to those whom it concerns.
    Publish([u8; 32]),
    /// Throw a draft away.
    Drop([u8; 32]),
    /// A person has compared the id and joins.
    Join(OrganisationId),
    /// A person leaves; everything of it is forgotten here.
    Leave(OrganisationId),
    /// Show the own certificate to somebody.
    Present {
        /// Of which organisation.
        organisation: OrganisationId,
        /// To whom.
        to: Address,
        /// And ask for his.
        ask: bool,
    },
    /// Ask a colleague for newer statements, now.
    Refresh(OrganisationId),
    /// A person has decided which side of a fork is to be trusted.
    Resolve {
        /// Of which organisation.
        organisation: OrganisationId,
        /// The other one; else the one that was here first.
        take_other: bool,
    },
    /// Something about access in an emergency.
    BreakGlass(BreakGlassInput),
}

/// What a shell tells a person or a program about an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrganisationEvent {
    /// A key has been drawn. It belongs to no organisation yet; the event's id is zeros. The secret is shown now or never.
    KeyDrawn {
        /// What others are told.
        public: VerifyingKey,
        /// Ed25519 secret, for paper.
        secret: Secret<32>,
    },
    /// A key has been taken in. The event's id is zeros.
    KeyAdded {
        /// Which.
        public: VerifyingKey,
    },
    /// Something is to be signed: drafted here, or sent by an administrator.
    Drafted {
        /// By which it is known.
        draft: [u8; 32],
        /// Who has sent it.
        from: Option<Address>,
    },
    /// A draft has one more signature, or more.
    Signed {
        /// Which.
        draft: [u8; 32],
        /// Good signatures that it has.
        signatures: usize,
        /// How many it needs.
        needed: u32,
    },
    /// A draft holds from now on.
    Published {
        /// Which.
        draft: [u8; 32],
    },
    /// Somebody has told of an organisation: a person must confirm it.
    Offered {
        /// Its name, as it says.
        name: String,
        /// Who has.
        by: Option<Address>,
    },
    /// It is joined.
    Joined,
    /// It has a newer statement.
    Advanced {
        /// Its version.
        version: u64,
    },
    /// **Alarm**: there are two statements of one version, both signed by enough administrators.
    Forked {
        /// The version.
        version: u64,
        /// Who has brought the other one.
        by: Option<Address>,
    },
    /// A person has decided about a fork.
    Resolved,
    /// This account is certified.
    Certified {
        /// As what.
        role: String,
        /// From when on it is not, in milliseconds since 1970.
        ends: u64,
    },
    /// Somebody has shown a good certificate.
    MemberSeen {
        /// Who.
        address: Address,
        /// As what.
        role: String,
        /// From when on he is not, in milliseconds since 1970.
        ends: u64,
    },
    /// What somebody has told is passed over.
    Refused {
        /// Who.
        from: Option<Address>,
        /// Why; `spec/organisation.md` lists the codes.
        code: String,
    },
    /// Something was not sent: the recipient belongs to another domain and is no contact.
    NotReachable {
        /// Who.
        address: Address,
    },
    /// The own certificate does not hold (any more).
    NotCertified {
        /// Why.
        code: String,
    },
    /// A member of a group of the organisation is being taken out: his certificate does not hold any more.
    TakingOut {
        /// Of which group.
        group: [u8; 32],
        /// Whom.
        address: Address,
        /// Why.
        code: String,
    },
    /// Something about access in an emergency has come further; `org break-glass list` shows it.
    BreakGlass {
        /// Which request.
        request: [u8; 16],
        /// What has happened: `requested`, `agreed`, `used`, `ended`.
        what: String,
        /// Who has done it.
        by: Address,
    },
}

/// Why something about an organisation is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OrganisationProblem {
    /// There is no such organisation here.
    #[error("there is no such organisation here; `org list` shows all")]
    Unknown,
    /// No person has confirmed it.
    #[error("nobody has joined this organisation here; run `org join` first")]
    NotJoined,
    /// It is joined already.
    #[error("this organisation is joined already")]
    AlreadyJoined,
    /// There are two statements of one version.
    #[error(
        "this organisation has two statements of one version, so somebody acts against its administrators; nothing of it \
         is trusted until you have decided (`org show` and `org resolve`)"
    )]
    Forked,
    /// It is not forked.
    #[error("this organisation has no fork to decide about")]
    NotForked,
    /// Another organisation with the same address is joined here.
    #[error("another organisation with the address {0} is joined here")]
    AddressTaken(Address),
    /// There is no such draft.
    #[error("there is no such draft here; `org drafts` shows all")]
    UnknownDraft,
    /// Too many wait.
    #[error("{max} drafts wait already; publish or drop some first")]
    TooManyDrafts {
        /// The limit.
        max: usize,
    },
    /// No key on this device may sign.
    #[error("no administrator key on this device may sign this; `org administrator list` shows those that are here")]
    NotAdministrator,
    /// There is no such key here.
    #[error("there is no such administrator key on this device")]
    UnknownKey,
    /// A key is named that is no administrator's.
    #[error("the key is none of the organisation's administrators'")]
    NotListed,
    /// Not enough administrators have signed.
    #[error("{valid} administrators have signed; {needed} are needed")]
    NotEnoughSignatures {
        /// Good signatures.
        valid: usize,
        /// How many are needed.
        needed: u32,
    },
    /// Another statement was published meanwhile.
    #[error("another statement was published meanwhile; propose the change again")]
    StaleDraft,
    /// The statement would say what the present one says.
    #[error("this changes nothing")]
    NothingChanged,
    /// More members than seats.
    #[error("the organisation has {seats} seats, and {members} members already; raise the seats or revoke somebody")]
    SeatsExceeded {
        /// The policy's.
        seats: u32,
        /// Who are certified now.
        members: usize,
    },
    /// An end that is no time from now on.
    #[error("the certificate would end before it begins; check the date, and this machine's clock")]
    AlreadyEnded,
    /// Nobody of that address is certified, as far as this device knows.
    #[error("nobody of the address {0} is certified, as far as is known here; revoke by serial")]
    NoCertificate(Address),
    /// This account is not certified.
    #[error("you have no certificate of this organisation that holds now")]
    NotCertified,
    /// An account is not certified, as far as this device knows.
    #[error("{0} has shown no certificate of this organisation that holds now; `org ask` asks for it")]
    MemberNotCertified(Address),
    /// A service is switched off.
    #[error("{organisation} has switched the service \"{service}\" off for its members")]
    ServiceOff {
        /// Which service.
        service: &'static str,
        /// Whose policy.
        organisation: String,
    },
    /// A retention that is longer than the organisation's.
    #[error(
        "{organisation} keeps messages for {max} days; a group of it may keep them shorter, not longer or for ever"
    )]
    RetentionTooLong {
        /// Days.
        max: u32,
        /// Whose policy.
        organisation: String,
    },
    /// Nobody may break the glass.
    #[error("the policy of this organisation does not allow access in emergencies")]
    NoBreakGlass,
    /// There is no such request.
    #[error("there is no such request here; `org break-glass list` shows all")]
    UnknownRequest,
    /// Somebody else may.
    #[error("the policy does not name you among those who may agree")]
    MayNotAgree,
    /// Too few have agreed.
    #[error("{agreed} have agreed; {required} must")]
    NotAgreed {
        /// Have.
        agreed: usize,
        /// Must.
        required: u32,
    },
    /// Only who has asked opens, and ends.
    #[error("only who has asked may do that")]
    NotRequester,
    /// It was used.
    #[error("this request was used already; ask again")]
    AlreadyUsed,
    /// A statement breaks its rules.
    #[error(transparent)]
    Statement(#[from] OrganisationError),
    /// A statement does not fit the chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A certificate does not hold.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// A message cannot be made or read.
    #[error(transparent)]
    Message(#[from] OrganisationMessageError),
}

/// Handles what concerns an organisation.
pub(in crate::engine) fn handle(transaction: &mut Transaction<'_>, input: &OrganisationInput) -> Result<(), Stop> {
    match input {
        OrganisationInput::NewAdministratorKey => administrator::draw(transaction),
        OrganisationInput::AddAdministratorKey(secret) => administrator::add(transaction, secret),
        OrganisationInput::ForgetAdministratorKey(public) => administrator::forget(transaction, public),
        OrganisationInput::Create(command) => proposal::create(transaction, command),
        OrganisationInput::Propose(command) => proposal::propose(transaction, command),
        OrganisationInput::Certify(command) => proposal::certify(transaction, command),
        OrganisationInput::SignAgain(organisation) => proposal::sign_again(transaction, organisation),
        OrganisationInput::Take(bytes) => exchange::take_file(transaction, bytes),
        OrganisationInput::Sign(draft) => draft::sign(transaction, draft),
        OrganisationInput::Publish(draft) => draft::publish(transaction, draft),
        OrganisationInput::Drop(draft) => draft::forget(transaction, draft),
        OrganisationInput::Join(organisation) => chain::join(transaction, organisation),
        OrganisationInput::Leave(organisation) => chain::leave(transaction, organisation),
        OrganisationInput::Present { organisation, to, ask } => member::present(transaction, organisation, to, *ask),
        OrganisationInput::Refresh(organisation) => exchange::refresh(transaction, organisation),
        OrganisationInput::Resolve { organisation, take_other } => {
            chain::resolve(transaction, organisation, *take_other)
        }
        OrganisationInput::BreakGlass(input) => break_glass::handle(transaction, input),
    }
}

/// The stable code of why a certificate does not hold, as `spec/organisation.md` has it.
pub(super) const fn membership_code(error: &MembershipError) -> &'static str {
    match error {
        MembershipError::NotEnoughSignatures { .. } => "certificate_signatures",
        MembershipError::Revoked => "certificate_revoked",
        MembershipError::NotYet { .. } => "certificate_not_yet",
        MembershipError::Expired { .. } => "certificate_ended",
        MembershipError::OtherAccount => "certificate_other_account",
        _ => "certificate",
    }
}

/// The same of why a statement is not taken.
pub(super) const fn chain_code(error: &ChainError) -> &'static str {
    match error {
        ChainError::NotEnoughSignatures { .. } => "statement_signatures",
        ChainError::Missing { .. } => "statement_missing",
        ChainError::Forked { .. } => "statement_forked",
        ChainError::NotPinned => "statement_not_pinned",
        ChainError::AddressChanged => "statement_address",
        ChainError::Statement(_) => "statement",
    }
}
