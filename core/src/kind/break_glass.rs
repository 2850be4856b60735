//! Access in an emergency, beyond one's role: asked for, agreed to, used and ended where others see it.
//!
//! Everything is said in the log of the group that the organisation's policy names, so that what has happened is signed and
//! cannot be taken back. Those who are to be told of a use get the same over 1:1.

use super::content::ContentError;
use crate::Address;
use crate::limits::{BREAK_GLASS_DURATION_MAX, BREAK_GLASS_PEOPLE_MAX, BREAK_GLASS_TEXT_LENGTH_MAX};
use crate::organisation::OrganisationId;

/// Something about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakGlassEvent {
    /// Whose policy allows it.
    pub organisation: OrganisationId,
    /// Names the request.
    pub request: [u8; 16],
    /// What.
    pub says: BreakGlassSays,
}

/// What is said about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BreakGlassSays {
    /// The sender asks for access.
    Requested {
        /// Why.
        reason: String,
        /// What is to be opened, in words.
        subject: String,
    },
    /// The sender agrees.
    Agreed,
    /// The sender, who has asked, opens.
    Used(BreakGlassUse),
    /// The sender, who has opened, is done before the time is over.
    Ended,
}

/// A use, as it is told to those who are to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakGlassUse {
    /// Milliseconds since 1970, by the clock of who opens.
    pub from: u64,
    /// Milliseconds since 1970; not included.
    pub until: u64,
    /// Who opens.
    pub requester: Address,
    /// Who has agreed, in the order of the log.
    pub agreed: Vec<Address>,
    /// Why.
    pub reason: String,
    /// What, in words.
    pub subject: String,
}

impl BreakGlassEvent {
    pub(super) fn fallback_text(&self) -> String {
        match &self.says {
            BreakGlassSays::Requested { reason, subject } => {
                format!("Emergency access is asked for: {subject}. Reason: {reason}")
            }
            BreakGlassSays::Agreed => "Agrees to an emergency access".to_owned(),
            BreakGlassSays::Used(usage) => {
                let agreed: Vec<_> = usage.agreed.iter().map(Address::as_str).collect();
                format!(
                    "Emergency access is used by {}: {}. Reason: {}. Agreed: {}",
                    usage.requester,
                    usage.subject,
                    usage.reason,
                    agreed.join(", ")
                )
            }
            BreakGlassSays::Ended => "An emergency access is ended".to_owned(),
        }
    }

    pub(super) fn validate(&self) -> Result<(), ContentError> {
        let text = |text: &str, field| {
            let good = !text.trim().is_empty() && text.len() <= BREAK_GLASS_TEXT_LENGTH_MAX;
            if good { Ok(()) } else { Err(ContentError::Field(field)) }
        };
        match &self.says {
            BreakGlassSays::Requested { reason, subject } => {
                text(reason, "break_glass.reason")?;
                text(subject, "break_glass.subject")
            }
            BreakGlassSays::Used(usage) => {
                text(&usage.reason, "break_glass.reason")?;
                text(&usage.subject, "break_glass.subject")?;
                if !(1..=BREAK_GLASS_PEOPLE_MAX).contains(&usage.agreed.len()) {
                    return Err(ContentError::Field("break_glass.agreed"));
                }
                match usage.until.checked_sub(usage.from) {
                    Some(1..=BREAK_GLASS_DURATION_MAX) => Ok(()),
                    _ => Err(ContentError::Field("break_glass.until")),
                }
            }
            BreakGlassSays::Agreed | BreakGlassSays::Ended => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::test_content::content;
    use crate::kind::{Body, Content};

    fn event(says: BreakGlassSays) -> BreakGlassEvent {
        BreakGlassEvent { organisation: OrganisationId([1; 32]), request: [2; 16], says }
    }

    fn usage() -> BreakGlassUse {
        BreakGlassUse {
            from: 5,
            until: 6,
            requester: "a@b".parse().unwrap(),
            agreed: vec!["c@b".parse().unwrap()],
            reason: "Unconscious".into(),
            subject: "The file of bed 4".into(),
        }
    }

    #[test]
    fn everything_that_is_said_comes_back_as_it_was() {
        let asked = BreakGlassSays::Requested { reason: "Unconscious".into(), subject: "Bed 4".into() };
        for says in [asked, BreakGlassSays::Agreed, BreakGlassSays::Used(usage()), BreakGlassSays::Ended] {
            let sent = content(Body::BreakGlass(event(says)));
            assert!(!sent.fallback_text.is_empty());
            assert_eq!(Content::decode(&sent.encode().unwrap()), Ok(sent));
        }
    }

    #[test]
    fn a_use_without_a_reason_an_agreement_or_an_end_is_refused() {
        let refused = |change: fn(&mut BreakGlassUse)| {
            let mut usage = usage();
            change(&mut usage);
            event(BreakGlassSays::Used(usage)).validate()
        };
        assert_eq!(refused(|_| {}), Ok(()));
        assert_eq!(refused(|usage| usage.reason = " ".into()), Err(ContentError::Field("break_glass.reason")));
        assert_eq!(refused(|usage| usage.agreed.clear()), Err(ContentError::Field("break_glass.agreed")));
        assert_eq!(refused(|usage| usage.until = 5), Err(ContentError::Field("break_glass.until")));
        assert_eq!(refused(|usage| usage.until = 86_400_006), Err(ContentError::Field("break_glass.until")));
    }
}
