//! The kind `mail`.

use super::content::ContentError;
use crate::Address;
use crate::limits::{RECIPIENTS_MAX, SUBJECT_LENGTH_MAX};

/// A mail: subject, text, optionally the same as HTML, and to whom it went.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// One line.
    pub subject: String,
    /// Always there; what is shown where HTML is not.
    pub text: String,
    /// Sanitised by [`super::sanitise_html`], again on reading.
    pub html: Option<String>,
    /// Everybody the mail went to, so that a reader can answer all.
    pub recipients: Vec<MailRecipient>,
}

/// One recipient and why he has the mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailRecipient {
    /// Who.
    pub address: Address,
    /// In what role.
    pub role: RecipientRole,
}

/// Why a recipient has a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecipientRole {
    /// It is for him to act.
    To,
    /// For his information.
    Cc,
}

impl Mail {
    /// What stays in the message when the whole goes as a blob: what lists show, and to whom it went.
    pub(super) fn short(&self) -> Self {
        Self { text: String::new(), html: None, ..self.clone() }
    }

    pub(super) fn validate(&self) -> Result<(), ContentError> {
        if self.subject.len() > SUBJECT_LENGTH_MAX || self.subject.chars().any(char::is_control) {
            return Err(ContentError::Field("subject"));
        }
        if self.recipients.is_empty() || self.recipients.len() > RECIPIENTS_MAX {
            return Err(ContentError::Field("recipients"));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Mail").field("recipients", &self.recipients).finish_non_exhaustive()
    }
}
