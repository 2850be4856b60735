//! Where the accounts of other domains are reached, and whether they may be: what a person has said, the trust list, and
//! DNS, in this order. `spec/federation.md`.

use std::collections::BTreeSet;

use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::trust_list::{TrustList, TrustListError};
use medipeps_core::wire::client_records::{DepartedDomainRecord, ListedDomainRecord, ServerRecord, TrustListRecord};
use medipeps_core::wire::transport::{ErrorReply, FetchTrustListReply, Request};
use thiserror::Error;

use super::account::OwnDevice;
use super::outcome::{Connection, EngineError, Event, error_code_name};
use super::records::{Key, class, key};
use super::transaction::{Stop, Transaction};
use super::{Correlation, Time, outbox};
use crate::limits::TRUST_LIST_ASK_MS;

/// The code of messages to a domain that has left the trust list.
pub(super) const DOMAIN_LEFT: &str = "domain_left";

/// A command about domains, or what a look in DNS has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainInput {
    /// The accounts of a domain are reached there, a person says.
    Set {
        /// The domain.
        domain: String,
        /// `HOST:PORT`.
        endpoint: String,
        /// [`medipeps_core::proof::server_key_hash`]; `None`: it is pinned at the first connection.
        server_key_hash: Option<[u8; 32]>,
    },
    /// Forget where the accounts of a domain are reached, and by which key their server is known.
    Remove {
        /// The domain.
        domain: String,
    },
    /// DNS said where the server of a domain is, and it is there.
    Found {
        /// The domain.
        domain: String,
        /// `HOST:PORT`, as DNS had it last.
        endpoint: String,
        /// [`medipeps_core::proof::server_key_hash`].
        server_key_hash: [u8; 32],
    },
    /// Follow the trust list of a signer. The list of another signer is forgotten.
    Follow {
        /// Who signs it.
        signer: VerifyingKey,
        /// Reach no domain that is not on it.
        only_listed: bool,
    },
    /// Follow no trust list any more.
    Unfollow,
    /// Take this list: an encoded `SignedTrustList`.
    TakeList(Vec<u8>),
    /// Ask the own server for a newer list, now.
    AskForList,
}

/// What happened to what is known of domains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainEvent {
    /// A newer list has been taken.
    ListTaken {
        /// Its number.
        number: u64,
        /// Domains that are on it and were not.
        joined: Vec<String>,
        /// Domains that were on the one before and are not.
        left: Vec<String>,
    },
    /// The own server has a list that was not taken, or none at all. What was known before stays.
    ListRefused {
        /// Why.
        problem: String,
    },
    /// The own server has no newer list.
    ListIsNewest,
}

/// Where a server is to be looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// There.
    Known {
        /// `HOST:PORT`.
        endpoint: String,
        /// Of the right server's key, once that is known.
        server_key_hash: Option<[u8; 32]>,
        /// SHA-256 of the SubjectPublicKeyInfo of each certificate that it may show; none: any.
        spki_pins: Vec<[u8; 32]>,
    },
    /// Where DNS says.
    LookUp {
        /// Endpoint and key hash of the server that was found there before.
        before: Option<(String, [u8; 32])>,
    },
}

/// Why the accounts of a domain are not reached.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DomainProblem {
    /// It was on the trust list and is not any more.
    #[error("{domain} has left the trust list (with list number {number}); nothing is sent there")]
    Left {
        /// The domain.
        domain: String,
        /// Of the first list without it.
        number: u64,
    },
    /// It is not on the trust list, and only domains that are may be reached.
    #[error("{0} is not on the trust list, and `domain trust --only-listed` keeps to that")]
    NotListed(String),
    /// The list has run out.
    #[error("the trust list that has {0} has run out; what is for it waits for a newer list (`domain update`)")]
    ListExpired(String),
}

/// What the store has about one domain.
#[derive(Debug, Default)]
pub struct DomainRecords {
    /// Where its server is, as a person or DNS has said.
    pub server: Option<ServerRecord>,
    /// The trust list that is followed.
    pub list: Option<TrustListRecord>,
    /// What that has of the domain.
    pub listed: Option<ListedDomainRecord>,
    /// That the domain has left it.
    pub departed: Option<DepartedDomainRecord>,
}

