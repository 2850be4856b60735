//! Mail: write, list, read, save.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use medipeps_client::engine::{Input, LocalId, MessageSummary, SendMail};
use medipeps_client::shell::agent::{self, Agent, AgentError, DocumentPlace, Saved};
use medipeps_core::kind::ReceiptsWanted;
use medipeps_core::wire::client_records::RecipientState;

use super::Client;
use crate::MedipepsError;
use crate::descriptor::duplicate;
use crate::error::Code;
use crate::identifier::{addresses, message_id};
use crate::record::hex;
use crate::record::mail::{Document, MailDraft, Message, MessageOverview, Recipient, SavedAttachment, SentMail};

/// Between two tries while a caller waits.
const PAUSE: Duration = Duration::from_millis(300);

#[uniffi::export]
impl Client {
    /// Puts a mail into the outbox, durably, and tries to send it for at most so many seconds, those not counted in which
    /// files move. What is not sent by then goes on with [`Client::sync`] or while receiving. 0: only into the outbox.
    ///
    /// Whoever gives up waiting has a mail in the outbox, or none where it had not begun; never two.
    ///
    /// # Errors
    /// `Argument`, `File`, `NoAccount`; nothing was queued then.
    pub async fn send_mail(&self, draft: MailDraft, wait_seconds: u32) -> Result<SentMail, MedipepsError> {
        let (mail, documents) = compose(draft)?;
        self.worker
            .call(async move |agent| {
                let id = agent.send_mail(mail, documents, &mut |_| {}).await?;
                try_for(agent, id, Duration::from_secs(wait_seconds.into())).await?;
                let recipients = agent.outline(id)?.message.recipients;
                Ok(SentMail { id: hex(&id), recipients: recipients.iter().map(Recipient::from).collect() })
            })
            .await
    }

    /// All messages, newest first, those that were sent among them.
    ///
    /// # Errors
    /// `Store`
    pub async fn messages(&self) -> Result<Vec<MessageOverview>, MedipepsError> {
        self.worker
            .call(async |agent| {
                let messages = agent.messages()?;
                let certified = agent.certified_senders(&messages)?;
                let of = |id| certified.get(id).map(Vec::as_slice).unwrap_or_default();
                Ok(messages.iter().map(|message| MessageOverview::of(message, of(&message.id))).collect())
            })
            .await
    }

    /// One message. A long text that is not on this device is fetched; where it cannot be, the body says why.
    ///
    /// # Errors
    /// `NotFound`
    pub async fn message(&self, id: String) -> Result<Message, MedipepsError> {
        let id = message_id(&id)?;
        self.worker
            .call(async move |agent| {
                let (message, missing) = agent.whole_message(id, &mut |_| {}).await?;
                let summary = MessageSummary { id, message: message.message.clone() };
                let certified = agent.certified_senders(&[summary])?.remove(&id).unwrap_or_default();
                let missing = missing.map(|error| error.to_string());
                Ok(Message::of(&message, missing, (&certified, &agent.contacts()?)))
            })
            .await
    }

    /// A person has seen a message: it counts as read on all devices of the account, and a receipt goes to the sender if
    /// it was asked for.
    ///
    /// # Errors
    /// `NotFound`
    pub async fn mark_displayed(&self, id: String) -> Result<(), MedipepsError> {
        let id = message_id(&id)?;
        self.worker
            .call(async move |agent| {
                agent.run(Input::MarkDisplayed(id), &mut |_| {}).await?;
                Ok(())
            })
            .await
    }

    /// Saves all attachments of a message in a folder, each under a harmless name that is not taken, in their order. They
    /// stream to the disk whatever their size, and nothing half has its name.
    ///
    /// # Errors
    /// `NotFound`, `File` where the folder cannot be made.
    pub async fn save_attachments(&self, id: String, folder: String) -> Result<Vec<SavedAttachment>, MedipepsError> {
        let (id, folder) = (message_id(&id)?, PathBuf::from(folder));
        self.worker
            .call(async move |agent| {
                let message = agent.outline(id)?;
                saved(&folder, async || agent.save_attachments(&message, &folder).await).await
            })
            .await
    }
}

/// Makes the folder, saves in it, and tells of each file.
pub(super) async fn saved(
    folder: &Path,
    save: impl AsyncFnOnce() -> Result<Saved, AgentError>,
) -> Result<Vec<SavedAttachment>, MedipepsError> {
    std::fs::create_dir_all(folder)
        .map_err(|error| MedipepsError::new(Code::File, "folder", format!("{}: {error}", folder.display())))?;
    let outcome = save().await?.into_iter().map(|one| match one {
        Ok(path) => SavedAttachment::Saved { path: path.display().to_string() },
        Err(error) => SavedAttachment::Failed { message: error.to_string() },
    });
    Ok(outcome.collect())
}

pub(super) fn documents(documents: Vec<Document>) -> Result<Vec<agent::Document>, MedipepsError> {
    documents.into_iter().map(document).collect()
}

fn document(document: Document) -> Result<agent::Document, MedipepsError> {
    let (name, media_type, place) = match document {
        Document::File { path, name, media_type } => (name, media_type, DocumentPlace::File(PathBuf::from(path))),
        Document::Data { data, name, media_type } => (name, media_type, DocumentPlace::Memory(data)),
        Document::Descriptor { descriptor, name, media_type } => {
            (name, media_type, DocumentPlace::Opened(Arc::new(duplicate(descriptor)?)))
        }
    };
    Ok(agent::Document { name, media_type, place })
}

fn compose(draft: MailDraft) -> Result<(SendMail, Vec<agent::Document>), MedipepsError> {
    let mail = SendMail {
        to: addresses(&draft.to)?,
        cc: addresses(&draft.cc)?,
        subject: draft.subject,
        text: draft.text,
        html: draft.html,
        attachments: Vec::new(),
        urgency: draft.urgency.into(),
        receipts_wanted: ReceiptsWanted {
            delivered: draft.ask_delivered,
            displayed: draft.ask_displayed,
            processed: false,
        },
        in_reply_to: draft.in_reply_to.as_deref().map(message_id).transpose()?,
        body_copy: None,
    };
    Ok((mail, documents(draft.documents)?))
}

/// Sends until every recipient is settled or the time is over; the network's failures are no errors here.
async fn try_for(agent: &mut Agent, id: LocalId, wait: Duration) -> Result<(), MedipepsError> {
    if wait.is_zero() {
        return Ok(());
    }
    let mut end = Instant::now() + wait;
    loop {
        agent.send_due(&mut |_| {}).await?;
        let recipients = agent.outline(id)?.message.recipients;
        // What a person must decide first does not change by waiting.
        let waits = recipients.iter().any(|recipient| {
            recipient.state == RecipientState::Queued && recipient.code.as_deref() != Some("recipient_key_changed")
        });
        if !waits || Instant::now() + PAUSE > end {
            return Ok(());
        }
        // What moves is worth waiting for, however long it takes.
        if agent.transfer_for(PAUSE, &mut |_| {}).await? {
            end = Instant::now() + wait;
        }
    }
}
