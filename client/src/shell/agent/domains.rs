//! Reaches the servers of other domains: where a person, the trust list or DNS says, and nowhere where the trust list says
//! no.

use std::collections::VecDeque;

use super::{AccountAgent, AgentError, ConnectionOf, NetworkError, Platform, Show};
use crate::account_store::{DomainSummary, TrustListSummary};
use crate::engine::{DomainEvent, DomainInput, Event, Input, Place};
use crate::shell::address::ServerAddress;
use crate::shell::connection::{ConnectError, ServerExpectation, ServerTrust};

/// How the server of a domain was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundServer {
    /// Where.
    pub server: ServerAddress,
    /// [`medipeps_core::proof::server_key_hash`].
    pub server_key_hash: [u8; 32],
}

impl<P: Platform> AccountAgent<P> {
    /// What is known of other domains, by domain.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn domains(&mut self) -> Result<Vec<DomainSummary>, AgentError> {
        Ok(self.store.domains(P::now(), &mut self.rng)?)
    }

    /// The trust list that is followed, if one is.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn trust_list(&mut self) -> Result<Option<TrustListSummary>, AgentError> {
        Ok(self.store.trust_list(P::now(), &mut self.rng)?)
    }

    /// Connects to the server of another domain, as for a mail, and tells which it is. Nothing is sent but a hello.
    ///
    /// # Errors
    /// [`AgentError::Handle`], [`AgentError::Network`]
    pub async fn find_server(&mut self, domain: &str, show: Show<'_>) -> Result<FoundServer, AgentError> {
        let mut inputs = VecDeque::new();
        let (connection, server) = self.connect_abroad(domain, &mut inputs).await?;
        let found = FoundServer { server, server_key_hash: connection.server_key_hash() };
        connection.close().await;
        for input in inputs {
            self.round(input, show).await?;
        }
        Ok(found)
    }

    /// A connection to the server of another domain, which proves nothing.
    pub(super) async fn connect_abroad(
        &mut self,
        domain: &str,
        inputs: &mut VecDeque<Input>,
    ) -> Result<(ConnectionOf<P>, ServerAddress), AgentError> {
        let place = self.store.place(domain, P::now(), &mut self.rng)?.map_err(NetworkError::from)?;
        match place {
            Place::Known { endpoint, server_key_hash, spki_pins } => {
                let address: ServerAddress = endpoint.parse().map_err(NetworkError::from)?;
                let expectation =
                    ServerExpectation { address: &address, trust: server_key_hash.into(), domain: Some(domain) };
                let connection = ConnectionOf::<P>::anonymous(&expectation).await.map_err(NetworkError::from)?;
                if !spki_pins.is_empty()
                    && !connection.certificate_key_hash().is_some_and(|key| spki_pins.contains(&key))
                {
                    return Err(NetworkError::from(ConnectError::CertificateKey(domain.to_owned())).into());
                }
                if server_key_hash.is_none() {
                    let server_key_hash = connection.server_key_hash();
                    inputs.push_back(Input::PinServer { domain: domain.to_owned(), server_key_hash });
                }
                Ok((connection, address))
            }
            Place::LookUp { before } => self.connect_by_dns(domain, before, inputs).await,
        }
    }

    async fn connect_by_dns(
        &mut self,
        domain: &str,
        before: Option<(String, [u8; 32])>,
        inputs: &mut VecDeque<Input>,
    ) -> Result<(ConnectionOf<P>, ServerAddress), AgentError> {
        let trust = before.as_ref().map_or(ServerTrust::DomainCertificate, |(_, pin)| ServerTrust::Pinned(*pin));
        let servers = match (self.platform.servers(domain, &mut self.rng).await, &before) {
            (Ok(servers), _) => servers,
            // DNS is away; the server may be where it was.
            (Err(_), Some((endpoint, _))) => vec![endpoint.parse().map_err(NetworkError::from)?],
            (Err(error), None) => return Err(NetworkError::from(error).into()),
        };
        let mut failure: Option<ConnectError> = None;
        for address in servers {
            let expectation = ServerExpectation { address: &address, trust, domain: Some(domain) };
            match ConnectionOf::<P>::anonymous(&expectation).await {
                Ok(connection) => {
                    let (endpoint, server_key_hash) = (address.to_string(), connection.server_key_hash());
                    if before != Some((endpoint.clone(), server_key_hash)) {
                        let domain = domain.to_owned();
                        inputs.push_back(Input::Domain(DomainInput::Found { domain, endpoint, server_key_hash }));
                    }
                    return Ok((connection, address));
                }
                // What a wrong server is says more than that another is away.
                Err(error) => match &failure {
                    Some(known) if !matches!(known, ConnectError::Unreachable(_)) => {}
                    _ => failure = Some(error),
                },
            }
        }
        let failure = failure.unwrap_or_else(|| ConnectError::Unreachable(format!("no server of {domain}")));
        Err(NetworkError::from(failure).into())
    }

    /// Where the blobs of another domain are: the place that is known, or where DNS had its server last.
    pub(super) fn blob_place(&mut self, domain: &str) -> Result<(ServerAddress, ServerTrust), AgentError> {
        let place = self.store.place(domain, P::now(), &mut self.rng)?.map_err(NetworkError::from)?;
        let (endpoint, trust) = match place {
            Place::Known { endpoint, server_key_hash, .. } => (endpoint, server_key_hash.into()),
            Place::LookUp { before: Some((endpoint, pin)) } => (endpoint, ServerTrust::Pinned(pin)),
            Place::LookUp { before: None } => {
                return Err(crate::engine::EngineError::UnknownServer(domain.to_owned()).into());
            }
        };
        Ok((endpoint.parse().map_err(NetworkError::from)?, trust))
    }

    /// Nothing more goes over a connection to a domain that has left the trust list, and none that is known by what an older
    /// list said of it is used on.
    pub(super) fn follow_domains(&mut self, event: &DomainEvent) {
        if let DomainEvent::ListTaken { .. } = event {
            // Which of the others have another key or another place now is found out by connecting anew.
            let own = self.credentials().ok().flatten().map(|credentials| credentials.address.domain().to_owned());
            let is_own = |domain: &String| own.as_ref() == Some(domain);
            self.anonymous.retain(|domain, _| is_own(domain));
            self.group_logs.retain(|domain, _| is_own(domain));
            self.unreachable.retain(|domain, _| is_own(domain));
            self.group_watch.stop();
        }
    }
}

/// Whether an event is about domains, for those who show them.
pub(super) const fn domain_event(event: &Event) -> Option<&DomainEvent> {
    match event {
        Event::Domain(event) => Some(event),
        _ => None,
    }
}