impl DomainRecords {
    /// Where to look for the domain's server. `domain` is not the account's own.
    ///
    /// # Errors
    /// [`DomainProblem`]
    pub fn place(self, domain: &str, now: Time) -> Result<Place, DomainProblem> {
        let Self { server, list, listed, departed } = self;
        let domain = || domain.to_owned();
        if let Some(list) = &list {
            if let Some(departed) = departed {
                return Err(DomainProblem::Left { domain: domain(), number: departed.number });
            }
            if list.only_listed && listed.is_none() {
                return Err(DomainProblem::NotListed(domain()));
            }
        }
        let listed = listed.filter(|_| list.is_some()).map(|listed| listed.0);
        let over = list.is_some_and(|list| list.expires <= now.0 && (list.only_listed || listed.is_some()));
        match (server, listed) {
            (Some(server), listed) if !server.by_dns => Ok(Place::Known {
                server_key_hash: server.server_key_hash.or_else(|| listed.map(|listed| listed.server_key_hash())),
                endpoint: server.endpoint,
                spki_pins: Vec::new(),
            }),
            (_, Some(_)) if over => Err(DomainProblem::ListExpired(domain())),
            (_, Some(listed)) => Ok(Place::Known {
                endpoint: listed.endpoint(),
                server_key_hash: Some(listed.server_key_hash()),
                spki_pins: listed.spki_pins,
            }),
            (server, None) => {
                let before = server.and_then(|server| Some((server.endpoint, server.server_key_hash?)));
                Ok(Place::LookUp { before })
            }
        }
    }
}

/// A command, or what DNS has said.
pub(super) fn handle(transaction: &mut Transaction<'_>, input: &DomainInput) -> Result<(), Stop> {
    match input {
        DomainInput::Set { domain, endpoint, server_key_hash } => set(transaction, domain, endpoint, *server_key_hash),
        DomainInput::Remove { domain } => {
            if !transaction.exists(&key::server(domain))? {
                return Err(EngineError::UnknownDomain(domain.clone()).into());
            }
            transaction.delete(&key::server(domain));
            Ok(())
        }
        DomainInput::Found { domain, endpoint, server_key_hash } => {
            found(transaction, domain, endpoint, server_key_hash)
        }
        DomainInput::Follow { signer, only_listed } => follow(transaction, signer, *only_listed),
        DomainInput::Unfollow => {
            if !transaction.exists(&key::trust_list())? {
                return Err(EngineError::NoTrustList.into());
            }
            forget_list(transaction)?;
            transaction.delete(&key::trust_list());
            Ok(())
        }
        DomainInput::TakeList(encoded) => {
            OwnDevice::load(transaction)?;
            let list = transaction.load(&key::trust_list())?.ok_or(EngineError::NoTrustList)?;
            take(transaction, list, encoded).map(|_| ())
        }
        DomainInput::AskForList => {
            let own = OwnDevice::load_working(transaction)?;
            let list = transaction.load(&key::trust_list())?.ok_or(EngineError::NoTrustList)?;
            ask(transaction, &own, &list);
            Ok(())
        }
    }
}

/// Notes where the accounts of a domain are reached. Another place alone does not unpin the server's key: a server may
/// move, its key stays.
pub(super) fn set(
    transaction: &mut Transaction<'_>,
    domain: &str,
    endpoint: &str,
    server_key_hash: Option<[u8; 32]>,
) -> Result<(), Stop> {
    let own = OwnDevice::load(transaction)?;
    if domain == own.address().domain() {
        return Ok(());
    }
    let records = records(transaction, domain)?;
    let known = records.server.as_ref().and_then(|server| server.server_key_hash);
    // A person does not bring back by himself what those have sent away whom he trusts for it.
    if let Err(problem @ (DomainProblem::Left { .. } | DomainProblem::NotListed(_))) =
        records.place(domain, transaction.now)
    {
        return Err(EngineError::Domain(problem).into());
    }
    let server_key_hash = server_key_hash.or(known);
    let record = ServerRecord { endpoint: endpoint.to_owned(), server_key_hash, by_dns: false };
    transaction.store(&key::server(domain), &record);
    Ok(())
}

/// Pins the key of a server whose place a person has said, on the first connection.
pub(super) fn pin(transaction: &mut Transaction<'_>, domain: &str, hash: &[u8; 32]) -> Result<(), Stop> {
    let mut record =
        transaction.load(&key::server(domain))?.ok_or_else(|| EngineError::UnknownServer(domain.to_owned()))?;
    match record.server_key_hash {
        Some(known) if known != *hash => Err(EngineError::ServerKeyChanged(domain.to_owned()).into()),
        Some(_) => Ok(()),
        None => {
            record.server_key_hash = Some(*hash);
            transaction.store(&key::server(domain), &record);
            Ok(())
        }
    }
}

