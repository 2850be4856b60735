//! Organisations as a person or a program reads them: out of records, changing nothing.

use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::kind::{Author, OrganisationDraft, OrganisationMessage};
use medipeps_core::organisation::{
    MemberCertificate, Membership, OrganisationChain, OrganisationId, OrganisationService, OrganisationStatement,
};
use medipeps_core::wire::client_records::{
    AdministratorKeyRecord, BreakGlassRecord, MessageRecord, OrganisationDraftRecord, OrganisationMemberRecord,
    OrganisationRecord, OrganisationStanding,
};

use super::outcome::membership_code;
use super::{OrganisationProblem, break_glass, chain_of, draft, member};

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganisationSummary {
    /// What is known about it.
    pub record: OrganisationRecord,
    /// Its statements, verified.
    pub chain: OrganisationChain,
    /// What this account is in it.
    pub own: MemberStanding,
    /// The two statements that contradict each other.
    pub fork: Option<Fork>,
}

/// Two statements of one version, both signed by enough administrators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The other one.
    pub other: OrganisationStatement,
    /// The hash of the one that is followed here, if it is of the same version.
    pub followed: Option<[u8; 32]>,
}

/// What an account is in an organisation, as far as is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberStanding {
    /// A member.
    Certified(Membership),
    /// Its certificate does not hold.
    Lapsed {
        /// Why; `spec/organisation.md` lists the codes.
        code: &'static str,
        /// As what it was certified.
        role: String,
        /// From when on it is not, in milliseconds since 1970.
        ends: u64,
    },
    /// It has shown none.
    Unknown,
}

/// Another member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSummary {
    /// Who.
    pub address: Address,
    /// What he is.
    pub standing: MemberStanding,
    /// Serials of his certificates that are known here, ascending.
    pub serials: Vec<u64>,
}

/// What a receiver shows beside somebody's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// By which organisation.
    pub organisation: OrganisationId,
    /// Its name.
    pub name: String,
    /// As what.
    pub role: String,
    /// From when on not, in milliseconds since 1970.
    pub ends: u64,
    /// The organisation has switched off what the message that this is about came by.
    pub service_off: bool,
}

/// Something that waits for signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftSummary {
    /// By which it is known.
    pub id: [u8; 32],
    /// What is known about it.
    pub record: OrganisationDraftRecord,
    /// The statement that it is, or nothing.
    pub statement: Option<OrganisationStatement>,
    /// The certificate that it is, or nothing.
    pub certificate: Option<MemberCertificate>,
    /// Whose signatures count.
    pub signed: Vec<VerifyingKey>,
    /// How many must.
    pub needed: u32,
    /// Why it can never be published.
    pub hindrance: Option<&'static str>,
}

/// A key with which this person administers organisations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdministratorKeySummary {
    /// What others know.
    pub public: VerifyingKey,
    /// When it came into this store, in milliseconds since 1970.
    pub created: u64,
}

/// Access in an emergency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakGlassSummary {
    /// What is known about it.
    pub record: BreakGlassRecord,
    /// How many must agree; 0 where the policy allows nothing any more.
    pub required: u32,
    /// `requested`, `granted` (enough have agreed), `announced` (being written and told), `open`, `used` (by somebody else, until its
    /// end), `over`.
    pub state: &'static str,
}

/// Who is on call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnCall {
    /// For instance "anaesthesia".
    pub function: String,
    /// In the order in which they are called.
    pub addresses: Vec<Address>,
    /// Until when, in milliseconds since 1970.
    pub until: u64,
}

impl OrganisationSummary {
    /// Out of the record. `own`: this account.
    ///
    /// # Errors
    /// [`OrganisationProblem::Chain`] if the record is damaged.
    pub fn of(record: OrganisationRecord, own: &Author, now: u64) -> Result<Self, OrganisationProblem> {
        let chain = chain_of(&record)?;
        let certificates: Vec<_> = record.certificate.iter().cloned().collect();
        let fork = record.fork.as_ref().map(|other| OrganisationStatement::decode(other)).transpose()?;
        let fork = fork.map(|other| {
            let place = usize::try_from(other.version().saturating_sub(1)).ok();
            let followed = place.and_then(|place| record.links.get(place)).map(|link| link.hash);
            Fork { other, followed }
        });
        let own = standing(&chain, &certificates, own, now);
        Ok(Self { chain, own, fork, record })
    }

