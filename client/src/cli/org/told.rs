//! What happened with organisations while a command ran.

use data_encoding::HEXLOWER;

use super::short;
use crate::cli::{CommandError, output, time};
use crate::engine::{Event, OrganisationEvent};

/// Collected, and said at the end on standard error.
#[derive(Debug, Default)]
pub(in crate::cli) struct Told {
    notes: Vec<String>,
    /// The draft that was made or signed last, with its signatures and how many it needs.
    pub(super) draft: Option<([u8; 32], usize, u32)>,
    /// The drafts that were made, in order.
    pub(super) drafts: Vec<[u8; 32]>,
    /// What came in a file was refused.
    pub(super) refused: Option<String>,
}

impl Told {
    pub(in crate::cli) fn hear(&mut self, event: &Event) {
        let Event::Organisation { organisation, event } = event else { return };
        let which = short(&organisation.0);
        let by =
            |from: &Option<medipeps_core::Address>| from.as_ref().map(|one| format!(" by {one}")).unwrap_or_default();
        match event {
            OrganisationEvent::Drafted { draft, from } => {
                self.drafts.push(*draft);
                self.draft = Some((*draft, 0, 0));
                if let Some(from) = from {
                    self.notes.push(format!(
                        "{from} asks you to sign draft {} of organisation {which}; `org sign {}` shows it",
                        short(draft),
                        short(draft)
                    ));
                }
            }
            OrganisationEvent::Signed { draft, signatures, needed } => {
                self.draft = Some((*draft, *signatures, *needed));
                if *signatures as u64 >= u64::from(*needed) {
                    self.notes.push(format!(
                        "draft {} has {signatures} of {needed} signatures; `org publish {}` makes it hold",
                        short(draft),
                        short(draft)
                    ));
                }
            }
            OrganisationEvent::Offered { name, by: from } => self.notes.push(format!(
                "you are told of the organisation \"{}\" ({which}){}; compare its id and run `org join {which}`",
                output::line(name),
                by(from)
            )),
            OrganisationEvent::Advanced { version } => {
                self.notes.push(format!("organisation {which} has statement {version} now"));
            }
            OrganisationEvent::Forked { version, by: from } => self.notes.push(format!(
                "ALARM: organisation {which} has two statements of version {version}, both signed (the second was brought{}). Somebody \
                 acts against its administrators. Nothing of it is trusted until you have asked them and decided: `org show {which}`, \
                 `org resolve {which}`",
                by(from)
            )),
            OrganisationEvent::Certified { role, ends } => self.notes.push(format!(
                "organisation {which} certifies you as \"{}\" until {}",
                output::line(role),
                time::short(*ends)
            )),
            OrganisationEvent::MemberSeen { address, role, ends } => self.notes.push(format!(
                "{address} is certified by organisation {which} as \"{}\" until {}",
                output::line(role),
                time::short(*ends)
            )),
            OrganisationEvent::Refused { from, code } => {
                self.refused = Some(code.clone());
                self.notes.push(format!("something about organisation {which} that was sent{} is refused ({code})", by(from)));
            }
            OrganisationEvent::NotReachable { address } => self.notes.push(format!(
                "{address} was not told: it belongs to another server and is no contact; run `contact add {address} --server HOST:PORT`, or \
                 hand over the file"
            )),
            OrganisationEvent::NotCertified { code } => {
                self.notes.push(format!("your certificate of organisation {which} does not hold ({code})"));
            }
            OrganisationEvent::TakingOut { group, address, code } => self.notes.push(format!(
                "{address} is being taken out of group {}: the certificate does not hold ({code})",
                short(group)
            )),
            OrganisationEvent::BreakGlass { request, what, by } => self.notes.push(format!(
                "emergency access {} of organisation {which}: {what} by {by}; `org break-glass list` shows it",
                &HEXLOWER.encode(request)[..8]
            )),
            OrganisationEvent::KeyDrawn { .. }
            | OrganisationEvent::KeyAdded { .. }
            | OrganisationEvent::Published { .. }
            | OrganisationEvent::Joined
            | OrganisationEvent::Resolved => {}
        }
    }

    /// Something could not be sent yet.
    pub(super) fn waits(&mut self, problem: String) {
        self.notes.push(format!("not everything is sent yet: {problem}; `sync` goes on with it"));
    }

    pub(in crate::cli) fn say(&self) -> Result<(), CommandError> {
        for note in &self.notes {
            eprintln!("{note}");
        }
        Ok(())
    }
}
