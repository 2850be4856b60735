//! What travels between two people about a group: an invitation, and the way back for who has lost its state.

use std::fmt;

use super::content::{AttachmentPlace, ContentError};
use crate::Address;
use crate::address::is_domain;
use crate::limits::{GROUP_BLOB_LENGTH_MAX, GROUP_INLINE_LENGTH_MAX, GROUP_NAME_LENGTH_MAX};

/// A place in a group's log. It means nothing under another incarnation of the server's store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    /// Of the store that gave the sequence.
    pub incarnation: [u8; 16],
    /// Rising over the whole log.
    pub sequence: u64,
}

/// A device has been added to a group: all that it needs to join.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupInvitation {
    /// The group's log.
    pub log_id: [u8; 32],
    /// Whose server keeps it.
    pub domain: String,
    /// The Welcome's epoch, where the new member begins to read.
    pub epoch: u64,
    /// What comes after it in the log is for the new member.
    pub position: LogPosition,
    /// What is shown until the group's authenticated name has been read.
    pub name: String,
    /// An encoded [`crate::group::GroupWelcome`]: Welcome (RFC 9420 section 12.4.3.1) and ratchet tree.
    pub invitation: AttachmentPlace,
    /// Who invites. It must be the account that sends this: see [`Self::is_from`].
    pub inviter: Address,
}

/// A device that has lost the group's state asks a member for what an external commit needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupRejoinRequest {
    /// The group's log.
    pub log_id: [u8; 32],
    /// The last epoch that the device knows of.
    pub epoch: Option<u64>,
}

/// What an external commit needs, and the keys with which the log is read until it has been made.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupRejoinAnswer {
    /// The group's log.
    pub log_id: [u8; 32],
    /// The epoch of all that follows.
    pub epoch: u64,
    /// What comes after it in the log is read with these keys.
    pub position: LogPosition,
    /// An encoded [`crate::group::GroupRejoin`]: GroupInfo, ratchet tree and the epoch's keys. It is secret.
    pub help: AttachmentPlace,
}

impl GroupInvitation {
    /// Whether the account that the session has authenticated is the one that is said to invite.
    #[must_use]
    pub fn is_from(&self, sender: &Address) -> bool {
        self.inviter == *sender
    }

    pub(super) fn fallback_text(&self) -> String {
        format!("Invitation to the group \"{}\"", self.name)
    }

    pub(super) fn validate(&self) -> Result<(), ContentError> {
        if !is_domain(&self.domain) {
            return Err(ContentError::Field("group_invitation.domain"));
        }
        if self.name.len() > GROUP_NAME_LENGTH_MAX || self.name.chars().any(char::is_control) {
            return Err(ContentError::Field("group_invitation.name"));
        }
        places("group_invitation.invitation", [Some(&self.invitation), None])
    }
}

impl GroupRejoinAnswer {
    pub(super) fn validate(&self) -> Result<(), ContentError> {
        places("group_rejoin_answer.help", [Some(&self.help), None])
    }
}

/// What is inside the message must fit there, what is in a blob must be worth fetching unasked, and nothing is empty.
fn places(field: &'static str, places: [Option<&AttachmentPlace>; 2]) -> Result<(), ContentError> {
    let mut length = 0;
    for place in places.into_iter().flatten() {
        match place {
            AttachmentPlace::Inline(bytes) if bytes.is_empty() => return Err(ContentError::Field(field)),
            AttachmentPlace::Inline(bytes) => length += bytes.len(),
            AttachmentPlace::Blob(blob) if !(1..=GROUP_BLOB_LENGTH_MAX).contains(&blob.length) => {
                return Err(ContentError::Field(field));
            }
            AttachmentPlace::Blob(_) => {}
        }
    }
    if length > GROUP_INLINE_LENGTH_MAX { Err(ContentError::Field(field)) } else { Ok(()) }
}