    /// Whether what it says may be acted upon.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.record.standing == OrganisationStanding::Joined
    }

    /// Who is on call at a time, for one function or for all.
    ///
    /// # Errors
    /// [`OrganisationProblem::NotJoined`], [`OrganisationProblem::Forked`]
    pub fn on_call(&self, function: Option<&str>, at: u64) -> Result<Vec<OnCall>, OrganisationProblem> {
        match self.record.standing {
            OrganisationStanding::Joined => {}
            OrganisationStanding::Offered => return Err(OrganisationProblem::NotJoined),
            OrganisationStanding::Forked => return Err(OrganisationProblem::Forked),
        }
        let asked = |name: &str| function.is_none_or(|function| name.to_lowercase() == function.trim().to_lowercase());
        let entries = self.chain.current().policy().on_call_at(at).filter(|entry| asked(&entry.function));
        Ok(entries
            .map(|entry| OnCall {
                function: entry.function.clone(),
                addresses: entry.addresses.clone(),
                until: entry.until,
            })
            .collect())
    }

    /// What this organisation says of an account, by the certificates that it has shown.
    #[must_use]
    pub fn says_of(&self, account: &Author, member: &OrganisationMemberRecord, at: u64) -> Option<Certified> {
        if !self.is_trusted() {
            return None;
        }
        let MemberStanding::Certified(membership) = standing(&self.chain, &member.certificates, account, at) else {
            return None;
        };
        Some(Certified {
            organisation: self.record.id,
            name: self.chain.current().name().to_owned(),
            role: membership.role,
            ends: membership.ends,
            service_off: false,
        })
    }

    /// What a member hands on in a file: all statements, and his own certificate.
    #[must_use]
    pub fn message(&self, statements: Vec<Vec<u8>>) -> OrganisationMessage {
        OrganisationMessage {
            statements,
            certificate: self.record.certificate.clone(),
            ..OrganisationMessage::about(self.record.id)
        }
    }

    /// What is known of another member.
    #[must_use]
    pub fn member(
        &self,
        member: &OrganisationMemberRecord,
        account_key: Option<VerifyingKey>,
        now: u64,
    ) -> MemberSummary {
        let certificates: Vec<_> = member::decoded(&member.certificates).collect();
        // Of somebody who is no contact the certificate's own key is all there is.
        let key = account_key.or_else(|| certificates.last().map(|one| one.account().account_key));
        let account = key.map(|account_key| Author { address: member.address.clone(), account_key });
        let standing = match account {
            Some(account) => standing(&self.chain, &member.certificates, &account, now),
            None => MemberStanding::Unknown,
        };
        let serials = certificates.iter().map(MemberCertificate::serial).collect();
        MemberSummary { address: member.address.clone(), standing, serials }
    }
}

impl DraftSummary {
    /// Out of the record.
    ///
    /// # Errors
    /// [`OrganisationProblem`] if it cannot be read.
    pub fn of(
        id: [u8; 32],
        record: OrganisationDraftRecord,
        organisation: Option<&OrganisationRecord>,
        now: u64,
    ) -> Result<Self, OrganisationProblem> {
        let (signed, needed, hindrance) = draft::hindrance(organisation, &record, now)?;
        let (mut statement, mut certificate) = (None, None);
        match &record.draft {
            OrganisationDraft::Statement(bytes) => statement = Some(OrganisationStatement::decode(bytes)?),
            OrganisationDraft::Certificate(bytes) => certificate = Some(MemberCertificate::decode(bytes)?),
        }
        Ok(Self { id, record, statement, certificate, signed, needed, hindrance })
    }

    /// Whether enough have signed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.hindrance.is_none() && self.needed > 0 && self.signed.len() as u64 >= u64::from(self.needed)
    }

    /// What goes into a file that is carried from administrator to administrator.
    #[must_use]
    pub fn message(&self) -> OrganisationMessage {
        OrganisationMessage {
            signing: Some(draft::signing_of(&self.record)),
            ..OrganisationMessage::about(self.record.organisation)
        }
    }
}

impl AdministratorKeySummary {
    /// Out of the record.
    #[must_use]
    pub fn of(record: &AdministratorKeyRecord) -> Self {
        let public = medipeps_core::crypto::signature::SigningKey::from_secret(&record.secret).verifying_key();
        Self { public, created: record.created }
    }
}

impl BreakGlassSummary {
    /// Out of its record, and of the message by which this device has told of its use.
    #[must_use]
    pub fn of(
        record: BreakGlassRecord,
        organisation: Option<&OrganisationSummary>,
        notice: Option<&MessageRecord>,
        now: u64,
    ) -> Self {
        let glass = organisation.and_then(|one| one.chain.current().policy().break_glass.as_ref());
        let trusted = organisation.is_some_and(OrganisationSummary::is_trusted);
        let over = record.ended.is_some() || record.used.is_some_and(|(_, until)| until <= now);
        let state = match record.used {
            _ if over => "over",
            Some(_) if record.use_content.is_none() => "used",
            // In a fork nothing is trusted, and so nothing is open.
            Some(_) if trusted && break_glass::is_open(&record, notice, now) => "open",
            Some(_) => "announced",
            None if glass.is_some_and(|glass| glass.is_granted_by(&record.agreed)) => "granted",
            None => "requested",
        };
        Self { required: glass.map_or(0, |glass| glass.required), state, record }
    }
}

fn standing(chain: &OrganisationChain, certificates: &[Vec<u8>], account: &Author, at: u64) -> MemberStanding {
    match member::best(chain, certificates, account, at) {
        None => MemberStanding::Unknown,
        Some(Ok(membership)) => MemberStanding::Certified(membership),
        Some(Err(error)) => {
            let last = member::decoded(certificates).last();
            let (role, ends) = last.map(|one| (one.role().to_owned(), one.period().1)).unwrap_or_default();
            MemberStanding::Lapsed { code: membership_code(&error), role, ends }
        }
    }
}

/// What a service is called in commands and errors.
#[must_use]
pub const fn service_name(service: OrganisationService) -> &'static str {
    match service {
        OrganisationService::Mail => "mail",
        OrganisationService::Chat => "chat",
        OrganisationService::SharedRecord => "shared-record",
        OrganisationService::Post => "post",
        OrganisationService::Teleconsultation => "teleconsultation",
        OrganisationService::Sms => "sms",
        OrganisationService::Payment => "payment",
        OrganisationService::Chatbot => "chatbot",
        OrganisationService::Portal => "portal",
        OrganisationService::ReceptionKiosk => "reception-kiosk",
        OrganisationService::VirtualPrinter => "virtual-printer",
        OrganisationService::Directory => "directory",
        OrganisationService::Consent => "consent",
        OrganisationService::PatientMail => "patient-mail",
        OrganisationService::TeleExpertise => "tele-expertise",
        OrganisationService::Office => "office",
        OrganisationService::Later(_) => "later",
    }
}
