//! A voice message.

use super::super::content::{Attachment, ContentError};
use crate::limits::VOICE_DURATION_MAX;

/// What a message says beside the recording, which is its one attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voice {
    /// Milliseconds, as the sender says: 1 to [`VOICE_DURATION_MAX`].
    pub duration: u32,
}

impl Voice {
    pub(super) fn validate(self, attachments: &[Attachment]) -> Result<(), ContentError> {
        let [attachment] = attachments else { return Err(ContentError::Field("attachments")) };
        if !attachment.media_type.starts_with("audio/") {
            return Err(ContentError::Field("attachments.media_type"));
        }
        if (1..=VOICE_DURATION_MAX).contains(&self.duration) {
            Ok(())
        } else {
            Err(ContentError::Field("voice.duration"))
        }
    }

    pub(super) fn fallback_text(self) -> String {
        let seconds = self.duration.div_ceil(1000);
        format!("Voice message ({}:{:02})", seconds / 60, seconds % 60)
    }
}
