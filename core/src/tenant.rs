//! What a customer of whoever runs a server has a licence for: `spec/tenants.md`.
//!
//! A tenant is known to the server and its operator. Nothing of it is encrypted, and no message names it.

use thiserror::Error;

use crate::limits::{NAME_LENGTH_MAX, TENANT_SERVICES_MAX};

/// The number of the tenant to which every account belongs that no other one was named for.
pub const DEFAULT_TENANT: u64 = 0;
/// The name of that tenant until it is given another one.
pub const DEFAULT_TENANT_NAME: &str = "default";
/// The services that a tenant can opt in to: those that an organisation's policy names, `spec/organisation.md`.
pub const SERVICES: &[&str] = &[
    "mail",
    "chat",
    "shared-record",
    "post",
    "teleconsultation",
    "sms",
    "payment",
    "chatbot",
    "portal",
    "reception-kiosk",
    "virtual-printer",
    "directory",
    "consent",
    "patient-mail",
    "tele-expertise",
    "office",
];
/// Bytes of the name of a service.
const SERVICE_LENGTH_MAX: usize = 32;

/// What a licence is counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Licence {
    /// Each mailbox.
    Mailbox,
    /// A structure: a practice, a laboratory, a home.
    Structure,
    /// A hospital group.
    HospitalGroup,
    /// An establishment.
    Establishment,
    /// A territory.
    Territory,
}

/// What a tenant may do at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Everything.
    Active,
    /// The licence has ended; everything goes on for a while.
    Grace,
    /// The while is over: no new accounts, nothing new into the queues; what is in them can be fetched.
    Ended,
    /// Nothing.
    Suspended,
}

/// What was agreed with a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantTerms {
    /// 1 to `NAME_LENGTH_MAX` bytes without control characters, no other tenant's.
    pub name: String,
    /// What the licence is counted by.
    pub licence: Licence,
    /// How many accounts there may be; `None` for any number.
    pub seats: Option<u64>,
    /// Bytes that may wait in the queues of its accounts together; `None` for any number.
    pub storage_bytes: Option<u64>,
    /// When the licence ends, in milliseconds since 1970; `None` for never.
    pub ends_ms: Option<u64>,
    /// Milliseconds after the end for which everything goes on.
    pub grace_ms: u64,
    /// Services opted in, ascending, of [`SERVICES`] where this version knows them.
    pub services: Vec<String>,
    /// Nothing goes on.
    pub suspended: bool,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its number, never given twice in a store.
    pub number: u64,
    /// When it was added, in milliseconds since 1970; 0 for the default one.
    pub created_ms: u64,
    /// What was agreed.
    pub terms: TenantTerms,
}

/// What the accounts of a tenant take together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TenantUsage {
    /// Accounts.
    pub seats: u64,
    /// Bytes that wait in their queues.
    pub bytes: u64,
}

/// What was counted of a tenant on one day. No account can be told from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantDay {
    /// Days since 1970, by UTC.
    pub day: u32,
    /// Accounts at the last count of the day.
    pub seats: u64,
    /// The highest number of accounts; registrations are counted as they happen.
    pub seats_peak: u64,
    /// The highest number of bytes in queues that a count met; there is one a minute while the server runs.
    pub bytes_peak: u64,
    /// Whether the tenant was active or in its grace at any count.
    pub active: bool,
    /// Services opted in at the last count.
    pub services: Vec<String>,
}

/// Terms that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TermsError {
    /// Empty, too long, or with control characters or space around it.
    #[error("the name must have 1 to {NAME_LENGTH_MAX} bytes, without control characters and space around it")]
    Name,
    /// Not in ascending order, twice the same, or too many.
    #[error("the services are not distinct names of at most {SERVICE_LENGTH_MAX} small letters and hyphens")]
    Services,
}

impl Licence {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Mailbox, Self::Structure, Self::HospitalGroup, Self::Establishment, Self::Territory];

    /// Its name in commands and statements.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mailbox => "mailbox",
            Self::Structure => "structure",
            Self::HospitalGroup => "hospital-group",
            Self::Establishment => "establishment",
            Self::Territory => "territory",
        }
    }

    /// The one with a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|licence| licence.name() == name)
    }
}

