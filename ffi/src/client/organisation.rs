//! Organisations: what members do. What administrators do is in `administration.rs`.

use std::time::SystemTime;

use medipeps_client::engine::{Event, Input, OrganisationEvent, OrganisationInput, OrganisationSummary};
use medipeps_client::shell::agent::{Agent, now};
use medipeps_core::organisation::OrganisationId;

use super::Client;
use crate::MedipepsError;
use crate::error::Code;
use crate::identifier::{AccountAddress, addresses, organisation_id};
use crate::record::organisation::{OnCall, Organisation, OrganisationMember};
use crate::record::{hex, milliseconds};
use crate::{DraftIdentifier, OrganisationIdentifier};

/// What has come in a file that somebody has handed over.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct OrganisationImport {
    /// The organisation that it is about, if something of it was new here.
    pub organisation: Option<OrganisationIdentifier>,
    /// A draft that is to be signed or published.
    pub draft: Option<DraftIdentifier>,
}

#[uniffi::export]
impl Client {
    /// All organisations that this device knows, those that nobody has joined last.
    ///
    /// # Errors
    /// `NoAccount`
    pub async fn organisations(&self) -> Result<Vec<Organisation>, MedipepsError> {
        self.worker.call(async |agent| Ok(agent.organisations()?.iter().map(Organisation::from).collect())).await
    }

    /// One organisation.
    ///
    /// # Errors
    /// `NotFound`
    pub async fn organisation(&self, organisation: String) -> Result<Organisation, MedipepsError> {
        let id = organisation_id(&organisation)?;
        self.worker.call(async move |agent| Ok(Organisation::from(&find(agent, &id)?))).await
    }

    /// Joins an organisation that somebody has told of. `digits` are those that an administrator has given to the person face to
    /// face or over the phone, typed or scanned.
    ///
    /// # Errors
    /// `NotFound`; `Rejected` with `digits` where they are others: somebody may be posing as the organisation.
    pub async fn join_organisation(&self, organisation: String, digits: String) -> Result<Organisation, MedipepsError> {
        let id = organisation_id(&organisation)?;
        self.worker
            .call(async move |agent| {
                find(agent, &id)?;
                if !id.has_digits(&digits) {
                    let detail = "the organisation has another id; somebody may be posing as it";
                    return Err(MedipepsError::new(Code::Rejected, "digits", detail));
                }
                carry_out(agent, vec![OrganisationInput::Join(id)]).await?;
                Ok(Organisation::from(&find(agent, &id)?))
            })
            .await
    }

    /// Forgets an organisation, and this account's membership with it.
    ///
    /// # Errors
    /// `NotFound`
    pub async fn leave_organisation(&self, organisation: String) -> Result<(), MedipepsError> {
        let id = organisation_id(&organisation)?;
        self.worker
            .call(async move |agent| {
                carry_out(agent, vec![OrganisationInput::Leave(id)]).await?;
                Ok(())
            })
            .await
    }

    /// The other members of an organisation, as far as they are known here.
    ///
    /// # Errors
    /// `NotFound`
    pub async fn organisation_members(&self, organisation: String) -> Result<Vec<OrganisationMember>, MedipepsError> {
        let id = organisation_id(&organisation)?;
        self.worker
            .call(async move |agent| {
                let organisation = find(agent, &id)?;
                Ok(agent.organisation_members(&organisation)?.iter().map(OrganisationMember::from).collect())
            })
            .await
    }

    /// Shows this account's certificate to somebody, and asks for his where `ask` is set. Gives back those to whom it was not sent:
    /// they belong to another domain and are no contacts.
    ///
    /// # Errors
    /// `Argument`, `NotFound`; `Rejected` where this account is not certified.
    pub async fn present_certificate(
        &self,
        organisation: String,
        to: Vec<String>,
        ask: bool,
    ) -> Result<Vec<AccountAddress>, MedipepsError> {
        let (organisation, to) = (organisation_id(&organisation)?, addresses(&to)?);
        self.worker
            .call(async move |agent| {
                let present = |to| OrganisationInput::Present { organisation, to, ask };
                Ok(carry_out(agent, to.into_iter().map(present).collect()).await?.not_told)
            })
            .await
    }

    /// Who is on call, for one function or for all, now or at another time.
    ///
    /// # Errors
    /// `NotFound`; `Rejected` where it is not joined, or forked.
    pub async fn on_call(
        &self,
        organisation: String,
        function: Option<String>,
        at: Option<SystemTime>,
    ) -> Result<Vec<OnCall>, MedipepsError> {
        let id = organisation_id(&organisation)?;
        let at = at.map_or_else(|| now().0, milliseconds);
        self.worker
            .call(async move |agent| {
                let on_call = find(agent, &id)?.on_call(function.as_deref(), at)?;
                Ok(on_call.iter().map(OnCall::from).collect())
            })
            .await
    }

