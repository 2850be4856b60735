//! Mail.

use js_sys::Array;
use medipeps_client::engine::{Input, MessageSummary, SendMail};
use medipeps_core::kind::ReceiptsWanted;
use wasm_bindgen::prelude::*;

use super::{Account, Agent};
use crate::document::documents;
use crate::error::PageError;
use crate::record::mail::{Mail, MailDraft, MailSummary, Queued};
use crate::record::{addresses, given, hex, local_id, taken};

#[wasm_bindgen]
impl Account {
    /// Puts a mail into the outbox and tries to send it. `attachments` are `{ name, mediaType, data }`, where `data` is a `Blob`;
    /// they are sealed into the database if they do not fit the message, and sent while the account syncs or receives.
    ///
    /// # Errors
    /// `argument`, `engine`, `quota`, `document`; nothing is kept then.
    pub async fn send(&self, draft: JsValue, attachments: Array) -> Result<JsValue, JsValue> {
        let (mail, documents) = (composed(taken(draft)?)?, documents(&attachments)?);
        let sent = async |agent: &mut Agent| {
            let id = agent.send_mail(mail, documents, &mut |_| {}).await?;
            let problem = agent.send_due(&mut self.hear()).await?;
            let waits = !self.is_receiving() && agent.uploads()?.iter().any(|upload| upload.record.content_id == id);
            let problem = problem.or_else(|| waits.then(|| "it has documents, which go with the next sync".to_owned()));
            Ok(Queued { id: hex(&id), problem })
        };
        given(&self.with(sent).await?)
    }

    /// All mails, newest first.
    ///
    /// # Errors
    /// `store`
    pub async fn messages(&self) -> Result<JsValue, JsValue> {
        let listed = async |agent: &mut Agent| {
            let messages = agent.messages()?;
            let (verified, requests) = (agent.verified(&messages)?, agent.requests(&messages)?);
            let of = |message: &MessageSummary| {
                MailSummary::of(message, verified.contains(&message.id), requests.contains(&message.id))
            };
            Ok(messages.iter().map(of).collect::<Vec<_>>())
        };
        given(&self.with(listed).await?)
    }

    /// One mail, which counts as displayed from then on. A long text that is not here is fetched; where it cannot be, the mail has
    /// its beginning and says why.
    ///
    /// # Errors
    /// `argument`, `not_found`.
    pub async fn read(&self, id: String) -> Result<JsValue, JsValue> {
        let id = local_id(&id)?;
        let read = async |agent: &mut Agent| {
            agent.run(Input::MarkDisplayed(id), &mut |_| {}).await?;
            let (detail, missing) = agent.whole_message(id, &mut self.hear()).await?;
            let summary = [MessageSummary { id, message: detail.message.clone() }];
            let marks = (!agent.verified(&summary)?.is_empty(), !agent.requests(&summary)?.is_empty());
            Mail::of(detail, marks, missing.map(|error| error.to_string()))
        };
        given(&self.with(read).await?)
    }
}

fn composed(draft: MailDraft) -> Result<SendMail, PageError> {
    Ok(SendMail {
        to: addresses(&draft.to)?,
        cc: addresses(&draft.cc)?,
        subject: draft.subject,
        text: draft.text,
        html: draft.html,
        attachments: Vec::new(),
        urgency: draft.urgency.unwrap_or_default().into(),
        receipts_wanted: ReceiptsWanted {
            delivered: draft.ask_delivered,
            displayed: draft.ask_displayed,
            processed: false,
        },
        in_reply_to: draft.in_reply_to.as_deref().map(local_id).transpose()?,
        body_copy: None,
    })
}
