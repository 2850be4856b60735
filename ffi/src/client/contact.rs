//! Other accounts.

use medipeps_client::engine::{Evidence, Input};
use medipeps_client::shell::agent::{Agent, now};
use medipeps_core::Address;
use medipeps_core::identity::Verification;

use super::Client;
use crate::MedipepsError;
use crate::error::Code;
use crate::identifier::address;
use crate::record::contact::Contact;

#[uniffi::export]
impl Client {
    /// Fetches and pins somebody's keys. With `accept_new_key`, also keys that are not the pinned ones: a person has
    /// compared safety numbers first.
    ///
    /// # Errors
    /// `ContactRefused`, `Network`, `Argument`.
    pub async fn add_contact(&self, contact: String, accept_new_key: bool) -> Result<Contact, MedipepsError> {
        let contact = address(&contact)?;
        self.worker
            .call(async move |agent| {
                agent.add_contact(&contact, accept_new_key, &mut |_| {}).await?;
                find(agent, &contact)
            })
            .await
    }

    /// All contacts, by address.
    ///
    /// # Errors
    /// `Store`
    pub async fn contacts(&self) -> Result<Vec<Contact>, MedipepsError> {
        self.worker.call(async |agent| list(agent)).await
    }

    /// Compares the safety number that the contact sees with the one here, and marks the contact if they are the same.
    /// Gives back whether they are.
    ///
    /// # Errors
    /// `NotFound`, `Rejected` where what was typed is no safety number.
    pub async fn verify_contact(&self, contact: String, safety_number: String) -> Result<bool, MedipepsError> {
        let contact = address(&contact)?;
        let evidence = Evidence::Number(safety_number);
        self.verify(contact, evidence).await
    }

    /// The same with the code that the contact's device shows, scanned.
    ///
    /// # Errors
    /// `NotFound`, `Argument` where it is no such code.
    pub async fn verify_contact_by_code(&self, contact: String, code: String) -> Result<bool, MedipepsError> {
        let contact = address(&contact)?;
        let code = code.trim().parse().map_err(|error| MedipepsError::argument("code", &format!("{error}")))?;
        self.verify(contact, Evidence::Code(code)).await
    }

    /// Takes the mark off a contact that was verified. Gives back whether there was one.
    ///
    /// # Errors
    /// `Argument`, `NotFound`.
    pub async fn forget_verification(&self, contact: String) -> Result<bool, MedipepsError> {
        let contact = address(&contact)?;
        self.worker.call(async move |agent| Ok(agent.forget_verification(&contact).await?)).await
    }

    /// Shows nothing more of what an account writes, or shows it again. It is not told.
    ///
    /// # Errors
    /// `Argument`, `Store`.
    pub async fn block(&self, contact: String, blocked: bool) -> Result<(), MedipepsError> {
        let address = address(&contact)?;
        self.worker
            .call(async move |agent| {
                agent.run(Input::Block { address, blocked }, &mut |_| {}).await?;
                Ok(())
            })
            .await
    }
}

impl Client {
    async fn verify(&self, contact: Address, evidence: Evidence) -> Result<bool, MedipepsError> {
        self.worker
            .call(async move |agent| Ok(agent.verify_contact(&contact, evidence).await? == Verification::Match))
            .await
    }
}

fn list(agent: &mut Agent) -> Result<Vec<Contact>, MedipepsError> {
    let (contacts, settings, certified) = (agent.contacts()?, agent.settings()?, agent.certified_contacts()?);
    let of = |address| certified.get(address).map(Vec::as_slice).unwrap_or_default();
    Ok(contacts.iter().map(|contact| Contact::of(contact, of(&contact.address), &settings, now().0)).collect())
}

fn find(agent: &mut Agent, address: &Address) -> Result<Contact, MedipepsError> {
    let address = address.to_string();
    let contact = list(agent)?.into_iter().find(|contact| contact.address == address);
    contact.ok_or_else(|| MedipepsError::new(Code::NotFound, "contact", "the contact was not stored"))
}
