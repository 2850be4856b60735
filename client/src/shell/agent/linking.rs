//! Linking as a shell sees it: a connection to a server that may not be known yet, and one step after the other.

use medipeps_core::Address;
use medipeps_core::wire::client_records::LinkRecord;

use super::{AccountAgent, AgentError, ConnectionOf, NetworkError, Platform, Show};
use crate::engine::{BecomeDevice, DeviceSummary, EngineError, Event, Input, LinkProblem, LinkProgress};
use crate::shell::address::ServerAddress;
use crate::shell::connection::{ServerExpectation, ServerTrust};

impl<P: Platform> AccountAgent<P> {
    /// Makes this home a device of an account that has others, or goes on with that. The server is taken as it answers; the
    /// grant says whether it was the right one, and nothing secret is told before.
    ///
    /// # Errors
    /// [`AgentError::Handle`]; [`AgentError::Network`] if the server cannot be reached or keeps another domain.
    pub async fn become_device(
        &mut self,
        address: &Address,
        server: &ServerAddress,
        name: &str,
        anew: bool,
        show: Show<'_>,
    ) -> Result<Option<NetworkError>, AgentError> {
        let trust = match (anew, self.store.link(P::now(), &mut self.rng)?) {
            (false, Some(LinkRecord::NewDevice(begun))) if begun.address == *address => {
                ServerTrust::Pinned(begun.server_key_hash)
            }
            _ => ServerTrust::Unknown,
        };
        let expectation = ServerExpectation { address: server, trust, domain: Some(address.domain()) };
        let connection = ConnectionOf::<P>::anonymous(&expectation).await.map_err(NetworkError::from)?;
        let server_key_hash = connection.server_key_hash();
        self.linking = Some(connection);
        let command = BecomeDevice {
            address: address.clone(),
            server: server.to_string(),
            server_key_hash,
            name: name.to_owned(),
            anew,
        };
        self.run(Input::BecomeDevice(command), show).await
    }

    /// [`Self::become_device`] for whoever waits for what comes of it.
    ///
    /// # Errors
    /// The same, and [`AgentError::Linking`] where it is over.
    pub async fn begin_linking(
        &mut self,
        address: &Address,
        server: &ServerAddress,
        name: &str,
        anew: bool,
    ) -> Result<LinkProgress, AgentError> {
        let mut told = Told::default();
        let failure = self.become_device(address, server, name, anew, &mut |event| told.hear(event)).await?;
        let progress = self.linked_so_far(told)?;
        progress.ok_or_else(|| failure.unwrap_or(NetworkError::NoAnswer).into())
    }

    /// Takes one step of a linking, and tells how far it has come then; `None` if none was begun.
    ///
    /// # Errors
    /// [`AgentError::Linking`] where it is over; [`AgentError::Network`] where it is to be tried again; [`AgentError::Handle`].
    pub async fn link_step(&mut self, step: Input) -> Result<Option<LinkProgress>, AgentError> {
        let mut told = Told::default();
        let failure = self.run(step, &mut |event| told.hear(event)).await?;
        let progress = self.linked_so_far(told)?;
        failure.map_or(Ok(progress), |failure| Err(failure.into()))
    }

    fn linked_so_far(&mut self, told: Told) -> Result<Option<LinkProgress>, AgentError> {
        if let Some(problem) = told.problem {
            return Err(AgentError::Linking(problem));
        }
        Ok(self.link_progress()?.or(told.finished.then_some(LinkProgress::Linked)))
    }

    /// Takes another device off the account, on a primary one.
    ///
    /// # Errors
    /// [`AgentError::Refused`] where the server does not take the new list of devices; [`AgentError::Network`]: it is signed and
    /// kept, and goes with the next sync; [`AgentError::Handle`].
    pub async fn revoke_device(&mut self, id: u32) -> Result<(), AgentError> {
        let (mut changed, mut refusal) = (false, None);
        let mut see = |event: &Event| match event {
            Event::OwnStatementChanged { .. } => changed = true,
            Event::OwnStatementRefused { code } => refusal = Some(code.clone()),
            _ => {}
        };
        let failure = self.run(Input::RevokeDevice(id), &mut see).await?;
        // Another agent on the same store may have been quicker with the answer.
        let is_gone = changed || self.devices()?.iter().all(|device| device.device_id != id);
        match (is_gone, refusal, failure) {
            (true, _, _) => Ok(()),
            (false, Some(word), _) => Err(AgentError::Refused(word)),
            (false, None, Some(failure)) => Err(failure.into()),
            (false, None, None) => Err(NetworkError::NoAnswer.into()),
        }
    }

    /// How far the linking has come; `None` if there is none.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn link_progress(&mut self) -> Result<Option<LinkProgress>, AgentError> {
        let record = self.store.link(P::now(), &mut self.rng)?;
        Ok(record.map(|record| LinkProgress::of(&record)).transpose()?)
    }

    /// The devices of the account.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn devices(&mut self) -> Result<Vec<DeviceSummary>, AgentError> {
        Ok(self.store.devices(P::now(), &mut self.rng)?)
    }

    /// The connection over which a linking goes, and whether it was made just now.
    pub(super) async fn linking_connection(&mut self) -> Result<(ConnectionOf<P>, bool), AgentError> {
        if let Some(connection) = &self.linking {
            return Ok((connection.clone(), false));
        }
        let (server, hash, domain) = match self.store.link(P::now(), &mut self.rng)? {
            Some(LinkRecord::NewDevice(record)) => {
                (record.server, record.server_key_hash, record.address.domain().to_owned())
            }
            _ => {
                let own = self.credentials()?.ok_or(EngineError::NoAccount)?;
                (own.server, own.server_key_hash, own.address.domain().to_owned())
            }
        };
        let address: ServerAddress = server.parse().map_err(NetworkError::from)?;
        let expectation =
            ServerExpectation { address: &address, trust: ServerTrust::Pinned(hash), domain: Some(&domain) };
        let connection = ConnectionOf::<P>::anonymous(&expectation).await.map_err(NetworkError::from)?;
        self.linking = Some(connection.clone());
        Ok((connection, true))
    }
}

/// What the engine says of a linking.
#[derive(Debug, Default)]
struct Told {
    problem: Option<LinkProblem>,
    finished: bool,
}

impl Told {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::LinkFailed(problem) => self.problem = Some(problem.clone()),
            Event::LinkFinished | Event::Linked { .. } => self.finished = true,
            _ => {}
        }
    }
}
