//! Mail.

use medipeps_client::engine::{Input, MessageSummary, SendMail};
use medipeps_core::kind::ReceiptsWanted;
use wasm_bindgen::prelude::*;

use super::{Account, Agent};
use crate::error::PageError;
use crate::record::mail::{Mail, MailDraft, MailSummary, Queued};
use crate::record::{addresses, given, hex, local_id, taken};

#[wasm_bindgen]
impl Account {
    /// Puts a mail into the outbox and tries to send it.
    ///
    /// # Errors
    /// `argument`, `engine`; nothing is kept then.
    pub async fn send(&self, draft: JsValue) -> Result<JsValue, JsValue> {
        let mail = composed(taken(draft)?)?;
        let sent = async |agent: &mut Agent| {
            let id = agent.queue(mail, &mut |_| {}).await?;
            let problem = agent.send_due(&mut self.hear()).await?;
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

    /// One mail, which counts as displayed from then on.
    ///
    /// # Errors
    /// `argument`, `not_found`.
    pub async fn read(&self, id: String) -> Result<JsValue, JsValue> {
        let id = local_id(&id)?;
        let read = async |agent: &mut Agent| {
            agent.run(Input::MarkDisplayed(id), &mut |_| {}).await?;
            let detail = agent.outline(id)?;
            let summary = [MessageSummary { id, message: detail.message.clone() }];
            let marks = (!agent.verified(&summary)?.is_empty(), !agent.requests(&summary)?.is_empty());
            let missing = detail.content.body_blob.as_ref().map(|_| "the whole text is a document".to_owned());
            Mail::of(detail, marks, missing)
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