impl fmt::Debug for GroupInvitation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("GroupInvitation").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl fmt::Debug for GroupRejoinAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("GroupRejoinAnswer").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attachment::BlobReference;
    use crate::crypto::secret::Secret;
    use crate::kind::test_content::content;
    use crate::kind::{Body, Content};

    fn blob(length: u64) -> AttachmentPlace {
        let (domain, key) = ("clinic.example".into(), Secret::from([2; 32]).into());
        AttachmentPlace::Blob(BlobReference { domain, id: [1; 32], key, length, root: [3; 32], expires: 4 })
    }

    fn invitation() -> GroupInvitation {
        GroupInvitation {
            log_id: [1; 32],
            domain: "clinic.example".into(),
            epoch: 5,
            position: LogPosition { incarnation: [2; 16], sequence: 77 },
            name: "Intensive care".into(),
            invitation: AttachmentPlace::Inline(vec![3; 1000]),
            inviter: "claire@clinic.example".parse().unwrap(),
        }
    }

    fn answer() -> GroupRejoinAnswer {
        GroupRejoinAnswer {
            log_id: [1; 32],
            epoch: 500,
            position: LogPosition { incarnation: [2; 16], sequence: 9000 },
            help: AttachmentPlace::Inline(vec![4; 900]),
        }
    }

    #[test]
    fn each_comes_back_as_it_was() {
        let bodies = [
            Body::GroupInvitation(invitation()),
            Body::GroupInvitation(GroupInvitation { invitation: blob(200_000), ..invitation() }),
            Body::GroupRejoinRequest(GroupRejoinRequest { log_id: [1; 32], epoch: Some(4) }),
            Body::GroupRejoinRequest(GroupRejoinRequest { log_id: [1; 32], epoch: None }),
            Body::GroupRejoinAnswer(answer()),
        ];
        for body in bodies {
            let sent = content(body);
            assert!(!sent.fallback_text.is_empty());
            assert_eq!(Content::decode(&sent.encode().unwrap()), Ok(sent));
        }
    }

    #[test]
    fn an_invitation_is_taken_from_the_inviter_alone() {
        assert!(invitation().is_from(&"claire@clinic.example".parse().unwrap()));
        assert!(!invitation().is_from(&"karim@clinic.example".parse().unwrap()));
    }

    #[test]
    fn what_does_not_fit_a_message_goes_as_a_blob() {
        let encode = |change: fn(&mut GroupInvitation)| {
            let mut invitation = invitation();
            change(&mut invitation);
            content(Body::GroupInvitation(invitation)).encode().map(|_| ())
        };
        let inline = |length| AttachmentPlace::Inline(vec![3; length]);
        let refused = Err(ContentError::Field("group_invitation.invitation"));
        assert_eq!(encode(|one| one.invitation = AttachmentPlace::Inline(vec![3; GROUP_INLINE_LENGTH_MAX])), Ok(()));
        assert_eq!(
            encode(|one| one.invitation = AttachmentPlace::Inline(vec![3; GROUP_INLINE_LENGTH_MAX + 1])),
            refused
        );
        assert_eq!(encode(|one| one.invitation = AttachmentPlace::Inline(Vec::new())), refused);
        assert_eq!(encode(|one| one.invitation = blob(GROUP_BLOB_LENGTH_MAX + 1)), refused);
        assert_eq!(encode(|one| one.domain = "no domain".into()), Err(ContentError::Field("group_invitation.domain")));
        assert_eq!(encode(|one| one.name = "a\nb".into()), Err(ContentError::Field("group_invitation.name")));
        let long = GroupRejoinAnswer { help: inline(GROUP_INLINE_LENGTH_MAX + 1), ..answer() };
        let refused = Err(ContentError::Field("group_rejoin_answer.help"));
        assert_eq!(content(Body::GroupRejoinAnswer(long)).encode().map(|_| ()), refused);
    }

    #[test]
    fn help_is_not_printed() {
        let text = format!("{:?}", content(Body::GroupRejoinAnswer(answer())));
        assert!(!text.contains("4, 4") && !text.contains("0404"));
    }
}
