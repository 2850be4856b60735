//! DNS: the SRV records (RFC 2782) of `_medipeps._udp.DOMAIN` say where a domain's server is. `spec/federation.md`.
//!
//! Nobody vouches for what DNS says: a server that is found so must have a certificate of the Web's PKI for the *domain*
//! (RFC 6125 section 6.2.1), not for the host that DNS names, until its key is pinned.

use std::env;
use std::net::SocketAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, rdata::SRV};
use rand_core::Rng;
use tokio::time::timeout;

use super::address::ServerAddress;
use super::lookup_error::LookupError;
use crate::limits::{CONNECT_ADDRESSES_MAX, LOOKUP_WAIT};

/// The variable that names another resolver than the system's: `ADDRESS:PORT`, or `off`.
pub const RESOLVER_VARIABLE: &str = "MEDIPEPS_RESOLVER";

/// Asks DNS.
#[derive(Clone)]
pub(super) enum DomainLookup {
    /// By this resolver.
    By(Box<TokioResolver>),
    /// Not at all.
    Off,
    /// The resolver is not described as it should be.
    Unusable(String),
}

impl std::fmt::Debug for DomainLookup {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::By(_) => "By(..)",
            Self::Off => "Off",
            Self::Unusable(_) => "Unusable",
        })
    }
}

impl DomainLookup {
    /// The system's resolver, unless [`RESOLVER_VARIABLE`] says another.
    pub(super) fn from_environment() -> Self {
        let built = match env::var(RESOLVER_VARIABLE) {
            Ok(off) if off == "off" => return Self::Off,
            Ok(address) => match address.parse::<SocketAddr>() {
                Ok(address) => TokioResolver::builder_with_config(config(address), TokioRuntimeProvider::default()),
                Err(_) => return Self::Unusable(format!("{RESOLVER_VARIABLE} is neither ADDRESS:PORT nor `off`")),
            },
            Err(_) => match TokioResolver::builder_tokio() {
                Ok(builder) => builder,
                Err(error) => return Self::Unusable(format!("the system's resolver cannot be used: {error}")),
            },
        };
        built.build().map_or_else(|error| Self::Unusable(error.to_string()), |resolver| Self::By(Box::new(resolver)))
    }

    /// Where the server of a domain is, the likeliest first.
    pub(super) async fn servers(&self, domain: &str, rng: &mut impl Rng) -> Result<Vec<ServerAddress>, LookupError> {
        let failed = |problem: String| LookupError::Failed { domain: domain.to_owned(), problem };
        let resolver = match self {
            Self::By(resolver) => resolver,
            Self::Off => return Err(LookupError::Off(domain.to_owned())),
            Self::Unusable(problem) => return Err(failed(problem.clone())),
        };
        let asked = timeout(LOOKUP_WAIT, resolver.srv_lookup(format!("_medipeps._udp.{domain}."))).await;
        let answer = match asked.map_err(|_| failed("no answer from DNS".to_owned()))? {
            Ok(answer) => answer,
            Err(error) if error.is_no_records_found() => return Err(LookupError::NotThere(domain.to_owned())),
            Err(error) => return Err(failed(error.to_string())),
        };
        let records = answer.answers().iter().filter_map(|record| match &record.data {
            RData::SRV(record) => Some(record.clone()),
            _ => None,
        });
        let servers = ordered(records.collect(), rng);
        if servers.is_empty() { Err(LookupError::NotThere(domain.to_owned())) } else { Ok(servers) }
    }
}

fn config(resolver: SocketAddr) -> ResolverConfig {
    let mut server = NameServerConfig::udp_and_tcp(resolver.ip());
    for connection in &mut server.connections {
        connection.port = resolver.port();
    }
    ResolverConfig::from_name_servers(vec![server])
}

/// By priority; among the same priority at random, by weight (RFC 2782). A target of `.` says that there is none.
fn ordered(mut records: Vec<SRV>, rng: &mut impl Rng) -> Vec<ServerAddress> {
    let mut servers = Vec::new();
    // Those of weight 0 stand first, so that they have a small chance.
    records.sort_by_key(|record| (record.priority, record.weight));
    while let Some(first) = records.first() {
        let same = records.iter().take_while(|record| record.priority == first.priority);
        let weights: Vec<u64> = same.map(|record| u64::from(record.weight)).collect();
        let drawn = rng.next_u64() % (weights.iter().sum::<u64>() + 1);
        let mut sum = 0;
        let chosen = weights.iter().position(|weight| {
            sum += weight;
            sum >= drawn
        });
        let record = records.remove(chosen.unwrap_or(0));
        let host = record.target.to_ascii().to_ascii_lowercase();
        let host = host.trim_end_matches('.');
        if let (false, Ok(server)) = (host.is_empty(), format!("{host}:{}", record.port).parse()) {
            servers.push(server);
        }
    }
    servers.truncate(CONNECT_ADDRESSES_MAX);
    servers
}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20::ChaCha20Rng;
    use hickory_resolver::proto::rr::Name;
    use rand_core::SeedableRng;

    fn record(priority: u16, weight: u16, target: &str) -> SRV {
        SRV::new(priority, weight, 4433, Name::from_ascii(target).unwrap())
    }

    #[test]
    fn servers_come_by_priority_and_then_by_weight() {
        let mut first = std::collections::BTreeMap::new();
        for seed in 0..100 {
            let records =
                vec![record(20, 0, "last.example."), record(10, 1, "light.example."), record(10, 99, "heavy.example.")];
            let servers = ordered(records, &mut ChaCha20Rng::from_seed([seed; 32]));
            assert_eq!((servers.len(), servers[2].host.as_str()), (3, "last.example"));
            *first.entry(servers[0].host.clone()).or_insert(0) += 1;
        }
        assert!(first["heavy.example"] > 80, "{first:?}");
    }

    #[test]
    fn a_target_that_is_the_root_is_none() {
        assert_eq!(ordered(vec![record(0, 0, ".")], &mut ChaCha20Rng::from_seed([1; 32])), []);
    }
}
