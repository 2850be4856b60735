//! Other domains, as a person or a program reads of them.

use std::collections::BTreeMap;

use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::wire::client_records::{DepartedDomainRecord, ListedDomainRecord, ServerRecord, TrustListRecord};
use rand_core::CryptoRng;

use super::{AccountStore, HandleError, decode, load};
use crate::engine::{DomainProblem, DomainRecords, Place, Time, class, key};
use crate::store::Store;

/// What is known of another domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainSummary {
    /// The domain.
    pub domain: String,
    /// Who says where its server is.
    pub source: DomainSource,
    /// `HOST:PORT`; of a domain that has left, `None`.
    pub endpoint: Option<String>,
    /// By which its server is known, if it is.
    pub server_key_hash: Option<[u8; 32]>,
}

/// Who says where a domain's server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainSource {
    /// A person.
    Person,
    /// The trust list.
    TrustList,
    /// DNS.
    Dns,
    /// Nobody any more: it has left the trust list.
    Left {
        /// Number of the first list without it.
        number: u64,
        /// When that list was taken, in milliseconds since 1970.
        at: u64,
    },
}

/// The trust list that is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustListSummary {
    /// Who signs it.
    pub signer: VerifyingKey,
    /// Other domains are not reached at all.
    pub only_listed: bool,
    /// Of the list that was taken last; `None`: none yet.
    pub number: Option<u64>,
    /// When it was issued, in milliseconds since 1970.
    pub issued: u64,
    /// When it runs out, in milliseconds since 1970.
    pub expires: u64,
    /// Whether it has.
    pub is_over: bool,
    /// How many domains it has.
    pub domains: usize,
    /// When the own server was last asked for a newer one, in milliseconds since 1970; 0: never.
    pub asked: u64,
    /// Why the last list that came was not taken.
    pub problem: Option<String>,
}

impl<S: Store> AccountStore<S> {
    /// Where to look for the server of another domain, or why not.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn place(
        &mut self,
        domain: &str,
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<Result<Place, DomainProblem>, HandleError> {
        let transaction = self.store.begin(now.0, rng)?;
        let records = DomainRecords {
            server: load(&transaction, &key::server(domain))?,
            list: load(&transaction, &key::trust_list())?,
            listed: load(&transaction, &key::listed_domain(domain))?,
            departed: load(&transaction, &key::departed_domain(domain))?,
        };
        Ok(records.place(domain, now))
    }

    /// What is known of other domains, by domain.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn domains(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Vec<DomainSummary>, HandleError> {
        let mut transaction = self.store.begin(now.0, rng)?;
        let mut domains = BTreeMap::new();
        for (name, value) in transaction.scan(class::SERVER)?.iter() {
            let Ok(domain) = String::from_utf8(name.to_vec()) else { continue };
            let server: ServerRecord = decode(class::SERVER, value)?;
            let source = if server.by_dns { DomainSource::Dns } else { DomainSource::Person };
            let (endpoint, server_key_hash) = (Some(server.endpoint), server.server_key_hash);
            domains.insert(domain.clone(), DomainSummary { domain, source, endpoint, server_key_hash });
        }
        for (_, value) in transaction.scan(class::LISTED_DOMAIN)?.iter() {
            let ListedDomainRecord(listed) = decode(class::LISTED_DOMAIN, value)?;
            let summary = DomainSummary {
                domain: listed.domain.clone(),
                source: DomainSource::TrustList,
                endpoint: Some(listed.endpoint()),
                server_key_hash: Some(listed.server_key_hash()),
            };
            // What a person has said counts more, what DNS has said less.
            let known = domains.get(&listed.domain);
            if known.is_none_or(|known: &DomainSummary| known.source != DomainSource::Person) {
                domains.insert(listed.domain, summary);
            }
        }
        for (name, value) in transaction.scan(class::DEPARTED_DOMAIN)?.iter() {
            let Ok(domain) = String::from_utf8(name.to_vec()) else { continue };
            let DepartedDomainRecord { number, at } = decode(class::DEPARTED_DOMAIN, value)?;
            let source = DomainSource::Left { number, at };
            domains.insert(domain.clone(), DomainSummary { domain, source, endpoint: None, server_key_hash: None });
        }
        Ok(domains.into_values().collect())
    }

    /// The trust list that is followed, if one is.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn trust_list(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Option<TrustListSummary>, HandleError> {
        let mut transaction = self.store.begin(now.0, rng)?;
        let Some(list) = load::<_, TrustListRecord>(&transaction, &key::trust_list())? else { return Ok(None) };
        Ok(Some(TrustListSummary {
            domains: transaction.scan(class::LISTED_DOMAIN)?.len(),
            number: list.known.map(|(number, _)| number),
            is_over: list.known.is_some() && list.expires <= now.0,
            signer: list.signer,
            only_listed: list.only_listed,
            issued: list.issued,
            expires: list.expires,
            asked: list.asked,
            problem: list.problem,
        }))
    }
}
