//! Organisations: what their administrators do. Each statement and each certificate is drafted by one, signed by as many as must,
//! and published.

use medipeps_client::engine::{Certify, Event, Input, OrganisationEvent, OrganisationInput, ProposeStatement};
use medipeps_client::shell::agent::Agent;
use zeroize::Zeroizing;

use super::Client;
use super::organisation::{Heard, carry_out, problem};
use crate::MedipepsError;
use crate::error::Code;
use crate::identifier::{AccountAddress, address, administrator_key, draft_id, organisation_id};
use crate::paper_key::{typed, written};
use crate::record::administration::{
    AdministratorKey, CertificateRequest, DraftChange, DrawnAdministratorKey, OrganisationDraft, OrganisationRequest,
    StatementChange,
};
use crate::record::organisation::Administrator;
use crate::record::{hex, milliseconds};

#[uniffi::export]
impl Client {
    /// Draws a key with which this person administers organisations. It stays on this device alone.
    ///
    /// # Errors
    /// `NoAccount`
    pub async fn draw_administrator_key(&self) -> Result<DrawnAdministratorKey, MedipepsError> {
        self.worker
            .call(async |agent| {
                let mut drawn = None;
                let mut see = |event: &Event| {
                    if let Event::Organisation { event: OrganisationEvent::KeyDrawn { public, secret }, .. } = event {
                        drawn = Some((hex(public.as_bytes()), written(secret)));
                    }
                };
                agent.run(Input::Organisation(OrganisationInput::NewAdministratorKey), &mut see).await?;
                let address = Some(agent.own_author()?.address.to_string());
                let drawn = drawn.map(|(key, secret)| DrawnAdministratorKey {
                    administrator: Administrator { key, address },
                    secret,
                });
                drawn.ok_or_else(not_stored)
            })
            .await
    }

    /// Takes a key in that a person has on paper. What others know of it.
    ///
    /// # Errors
    /// `Argument`
    pub async fn add_administrator_key(&self, secret: String) -> Result<String, MedipepsError> {
        let secret = typed("secret", &Zeroizing::new(secret))?;
        self.worker
            .call(async move |agent| {
                let mut added = None;
                let mut see = |event: &Event| {
                    if let Event::Organisation { event: OrganisationEvent::KeyAdded { public }, .. } = event {
                        added = Some(hex(public.as_bytes()));
                    }
                };
                agent.run(Input::Organisation(OrganisationInput::AddAdministratorKey(secret)), &mut see).await?;
                added.ok_or_else(not_stored)
            })
            .await
    }

    /// The administrator keys on this device.
    ///
    /// # Errors
    /// `Store`
    pub async fn administrator_keys(&self) -> Result<Vec<AdministratorKey>, MedipepsError> {
        self.worker
            .call(async |agent| Ok(agent.administrator_keys()?.iter().map(AdministratorKey::from).collect()))
            .await
    }

    /// Deletes an administrator key from this device.
    ///
    /// # Errors
    /// `Argument`, `NotFound`.
    pub async fn forget_administrator_key(&self, key: String) -> Result<(), MedipepsError> {
        let key = administrator_key(&key)?;
        self.worker
            .call(async move |agent| {
                agent.run(Input::Organisation(OrganisationInput::ForgetAdministratorKey(key)), &mut |_| {}).await?;
                Ok(())
            })
            .await
    }

    /// Drafts an organisation, signs it where this device can, and sends it to the other administrators.
    ///
    /// # Errors
    /// `Argument`, `Rejected`.
    pub async fn create_organisation(&self, request: OrganisationRequest) -> Result<DraftChange, MedipepsError> {
        let command = request.into_command()?;
        self.worker.call(async move |agent| draft(agent, OrganisationInput::Create(Box::new(command))).await).await
    }

    /// Drafts the next statement of an organisation, signs it, and sends it to the other administrators.
    ///
    /// # Errors
    /// `Argument`, `NotFound`; `Rejected` where this device may not, or nothing would change.
    pub async fn propose_statement(
        &self,
        organisation: String,
        changes: Vec<StatementChange>,
    ) -> Result<DraftChange, MedipepsError> {
        let organisation = organisation_id(&organisation)?;
        let changes = changes.into_iter().map(StatementChange::into_change).collect::<Result<_, _>>()?;
        let command = ProposeStatement { organisation, changes };
        self.worker.call(async move |agent| draft(agent, OrganisationInput::Propose(Box::new(command))).await).await
    }