fn found(
    transaction: &mut Transaction<'_>,
    domain: &str,
    endpoint: &str,
    server_key_hash: &[u8; 32],
) -> Result<(), Stop> {
    let record = ServerRecord { endpoint: endpoint.to_owned(), server_key_hash: Some(*server_key_hash), by_dns: true };
    match transaction.load(&key::server(domain))? {
        // What a person has said meanwhile counts.
        Some(known) if !known.by_dns || known == record => Ok(()),
        Some(known) if known.server_key_hash != record.server_key_hash => {
            Err(EngineError::ServerKeyChanged(domain.to_owned()).into())
        }
        _ => {
            transaction.store(&key::server(domain), &record);
            Ok(())
        }
    }
}

/// What stands in the way of reaching a domain, as far as the store tells; whether it is in DNS is for the shell to see.
pub(super) fn check(transaction: &mut Transaction<'_>, own: &OwnDevice, domain: &str) -> Result<(), Stop> {
    if domain == own.address().domain() {
        return Ok(());
    }
    let place = records(transaction, domain)?.place(domain, transaction.now);
    place.map(|_| ()).map_err(|problem| EngineError::Domain(problem).into())
}

/// Whether the server of a domain can be asked without a look in DNS for a domain that nobody here has named: whoever
/// writes to somebody must not make that one's device look up, and visit, whatever he likes.
pub(super) fn is_familiar(transaction: &mut Transaction<'_>, own: &OwnDevice, domain: &str) -> Result<bool, Stop> {
    if domain == own.address().domain() {
        return Ok(true);
    }
    let place = records(transaction, domain)?.place(domain, transaction.now);
    Ok(matches!(place, Ok(Place::Known { .. } | Place::LookUp { before: Some(_) })))
}

/// Refuses a domain that has left the trust list. A list that has run out is no reason to refuse what can wait.
pub(super) fn check_not_left(transaction: &mut Transaction<'_>, domain: &str) -> Result<(), Stop> {
    match transaction.load(&key::departed_domain(domain))? {
        Some(departed) => {
            Err(EngineError::Domain(DomainProblem::Left { domain: domain.to_owned(), number: departed.number }).into())
        }
        None => Ok(()),
    }
}

/// Whether a domain has left the trust list that is followed.
pub(super) fn has_left(transaction: &mut Transaction<'_>, domain: &str) -> Result<bool, Stop> {
    transaction.exists(&key::departed_domain(domain))
}

/// Asks the own server for a newer list from time to time.
pub(super) fn ask_due(transaction: &mut Transaction<'_>, unreachable: &BTreeSet<String>) -> Result<(), Stop> {
    let Some(list) = transaction.load(&key::trust_list())? else { return Ok(()) };
    let own = OwnDevice::load_working(transaction)?;
    let waited = transaction.now.0.checked_sub(list.asked);
    // A time that is still to come is from a clock that was wrong.
    if waited.is_none_or(|waited| waited >= TRUST_LIST_ASK_MS) && !unreachable.contains(own.address().domain()) {
        ask(transaction, &own, &list);
    }
    Ok(())
}

/// Asks the own server for a newer list, if one is followed.
pub(super) fn ask_now(transaction: &mut Transaction<'_>, own: &OwnDevice) -> Result<(), Stop> {
    if let Some(list) = transaction.load(&key::trust_list())? {
        ask(transaction, own, &list);
    }
    Ok(())
}

/// The own server's answer.
pub(super) fn list_fetched(transaction: &mut Transaction<'_>, reply: &FetchTrustListReply) -> Result<(), Stop> {
    let Some(mut list) = transaction.load(&key::trust_list())? else { return Ok(()) };
    list.asked = transaction.now.0;
    if reply.list.is_empty() {
        transaction.event(Event::Domain(match reply.number {
            0 => DomainEvent::ListRefused { problem: "the server follows no trust list".to_owned() },
            _ => DomainEvent::ListIsNewest,
        }));
        transaction.store(&key::trust_list(), &list);
        return Ok(());
    }
    match take(transaction, list.clone(), &reply.list) {
        Err(Stop::Failed(error)) => match *error {
            EngineError::TrustList(error) => refuse(transaction, list, error.to_string()),
            other => Err(other.into()),
        },
        other => other,
    }
}

/// The own server gives no list.
pub(super) fn list_refused(transaction: &mut Transaction<'_>, error: &ErrorReply) -> Result<(), Stop> {
    let Some(mut list) = transaction.load(&key::trust_list())? else { return Ok(()) };
    list.asked = transaction.now.0;
    let problem = format!("the server gives no trust list ({})", error_code_name(error));
    refuse(transaction, list, problem)
}

fn refuse(transaction: &mut Transaction<'_>, mut list: TrustListRecord, problem: String) -> Result<(), Stop> {
    list.problem = Some(problem.clone());
    transaction.store(&key::trust_list(), &list);
    transaction.event(Event::Domain(DomainEvent::ListRefused { problem }));
    Ok(())
}

