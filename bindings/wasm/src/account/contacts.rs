//! Other accounts.

use medipeps_client::engine::{Evidence, Input};
use medipeps_core::identity::Verification;
use wasm_bindgen::prelude::*;

use super::{Account, Agent};
use crate::error::PageError;
use crate::record::contact::Contact;
use crate::record::{address, given};

/// How the code in a QR begins; digits do not.
const CODE_PREFIX: &str = "medipeps-verify:";

#[wasm_bindgen]
impl Account {
    /// All contacts, by address.
    ///
    /// # Errors
    /// `store`
    pub async fn contacts(&self) -> Result<JsValue, JsValue> {
        given(&self.with(async |agent: &mut Agent| listed(agent)).await?)
    }

    /// Fetches and pins somebody's keys. With `accept_new_key`, also keys that are not the pinned ones: a person has compared safety
    /// numbers first.
    ///
    /// # Errors
    /// `contact`, `network`, `argument`.
    #[wasm_bindgen(js_name = addContact)]
    pub async fn add_contact(&self, contact: String, accept_new_key: bool) -> Result<JsValue, JsValue> {
        let contact = address(&contact)?;
        let added = async |agent: &mut Agent| {
            agent.add_contact(&contact, accept_new_key, &mut self.hear()).await?;
            let address = contact.to_string();
            let found = listed(agent)?.into_iter().find(|contact| contact.address == address);
            found.ok_or_else(|| PageError::not_found("the contact was not stored"))
        };
        given(&self.with(added).await?)
    }

    /// Compares what the contact sees, sixty digits or the code of its QR, with what is known here, and marks the contact if they are
    /// the same. Gives back whether they are.
    ///
    /// # Errors
    /// `argument`, `engine`.
    #[wasm_bindgen(js_name = verifyContact)]
    pub async fn verify_contact(&self, contact: String, digits_or_code: String) -> Result<bool, JsValue> {
        let address = address(&contact)?;
        let text = digits_or_code.trim();
        let evidence = match text.starts_with(CODE_PREFIX) {
            true => Evidence::Code(text.parse().map_err(|error| PageError::argument(format!("{error}")))?),
            false => Evidence::Number(text.to_owned()),
        };
        let compared =
            async |agent: &mut Agent| Ok(agent.verify_contact(&address, evidence).await? == Verification::Match);
        Ok(self.with(compared).await?)
    }

    /// Takes the mark off a contact that was verified. Gives back whether there was one.
    ///
    /// # Errors
    /// `argument`, `engine`.
    #[wasm_bindgen(js_name = forgetVerification)]
    pub async fn forget_verification(&self, contact: String) -> Result<bool, JsValue> {
        let contact = address(&contact)?;
        let forgotten = async |agent: &mut Agent| Ok(agent.forget_verification(&contact).await?);
        Ok(self.with(forgotten).await?)
    }

    /// Shows nothing more of what an account writes, or shows it again. It is not told.
    ///
    /// # Errors
    /// `argument`, `store`.
    pub async fn block(&self, contact: String, blocked: bool) -> Result<(), JsValue> {
        let address = address(&contact)?;
        self.done(Input::Block { address, blocked }).await
    }

    /// Lets an account write to this one like those to whom this one has written: what it has sent so far came as a request.
    ///
    /// # Errors
    /// `argument`, `engine`.
    pub async fn accept(&self, contact: String) -> Result<(), JsValue> {
        self.done(Input::Accept(address(&contact)?)).await
    }
}

impl Account {
    /// Does something that the other devices, or others, hear of now; if not, with the next sync.
    pub(super) async fn done(&self, input: Input) -> Result<(), JsValue> {
        let done = async |agent: &mut Agent| {
            agent.run(input, &mut |_| {}).await?;
            agent.send_due(&mut self.hear()).await?;
            Ok(())
        };
        Ok(self.with(done).await?)
    }
}

fn listed(agent: &mut Agent) -> Result<Vec<Contact>, PageError> {
    let (contacts, settings) = (agent.contacts()?, agent.settings()?);
    Ok(contacts.iter().map(|contact| Contact::of(contact, &settings)).collect())
}