impl Standing {
    /// Its name in commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Grace => "grace",
            Self::Ended => "ended",
            Self::Suspended => "suspended",
        }
    }
}

impl TenantTerms {
    /// Terms without any bound.
    #[must_use]
    pub fn unbounded(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            licence: Licence::Structure,
            seats: None,
            storage_bytes: None,
            ends_ms: None,
            grace_ms: 0,
            services: Vec::new(),
            suspended: false,
        }
    }

    /// Refuses what cannot be.
    ///
    /// # Errors
    /// [`TermsError`]
    pub fn check(&self) -> Result<(), TermsError> {
        let name = &self.name;
        if name.is_empty() || name.len() > NAME_LENGTH_MAX || name.trim() != name || name.chars().any(char::is_control)
        {
            return Err(TermsError::Name);
        }
        check_services(&self.services)
    }

    /// What may be done at a time, in milliseconds since 1970.
    #[must_use]
    pub fn standing(&self, now_ms: u64) -> Standing {
        match self.ends_ms {
            _ if self.suspended => Standing::Suspended,
            Some(ends) if now_ms >= ends.saturating_add(self.grace_ms) => Standing::Ended,
            Some(ends) if now_ms >= ends => Standing::Grace,
            _ => Standing::Active,
        }
    }
}

impl Tenant {
    /// The default tenant of a store that was never told otherwise.
    #[must_use]
    pub fn default_tenant() -> Self {
        Self { number: DEFAULT_TENANT, created_ms: 0, terms: TenantTerms::unbounded(DEFAULT_TENANT_NAME) }
    }
}

/// Refuses what no list of services is. A name that this version does not know passes: a newer server may have it.
pub(crate) fn check_services(services: &[String]) -> Result<(), TermsError> {
    let is_name = |name: &String| {
        (1..=SERVICE_LENGTH_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let distinct = services.is_sorted_by(|first, second| first < second);
    if distinct && services.len() <= TENANT_SERVICES_MAX && services.iter().all(is_name) {
        Ok(())
    } else {
        Err(TermsError::Services)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_ends_with_a_grace() {
        let terms = TenantTerms { ends_ms: Some(100), grace_ms: 10, ..TenantTerms::unbounded("a") };
        for (now, standing) in
            [(99, Standing::Active), (100, Standing::Grace), (109, Standing::Grace), (110, Standing::Ended)]
        {
            assert_eq!(terms.standing(now), standing, "{now}");
        }
        let suspended = TenantTerms { suspended: true, ..terms };
        assert_eq!(suspended.standing(0), Standing::Suspended);
        assert_eq!(TenantTerms::unbounded("a").standing(u64::MAX), Standing::Active);
        let far = TenantTerms { ends_ms: Some(u64::MAX - 1), grace_ms: u64::MAX, ..TenantTerms::unbounded("a") };
        assert_eq!(far.standing(u64::MAX - 1), Standing::Grace);
    }

    #[test]
    fn terms_have_bounds() {
        for name in ["", " a", "a ", "a\n", &"a".repeat(NAME_LENGTH_MAX + 1)] {
            assert_eq!(TenantTerms::unbounded(name).check(), Err(TermsError::Name), "{name:?}");
        }
        let with = |services: &[&str]| TenantTerms {
            services: services.iter().map(|name| (*name).to_owned()).collect(),
            ..TenantTerms::unbounded("CHU de Pau")
        };
        let mut known = SERVICES.to_vec();
        known.sort_unstable();
        for services in [&[][..], &known, &["service-of-2030"]] {
            assert_eq!(with(services).check(), Ok(()), "{services:?}");
        }
        for services in [&["sms", "mail"][..], &["sms", "sms"], &[""], &["SMS"], &[&"a".repeat(33)]] {
            assert_eq!(with(services).check(), Err(TermsError::Services), "{services:?}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for licence in Licence::ALL {
            assert_eq!(Licence::named(licence.name()), Some(licence));
        }
        assert_eq!(Licence::named("planet"), None);
    }
}
