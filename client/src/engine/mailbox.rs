//! Messages as a person or a program reads them: out of records, changing nothing.

use medipeps_core::kind::{Body, Content};
use medipeps_core::wire::client_records::{BodyFetchRecord, MessageRecord};

use super::LocalId;
use super::outcome::EngineError;
use super::records::{Record, class};
use crate::limits::REPORT_SUBJECT_LETTERS;
use crate::store::seal::ClassRecords;

/// A message as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageSummary {
    /// Its id in this store.
    pub id: LocalId,
    /// What is known about it.
    pub message: MessageRecord,
}

/// A message with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageDetail {
    /// Its id in this store.
    pub id: LocalId,
    /// What is known about it.
    pub message: MessageRecord,
    /// What it says; with the short body where the whole is a blob ([`MessageDetail::with_body`]).
    pub content: Content,
    /// Set while the body, a blob, is not on this device.
    pub missing_body: Option<BodyFetchRecord>,
}

impl MessageSummary {
    /// All messages out of the class [`class::MESSAGE`], newest first.
    ///
    /// # Errors
    /// [`EngineError::Record`]
    pub fn all(records: &ClassRecords) -> Result<Vec<Self>, EngineError> {
        let mut messages = records
            .iter()
            .filter_map(|(name, value)| Some((LocalId::try_from(name).ok()?, value)))
            .map(|(id, value)| {
                let record = <MessageRecord as Record>::decode(value);
                let message = record.map_err(|error| EngineError::Record { class: class::MESSAGE, error })?;
                Ok(Self { id, message })
            })
            .collect::<Result<Vec<_>, EngineError>>()?;
        messages.sort_by_key(|message| (std::cmp::Reverse(message.time()), message.id));
        Ok(messages)
    }

    /// When it was sent, or taken by the server, in milliseconds since 1970.
    #[must_use]
    pub const fn time(&self) -> u64 {
        if self.message.sent { self.message.created } else { self.message.received }
    }
}

impl MessageDetail {
    /// Out of the records of a message.
    ///
    /// # Errors
    /// [`EngineError::Content`]
    pub fn of(
        summary: MessageSummary,
        content: &[u8],
        missing_body: Option<BodyFetchRecord>,
    ) -> Result<Self, EngineError> {
        let MessageSummary { id, message } = summary;
        Ok(Self { id, message, content: Content::decode(content)?, missing_body })
    }
}

/// What lists show of a message in one line.
pub(super) fn subject_of(body: &Body) -> String {
    match body {
        Body::Mail(mail) => mail.subject.clone(),
        Body::Report(report) => {
            let line: String = report.reason.chars().map(|one| if one.is_control() { ' ' } else { one }).collect();
            format!("Report: {}", line.chars().take(REPORT_SUBJECT_LETTERS).collect::<String>())
        }
        _ => String::new(),
    }
}
