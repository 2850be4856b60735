//! The kind `mail`.

use super::content::ContentError;
use crate::Address;
use crate::limits::{CONTENT_LENGTH_MAX, RECIPIENTS_MAX, SUBJECT_LENGTH_MAX};

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
    pub(super) fn validate(&self) -> Result<(), ContentError> {
        if self.subject.len() > SUBJECT_LENGTH_MAX || self.subject.chars().any(char::is_control) {
            return Err(ContentError::Field("subject"));
        }
        let length = self.text.len().max(self.html.as_ref().map_or(0, String::len));
        if length > CONTENT_LENGTH_MAX {
            return Err(ContentError::BodyTooLarge { length });
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