    /// Asks a colleague for newer statements, now. They come with [`Client::sync`] or while receiving.
    ///
    /// # Errors
    /// `NotFound`, `Rejected`.
    pub async fn refresh_organisation(&self, organisation: String) -> Result<(), MedipepsError> {
        let id = organisation_id(&organisation)?;
        self.worker
            .call(async move |agent| {
                carry_out(agent, vec![OrganisationInput::Refresh(id)]).await?;
                Ok(())
            })
            .await
    }

    /// A person has asked the administrators by another way which of two statements of one version is to be trusted.
    ///
    /// # Errors
    /// `NotFound`, `Rejected`.
    pub async fn resolve_fork(&self, organisation: String, take_other: bool) -> Result<Organisation, MedipepsError> {
        let organisation = organisation_id(&organisation)?;
        self.worker
            .call(async move |agent| {
                carry_out(agent, vec![OrganisationInput::Resolve { organisation, take_other }]).await?;
                Ok(Organisation::from(&find(agent, &organisation)?))
            })
            .await
    }

    /// An organisation's statements and this account's certificate, for a file that is handed on.
    ///
    /// # Errors
    /// `NotFound`
    pub async fn export_organisation(&self, organisation: String) -> Result<Vec<u8>, MedipepsError> {
        let id = organisation_id(&organisation)?;
        self.worker
            .call(async move |agent| {
                let organisation = find(agent, &id)?;
                let statements = agent.organisation_statements(&organisation)?;
                organisation.message(statements).encode().map_err(problem)
            })
            .await
    }

    /// Takes in a file of [`Client::export_organisation`] or [`Client::export_draft`].
    ///
    /// # Errors
    /// `Argument` where it is no such file; `Rejected` with a word out of `spec/organisation.md` where what it says is refused.
    pub async fn import_organisation(&self, data: Vec<u8>) -> Result<OrganisationImport, MedipepsError> {
        self.worker
            .call(async move |agent| {
                let heard = carry_out(agent, vec![OrganisationInput::Take(data)]).await?;
                match heard.refused {
                    Some(word) => {
                        let detail = format!("what is in the file is refused: {word}");
                        Err(MedipepsError::new(Code::Rejected, &word, detail))
                    }
                    None => Ok(OrganisationImport {
                        organisation: heard.organisation.map(|id| hex(&id.0)),
                        draft: heard.drafts.last().map(|draft| hex(draft)),
                    }),
                }
            })
            .await
    }
}

/// What a call hears of what it does.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) organisation: Option<OrganisationId>,
    /// Drafts that were made, taken in or signed, in order.
    pub(super) drafts: Vec<[u8; 32]>,
    /// To whom something was not sent.
    pub(super) not_told: Vec<AccountAddress>,
    pub(super) refused: Option<String>,
}

impl Heard {
    pub(super) fn hear(&mut self, event: &Event) {
        let Event::Organisation { organisation, event } = event else { return };
        self.organisation = Some(*organisation);
        match event {
            OrganisationEvent::Drafted { draft, .. } | OrganisationEvent::Signed { draft, .. } => {
                self.drafts.retain(|known| known != draft);
                self.drafts.push(*draft);
            }
            OrganisationEvent::NotReachable { address } => self.not_told.push(address.to_string()),
            OrganisationEvent::Refused { code, .. } => self.refused = Some(code.clone()),
            _ => {}
        }
    }
}

/// Handles inputs, and sends what they lead to.
pub(super) async fn carry_out(agent: &mut Agent, inputs: Vec<OrganisationInput>) -> Result<Heard, MedipepsError> {
    let mut heard = Heard::default();
    for input in inputs {
        agent.run(Input::Organisation(input), &mut |event| heard.hear(event)).await?;
    }
    // What does not leave now goes on with the next round. What others have told meanwhile is no answer to this.
    let Heard { organisation, drafts, mut not_told, refused } = heard;
    agent
        .send_due(&mut |event| {
            if let Event::Organisation { event: OrganisationEvent::NotReachable { address }, .. } = event {
                not_told.push(address.to_string());
            }
        })
        .await?;
    Ok(Heard { organisation, drafts, not_told, refused })
}

pub(super) fn find(agent: &mut Agent, id: &OrganisationId) -> Result<OrganisationSummary, MedipepsError> {
    let found = agent.organisations()?.into_iter().find(|one| one.record.id == *id);
    found.ok_or_else(|| MedipepsError::new(Code::NotFound, "organisation", "there is no such organisation here"))
}

/// What of an organisation cannot be written down.
pub(super) fn problem(error: medipeps_core::kind::OrganisationMessageError) -> MedipepsError {
    medipeps_client::engine::OrganisationProblem::from(error).into()
}
