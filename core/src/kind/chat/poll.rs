//! Polls and votes.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::super::content::{ContentError, MessageId};
use super::super::redacted::redacted;
use super::bounded;
use super::thread::ChatRefusal;
use crate::limits::{POLL_OPTION_LENGTH_MAX, POLL_OPTIONS_MAX, POLL_OPTIONS_MIN, POLL_QUESTION_LENGTH_MAX};

/// A question with options to choose from. Who chose what is seen by everybody in the thread.
#[derive(Clone, PartialEq, Eq)]
pub struct Poll {
    /// One question.
    pub question: String,
    /// [`POLL_OPTIONS_MIN`] to [`POLL_OPTIONS_MAX`], no two the same.
    pub options: Vec<String>,
    /// Whether one account may choose several.
    pub multiple: bool,
    /// Until when votes count, in milliseconds since 1970.
    pub closes: Option<u64>,
}

/// What an account chooses. A later vote stands instead of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// The poll's message.
    pub poll: MessageId,
    /// Numbers of options, from 0 on, ascending; none takes the vote back.
    pub options: Vec<u32>,
}

impl Poll {
    pub(super) fn validate(&self) -> Result<(), ContentError> {
        let is_blank = |text: &str| text.trim().is_empty();
        bounded(&self.question, POLL_QUESTION_LENGTH_MAX, "poll.question", is_blank(&self.question))?;
        if !(POLL_OPTIONS_MIN..=POLL_OPTIONS_MAX).contains(&self.options.len()) {
            return Err(ContentError::Field("poll.options"));
        }
        for option in &self.options {
            bounded(option, POLL_OPTION_LENGTH_MAX, "poll.options", is_blank(option))?;
        }
        let distinct: BTreeSet<&str> = self.options.iter().map(|option| option.trim()).collect();
        if distinct.len() < self.options.len() { Err(ContentError::Field("poll.options")) } else { Ok(()) }
    }

    pub(super) fn fallback_text(&self) -> String {
        let mut text = format!("Poll: {}", self.question);
        for (option, number) in self.options.iter().zip(1..) {
            // Writing to a string does not fail.
            let _ = write!(text, "\n{number}. {option}");
        }
        text
    }

    /// Whether a vote that came at this time counts.
    pub(super) fn admits(&self, vote: &Vote, at: u64) -> Result<(), ChatRefusal> {
        if self.closes.is_some_and(|closes| at > closes) {
            return Err(ChatRefusal::PollClosed);
        }
        let exists = |option: &u32| usize::try_from(*option).is_ok_and(|option| option < self.options.len());
        if !vote.options.iter().all(exists) {
            return Err(ChatRefusal::NoSuchOption);
        }
        if vote.options.len() > 1 && !self.multiple { Err(ChatRefusal::OneOptionOnly) } else { Ok(()) }
    }
}

impl Vote {
    pub(super) fn validate(&self) -> Result<(), ContentError> {
        let ascending = self.options.windows(2).all(|pair| pair[0] < pair[1]);
        if ascending && self.options.len() <= POLL_OPTIONS_MAX {
            Ok(())
        } else {
            Err(ContentError::Field("vote.options"))
        }
    }

    pub(super) fn fallback_text(&self) -> String {
        let numbers: Vec<_> = self.options.iter().map(|option| (u64::from(*option) + 1).to_string()).collect();
        if numbers.is_empty() { "Took a vote back".to_owned() } else { format!("Voted for {}", numbers.join(", ")) }
    }
}

redacted!(Poll);
