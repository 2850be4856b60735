//! What `spec/proto/content.proto` has about cases and mailboxes.

use prost::Message;

use super::address;
use crate::kind::{Case, CaseMember, MailboxAct, MailboxEvent, MessageId};
use crate::limits::CASE_TEAM_MAX;
use crate::wire::proto::case::Says;
use crate::wire::{WireError, fixed, proto};

pub(super) fn encode(case: &Case) -> Vec<u8> {
    let says = match case {
        Case::Opening { title, team, closes } => Says::Opening(proto::CaseOpening {
            title: title.clone(),
            team: encode_team(team),
            closes: closes.unwrap_or(0),
        }),
        Case::Closing { reason } => Says::Closing(proto::CaseClosing { reason: reason.clone() }),
        Case::Reopening { reason, closes } => {
            Says::Reopening(proto::CaseReopening { reason: reason.clone(), closes: closes.unwrap_or(0) })
        }
        Case::Team { team } => Says::Team(proto::CaseTeam { team: encode_team(team) }),
    };
    proto::Case { says: Some(says) }.encode_to_vec()
}

/// `None` is of a later version.
pub(super) fn decode(bytes: &[u8]) -> Result<Option<Case>, WireError> {
    let Some(says) = proto::Case::decode(bytes)?.says else { return Ok(None) };
    let time = |time: u64| (time != 0).then_some(time);
    Ok(Some(match says {
        Says::Opening(opening) => {
            Case::Opening { title: opening.title, team: decode_team(opening.team)?, closes: time(opening.closes) }
        }
        Says::Closing(closing) => Case::Closing { reason: closing.reason },
        Says::Reopening(reopening) => Case::Reopening { reason: reopening.reason, closes: time(reopening.closes) },
        Says::Team(team) => Case::Team { team: decode_team(team.team)? },
    }))
}

/// Also in transcripts.
pub(in crate::wire) fn encode_team(team: &[CaseMember]) -> Vec<proto::CaseMember> {
    let member = |member: &CaseMember| proto::CaseMember {
        address: member.address.to_string(),
        function: member.function.clone(),
        may_close: member.may_close,
    };
    team.iter().map(member).collect()
}

pub(in crate::wire) fn decode_team(team: Vec<proto::CaseMember>) -> Result<Vec<CaseMember>, WireError> {
    if team.len() > CASE_TEAM_MAX {
        return Err(WireError::Bounds("team"));
    }
    let member = |member: proto::CaseMember| {
        let address = address(&member.address, "team.address")?;
        Ok(CaseMember { address, function: member.function, may_close: member.may_close })
    };
    team.into_iter().map(member).collect()
}

pub(super) fn encode_mailbox_event(event: &MailboxEvent) -> Vec<u8> {
    let (act, assignee) = match &event.act {
        MailboxAct::Claimed => (proto::MailboxAct::Claimed, String::new()),
        MailboxAct::Assigned(assignee) => (proto::MailboxAct::Assigned, assignee.to_string()),
        MailboxAct::Released => (proto::MailboxAct::Released, String::new()),
        MailboxAct::Done => (proto::MailboxAct::Done, String::new()),
    };
    proto::MailboxEvent { message: event.message.0.to_vec(), act: act.into(), assignee }.encode_to_vec()
}

pub(super) fn decode_mailbox_event(bytes: &[u8]) -> Result<MailboxEvent, WireError> {
    let event = proto::MailboxEvent::decode(bytes)?;
    let act = proto::MailboxAct::try_from(event.act);
    let act = match (act, event.assignee.as_str()) {
        (Ok(proto::MailboxAct::Assigned), assignee) => MailboxAct::Assigned(address(assignee, "assignee")?),
        (Ok(proto::MailboxAct::Claimed), "") => MailboxAct::Claimed,
        (Ok(proto::MailboxAct::Released), "") => MailboxAct::Released,
        (Ok(proto::MailboxAct::Done), "") => MailboxAct::Done,
        (Ok(proto::MailboxAct::Unspecified) | Err(_), _) => return Err(WireError::Bounds("act")),
        (Ok(_), _) => return Err(WireError::Bounds("assignee")),
    };
    Ok(MailboxEvent { message: MessageId(fixed(&event.message, "message")?), act })
}
