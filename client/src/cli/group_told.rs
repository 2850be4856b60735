//! What happened in groups while a command ran, as a person is told it.

use super::group::short;
use super::group_change::{code_text, what_text};
use super::{output, time, wake};
use crate::engine::{Event, GroupEvent};

/// What happened in groups while a command ran.
#[derive(Debug, Default)]
pub(super) struct Told {
    notes: Vec<String>,
    /// The last change that could not be made.
    pub(super) failed: Option<String>,
}

impl Told {
    pub(super) fn hear(&mut self, event: &Event) {
        if let Event::WakeRefused { code } = event {
            self.notes.push(format!("this device is not woken: {}", wake::reason(code)));
        }
        let Event::Group { group, event } = event else { return };
        let group = short(group);
        match event {
            GroupEvent::ChangeFailed { what, code } => {
                self.failed = Some(format!("{}: {}", what_text(what), code_text(code)));
            }
            GroupEvent::Joined { name, by } => {
                self.notes
                    .push(format!("you are in the group \"{}\" ({group}) now; {by} took you in", output::line(name)));
            }
            GroupEvent::InvitationRefused { code } => {
                self.notes.push(format!("an invitation to group {group} came to nothing ({code})"));
            }
            GroupEvent::Removed => self.notes.push(format!("you were taken out of group {group}")),
            GroupEvent::Problem { code } => self.notes.push(format!("group {group}: {}", code_text(code))),
            GroupEvent::EntryRefused { code } => {
                self.notes.push(format!("group {group}: an entry of its log was passed over ({code})"));
            }
            GroupEvent::Deleted { count } => self.notes.push(format!("group {group}: {count} messages were deleted")),
            GroupEvent::RetentionChanged { days: 0, .. } => {
                self.notes.push(format!("group {group}: messages are kept for ever from now on"));
            }
            GroupEvent::RetentionChanged { days, kept_until: None } => {
                self.notes.push(format!("group {group}: messages are kept for {days} days from now on"));
            }
            GroupEvent::RetentionChanged { days, kept_until: Some(until) } => self.notes.push(format!(
                "group {group}: messages are kept for {days} days only; those that are older are deleted after {} UTC",
                time::short(*until)
            )),
            GroupEvent::Continues { successor } => {
                self.notes.push(format!("group {group} goes on in group {}", short(successor)));
            }
            GroupEvent::SuccessorRefused { successor, by } => self.notes.push(format!(
                "{by} has invited you to group {}, which says that it takes the place of group {group}; {by} is no owner \
                 there, so that it does not",
                short(successor)
            )),
            GroupEvent::AnswerRefused { number, code } => {
                self.notes.push(format!("group {group}: the answer {number} was not sent: {code}"));
            }
            GroupEvent::WakeRefused { code } => {
                self.notes.push(format!("group {group} does not wake this device: {}", wake::reason(code)));
            }
            GroupEvent::Changed { rejoined, .. } => {
                for (address, device) in rejoined {
                    self.notes
                        .push(format!("group {group}: device {device} of {address} had lost its place and is back"));
                }
            }
            _ => {}
        }
    }

    pub(super) fn say(&self) {
        for note in &self.notes {
            eprintln!("{note}");
        }
    }
}
