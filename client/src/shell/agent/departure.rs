//! What a person asks of the server about the account itself: what it has of it, what it may, by what it is woken, and that it
//! end.

use medipeps_core::wire::client_records::Revocation;
use medipeps_core::wire::transport::{
    FetchOwnData, FetchOwnDataReply, FetchPushServicesReply, FetchTenantReply, OwnEnvelopeData, Request, Response,
};

use super::{Agent, AgentError, NetworkError, Show};
use crate::engine::{Correlation, EngineError, Event, Input};
use crate::shell::connection::RequestError;

/// Everything that the server has of the account.
#[derive(Debug)]
pub struct OwnData {
    /// Of the account; without envelopes.
    pub account: FetchOwnDataReply,
    /// Of each device, what waits in its queue.
    pub queues: Vec<(u32, Vec<OwnEnvelopeData>)>,
}

impl Agent {
    /// Deletes the account at the server. What can be read on this device stays, and no key that could be used. Whoever did
    /// not get the answer calls again.
    ///
    /// # Errors
    /// [`AgentError::Refused`] with the server's code; [`AgentError::Network`]; [`EngineError::NotPrimary`] on a device that
    /// has no account key. Nothing has changed then.
    pub async fn delete_account(&mut self, show: Show<'_>) -> Result<(), AgentError> {
        match self.become_proved(show).await {
            // Deleted by this command before it was interrupted: the server has no account of which it could tell.
            Err(AgentError::AccountUnknown) => {
                let answered = Input::Reply { to: Correlation::DeleteAccount, result: Ok(Response::Done) };
                self.run(answered, show).await?;
                return Ok(());
            }
            proved => proved?,
        }
        let (mut gone, mut refused) = (false, None);
        let mut see = |event: &Event| {
            match event {
                Event::Revoked { reason: Revocation::AccountDeleted } => gone = true,
                Event::AccountDeletionRefused { code } => refused = Some(code.clone()),
                _ => {}
            }
            show(event);
        };
        let failure = self.run(Input::DeleteAccount, &mut see).await?;
        match (gone, refused, failure) {
            (true, _, _) => Ok(()),
            (false, Some(code), _) => Err(AgentError::Refused(code)),
            (false, None, Some(failure)) => Err(failure.into()),
            (false, None, None) => Err(EngineError::NoProgress.into()),
        }
    }

    /// The licence of the tenant that the account belongs to, and the services opted in.
    ///
    /// # Errors
    /// [`AgentError::Network`]
    pub async fn tenant(&mut self, show: Show<'_>) -> Result<FetchTenantReply, AgentError> {
        match self.ask_proved(&Request::FetchTenant, show).await? {
            Response::FetchTenant(reply) => Ok(reply),
            _ => Err(NetworkError::from(RequestError::Unexpected).into()),
        }
    }

    /// Which push services the own server calls.
    ///
    /// # Errors
    /// [`AgentError::Network`]
    pub async fn push_services(&mut self, show: Show<'_>) -> Result<FetchPushServicesReply, AgentError> {
        match self.ask_proved(&Request::FetchPushServices, show).await? {
            Response::FetchPushServices(reply) => Ok(reply),
            _ => Err(NetworkError::from(RequestError::Unexpected).into()),
        }
    }

    /// Everything that the server has of the account.
    ///
    /// # Errors
    /// [`AgentError::Network`]
    pub async fn own_data(&mut self, show: Show<'_>) -> Result<OwnData, AgentError> {
        let account = self.own_data_page(0, 0, show).await?;
        let mut queues = Vec::new();
        for device in &account.devices {
            let mut envelopes: Vec<OwnEnvelopeData> = Vec::new();
            loop {
                let after = envelopes.last().map_or(0, |last| last.sequence);
                let page = self.own_data_page(device.device_id, after, show).await?.envelopes;
                // A server that begins anew would never come to an end.
                if page.first().is_none_or(|first| first.sequence <= after) {
                    break;
                }
                envelopes.extend(page);
            }
            queues.push((device.device_id, envelopes));
        }
        Ok(OwnData { account, queues })
    }

    async fn own_data_page(
        &mut self,
        device_id: u32,
        after: u64,
        show: Show<'_>,
    ) -> Result<FetchOwnDataReply, AgentError> {
        match self.ask_proved(&Request::FetchOwnData(FetchOwnData { device_id, after }), show).await? {
            Response::FetchOwnData(reply) => Ok(reply),
            _ => Err(NetworkError::from(RequestError::Unexpected).into()),
        }
    }

    async fn ask_proved(&mut self, request: &Request, show: Show<'_>) -> Result<Response, AgentError> {
        self.become_proved(show).await?;
        let connection = self.proved.clone().ok_or(NetworkError::Stopping)?;
        Ok(connection.request(request).await.map_err(NetworkError::from)?)
    }
}