fn ask(transaction: &mut Transaction<'_>, own: &OwnDevice, list: &TrustListRecord) {
    let known = list.known.map_or(0, |(number, _)| number);
    let to = Correlation::FetchTrustList;
    if !transaction.is_sending(&to) {
        let connection = Connection::Anonymous(own.address().domain().to_owned());
        transaction.send(connection, Request::FetchTrustList { known }, to);
    }
}

fn follow(transaction: &mut Transaction<'_>, signer: &VerifyingKey, only_listed: bool) -> Result<(), Stop> {
    OwnDevice::load(transaction)?;
    let known = transaction.load(&key::trust_list())?;
    let record = match known {
        Some(known) if known.signer == *signer => TrustListRecord { only_listed, ..known },
        _ => {
            forget_list(transaction)?;
            let signer = *signer;
            TrustListRecord { signer, only_listed, known: None, issued: 0, expires: 0, asked: 0, problem: None }
        }
    };
    transaction.store(&key::trust_list(), &record);
    Ok(())
}

fn forget_list(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    let listed = transaction.scan::<ListedDomainRecord>(class::LISTED_DOMAIN);
    let departed = transaction.scan::<DepartedDomainRecord>(class::DEPARTED_DOMAIN);
    listed?.into_iter().for_each(|(key, _)| transaction.delete(&key));
    departed?.into_iter().for_each(|(key, _)| transaction.delete(&key));
    Ok(())
}

/// Puts a list in the place of the one before. Domains that are not on it any more are refused from this moment, and what
/// waits for them has failed.
fn take(transaction: &mut Transaction<'_>, record: TrustListRecord, encoded: &[u8]) -> Result<(), Stop> {
    let now = transaction.now.0;
    let list = TrustList::verify(encoded, &record.signer)?;
    list.check_successor(record.known, now)?;
    let fields = list.fields();
    let stored = transaction.scan::<ListedDomainRecord>(class::LISTED_DOMAIN);
    let departed = transaction.scan::<DepartedDomainRecord>(class::DEPARTED_DOMAIN);
    let (stored, departed) = (stored?, departed?);
    let mut left = BTreeSet::new();
    let mut known = BTreeSet::new();
    for (key, ListedDomainRecord(before)) in &stored {
        match list.domain(&before.domain) {
            Some(same) if same == before => {}
            Some(changed) => transaction.store(key, &ListedDomainRecord(changed.clone())),
            None => {
                transaction.delete(key);
                let record = DepartedDomainRecord { number: fields.number, at: now };
                transaction.store(&key::departed_domain(&before.domain), &record);
                left.insert(before.domain.clone());
            }
        }
        known.insert(before.domain.as_str());
    }
    let joined: Vec<_> = fields.domains.iter().filter(|one| !known.contains(one.domain.as_str())).collect();
    for one in &joined {
        transaction.store(&key::listed_domain(&one.domain), &ListedDomainRecord((*one).clone()));
    }
    let back: Vec<Key<DepartedDomainRecord>> = departed
        .into_iter()
        .filter(|(key, _)| std::str::from_utf8(key.name()).is_ok_and(|name| list.domain(name).is_some()))
        .map(|(key, _)| key)
        .collect();
    back.iter().for_each(|key| transaction.delete(key));
    let is_new = record.known != Some((fields.number, list.digest()));
    let record = TrustListRecord {
        known: Some((fields.number, list.digest())),
        issued: fields.issued,
        expires: fields.expires,
        problem: None,
        ..record
    };
    transaction.store(&key::trust_list(), &record);
    outbox::fail_domains(transaction, &left, DOMAIN_LEFT)?;
    let joined = joined.iter().map(|one| one.domain.clone()).collect();
    transaction.event(Event::Domain(match is_new {
        true => DomainEvent::ListTaken { number: fields.number, joined, left: left.into_iter().collect() },
        false => DomainEvent::ListIsNewest,
    }));
    Ok(())
}

fn records(transaction: &mut Transaction<'_>, domain: &str) -> Result<DomainRecords, Stop> {
    // All are asked for before one that is missing stops the work.
    let server = transaction.load(&key::server(domain));
    let list = transaction.load(&key::trust_list());
    let listed = transaction.load(&key::listed_domain(domain));
    let departed = transaction.load(&key::departed_domain(domain));
    Ok(DomainRecords { server: server?, list: list?, listed: listed?, departed: departed? })
}

impl From<DomainProblem> for EngineError {
    fn from(problem: DomainProblem) -> Self {
        Self::Domain(problem)
    }
}

impl From<TrustListError> for EngineError {
    fn from(error: TrustListError) -> Self {
        Self::TrustList(error)
    }
}
