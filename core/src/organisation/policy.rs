//! What an organisation allows, asks and plans: one policy, part of its statement.

use super::OrganisationError;
use crate::Address;
use crate::limits::{
    BREAK_GLASS_DURATION_MAX, BREAK_GLASS_PEOPLE_MAX, NAME_LENGTH_MAX, ON_CALL_ADDRESSES_MAX, ON_CALL_ENTRIES_MAX,
    ORGANISATION_SERVICES_MAX, REVOKED_SERIALS_MAX,
};

/// The policy. Clients enforce it; the server sees at most counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrganisationPolicy {
    /// What is switched on, ascending. What is not listed is off.
    pub services: Vec<OrganisationService>,
    /// Members at a time.
    pub seats: u32,
    /// Days for which members keep what they get; `None`: no bound.
    pub retention_days: Option<u32>,
    /// Who breaks the glass, and how that is noticed; `None`: nobody does.
    pub break_glass: Option<BreakGlass>,
    /// Who is on call when, ascending by [`OnCallEntry::from`].
    pub on_call: Vec<OnCallEntry>,
    /// Serials of certificates that do not hold any more, ascending. One whose end has passed may be left out.
    pub revoked: Vec<u64>,
    /// Certificates with a lower serial do not hold: so that a long list can be ended by issuing all anew.
    pub serials_from: u64,
    /// Who gets reports.
    pub officer: Option<Address>,
}

/// A service of an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrganisationService {
    /// Mail.
    Mail,
    /// Chat, groups and cases.
    Chat,
    /// Documents to the shared record.
    SharedRecord,
    /// Post by the best channel.
    Post,
    /// Teleconsultation.
    Teleconsultation,
    /// SMS.
    Sms,
    /// Payment.
    Payment,
    /// The chatbot.
    Chatbot,
    /// The organisation's portal.
    Portal,
    /// The kiosk at the reception.
    ReceptionKiosk,
    /// The virtual printer.
    VirtualPrinter,
    /// Directories.
    Directory,
    /// Patients' consent.
    Consent,
    /// Mail with patients.
    PatientMail,
    /// Tele-expertise.
    TeleExpertise,
    /// The Office module.
    Office,
    /// A service of a later version, by its number.
    Later(u32),
}

/// Access beyond one's role in an emergency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakGlass {
    /// Who may agree to it.
    pub who: Vec<Address>,
    /// How many of them must.
    pub required: u32,
    /// Milliseconds for which access lasts.
    pub duration: u64,
    /// Who is told of each use at once, before anything is opened.
    pub notified: Vec<Address>,
    /// The log of the group in which each use is written, before anything is opened.
    pub log_id: [u8; 32],
}

/// Who is on call from one time to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnCallEntry {
    /// Milliseconds since 1970.
    pub from: u64,
    /// Milliseconds since 1970; not included.
    pub until: u64,
    /// For instance "anaesthesia".
    pub function: String,
    /// In the order in which they are called.
    pub addresses: Vec<Address>,
}

impl OrganisationPolicy {
    /// Whether a service is switched on.
    #[must_use]
    pub fn is_on(&self, service: OrganisationService) -> bool {
        self.services.contains(&service)
    }

    /// Who is on call at this time, in milliseconds since 1970: the entries that cover it.
    pub fn on_call_at(&self, at: u64) -> impl Iterator<Item = &OnCallEntry> {
        self.on_call.iter().filter(move |entry| (entry.from..entry.until).contains(&at))
    }

    /// Whether so many members are within the seats.
    #[must_use]
    pub fn has_seats_for(&self, members: u64) -> bool {
        members <= u64::from(self.seats)
    }

    /// Whether a certificate with this serial has been taken back.
    #[must_use]
    pub fn is_revoked(&self, serial: u64) -> bool {
        serial < self.serials_from || self.revoked.binary_search(&serial).is_ok()
    }

    pub(super) fn validate(&self) -> Result<(), OrganisationError> {
        let bad = |field| Err(OrganisationError::Policy(field));
        let numbers: Vec<_> = self.services.iter().map(|service| service.number()).collect();
        if numbers.len() > ORGANISATION_SERVICES_MAX || !rises(&numbers) || numbers.contains(&0) {
            return bad("services");
        }
        if self.on_call.len() > ON_CALL_ENTRIES_MAX || !self.on_call.is_sorted_by_key(|entry| entry.from) {
            return bad("on_call");
        }
        if !self.on_call.iter().all(OnCallEntry::is_good) {
            return bad("on_call");
        }
        if self.revoked.len() > REVOKED_SERIALS_MAX || !rises(&self.revoked) {
            return bad("revoked");
        }
        if self.break_glass.as_ref().is_some_and(|glass| !glass.is_good()) { bad("break_glass") } else { Ok(()) }
    }
}

impl BreakGlass {
    /// Whether these people together may: as many different ones as are required, all of them among those who may agree.
    #[must_use]
    pub fn is_granted_by(&self, people: &[Address]) -> bool {
        let agreeing = self.who.iter().filter(|address| people.contains(address)).count();
        u64::from(self.required) <= agreeing as u64
    }

    fn is_good(&self) -> bool {
        let people = |list: &[Address]| (1..=BREAK_GLASS_PEOPLE_MAX).contains(&list.len()) && are_distinct(list);
        // Somebody always hears of it: access that nobody notices is not for emergencies.
        people(&self.who)
            && people(&self.notified)
            && (1..=self.who.len() as u64).contains(&u64::from(self.required))
            && (1..=BREAK_GLASS_DURATION_MAX).contains(&self.duration)
    }
}

impl OnCallEntry {
    fn is_good(&self) -> bool {
        self.from < self.until
            && self.function.len() <= NAME_LENGTH_MAX
            && !self.function.chars().any(char::is_control)
            && (1..=ON_CALL_ADDRESSES_MAX).contains(&self.addresses.len())
            && are_distinct(&self.addresses)
    }
}

fn rises<T: PartialOrd>(values: &[T]) -> bool {
    values.windows(2).all(|pair| pair[0] < pair[1])
}

fn are_distinct(addresses: &[Address]) -> bool {
    (0..addresses.len()).all(|index| !addresses[..index].contains(&addresses[index]))
}