    /// Drafts a member's certificate, signs it, and sends it to the other administrators.
    ///
    /// # Errors
    /// `Argument`, `NotFound`; `Rejected` where this device may not, or no seat is left.
    pub async fn certify_member(
        &self,
        organisation: String,
        request: CertificateRequest,
    ) -> Result<DraftChange, MedipepsError> {
        let organisation = organisation_id(&organisation)?;
        let CertificateRequest { member, role, ends, begins } = request;
        let address = address(&member)?;
        let (from, ends) = (begins.map(milliseconds), milliseconds(ends));
        self.worker
            .call(async move |agent| {
                let is_own = agent.own_author()?.address == address;
                if !is_own && !agent.contacts()?.iter().any(|contact| contact.address == address) {
                    let add = Input::AddContact { address: address.clone(), accept_new_key: false };
                    agent.run(add, &mut |_| {}).await?;
                }
                draft(agent, OrganisationInput::Certify(Certify { organisation, address, role, from, ends })).await
            })
            .await
    }

    /// Drafts again the certificates that have too few signatures since administrators have changed, and signs them.
    ///
    /// # Errors
    /// `NotFound`, `Rejected`.
    pub async fn certify_again(&self, organisation: String) -> Result<Vec<OrganisationDraft>, MedipepsError> {
        let organisation = organisation_id(&organisation)?;
        self.worker
            .call(async move |agent| {
                let heard = carry_out(agent, vec![OrganisationInput::SignAgain(organisation)]).await?;
                let drafts = agent.organisation_drafts()?;
                let made = drafts.iter().filter(|draft| heard.drafts.contains(&draft.id));
                Ok(made.filter_map(OrganisationDraft::of).collect())
            })
            .await
    }

    /// What waits for signatures, oldest first.
    ///
    /// # Errors
    /// `Store`
    pub async fn organisation_drafts(&self) -> Result<Vec<OrganisationDraft>, MedipepsError> {
        self.worker
            .call(async |agent| Ok(agent.organisation_drafts()?.iter().filter_map(OrganisationDraft::of).collect()))
            .await
    }

    /// Signs a draft that a person has read, and sends it back to who asked and to the other administrators.
    ///
    /// # Errors
    /// `NotFound`; `Rejected` where no key on this device may sign.
    pub async fn sign_draft(&self, draft_id: String) -> Result<DraftChange, MedipepsError> {
        let id = self::draft_id(&draft_id)?;
        self.worker.call(async move |agent| draft(agent, OrganisationInput::Sign(id)).await).await
    }

    /// Makes a draft hold that enough have signed, and tells those whom it concerns. Gives back those to whom it was not sent: they
    /// belong to another domain and are no contacts.
    ///
    /// # Errors
    /// `NotFound`; `Rejected` where too few have signed, or another statement was published meanwhile.
    pub async fn publish_draft(&self, draft_id: String) -> Result<Vec<AccountAddress>, MedipepsError> {
        let id = self::draft_id(&draft_id)?;
        self.worker
            .call(async move |agent| Ok(carry_out(agent, vec![OrganisationInput::Publish(id)]).await?.not_told))
            .await
    }

    /// Throws a draft away, here alone.
    ///
    /// # Errors
    /// `NotFound`
    pub async fn drop_draft(&self, draft_id: String) -> Result<(), MedipepsError> {
        let id = self::draft_id(&draft_id)?;
        self.worker
            .call(async move |agent| {
                carry_out(agent, vec![OrganisationInput::Drop(id)]).await?;
                Ok(())
            })
            .await
    }

    /// A draft with its signatures, for a file that is carried to another administrator ([`Client::import_organisation`]).
    ///
    /// # Errors
    /// `NotFound`
    pub async fn export_draft(&self, draft_id: String) -> Result<Vec<u8>, MedipepsError> {
        let id = self::draft_id(&draft_id)?;
        self.worker
            .call(async move |agent| {
                let found = agent.organisation_drafts()?.into_iter().find(|draft| draft.id == id);
                let found = found.ok_or_else(unknown)?;
                found.message().encode().map_err(problem)
            })
            .await
    }
}

/// Does it, and gives back the draft that was made or signed.
async fn draft(agent: &mut Agent, input: OrganisationInput) -> Result<DraftChange, MedipepsError> {
    let Heard { drafts, not_told, .. } = carry_out(agent, vec![input]).await?;
    let id = *drafts.last().ok_or_else(not_stored)?;
    let found = agent.organisation_drafts()?.into_iter().find(|draft| draft.id == id);
    let draft = found.as_ref().and_then(OrganisationDraft::of).ok_or_else(unknown)?;
    Ok(DraftChange { draft, not_told })
}

fn not_stored() -> MedipepsError {
    MedipepsError::new(Code::Rejected, "organisation", "nothing was stored")
}

fn unknown() -> MedipepsError {
    MedipepsError::new(Code::NotFound, "draft", "there is no such draft here")
}
