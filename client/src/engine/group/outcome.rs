//! What comes into a group and what comes out of it.

use medipeps_core::Address;
use medipeps_core::group::GroupError;
use medipeps_core::kind::{CaseRefusal, MessageId};
use medipeps_core::limits::{GROUP_NAME_LENGTH_MAX, TRANSCRIPT_MESSAGES_MAX};
use medipeps_core::wire::client_records::{GroupChangeKind, GroupMessageState, GroupStanding};
use medipeps_core::wire::transport::{ErrorReply, Response};
use thiserror::Error;

use super::{
    CreateGroup, GroupBlobRequest, GroupChange, GroupEntries, GroupId, GroupSignal, ReportMessage, SendToCase,
    SendToGroup, append, blob, case, change, creation, key_packages, mailbox, message, read_position, reading, report,
    successor, typing, wake,
};
use crate::engine::transaction::{Stop, Transaction};

/// What happened to a group, or is to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupInput {
    /// Make a group.
    Create(CreateGroup),
    /// Change one.
    Change(GroupChange),
    /// Say something.
    Send(Box<SendToGroup>),
    /// Entries of a log that the server has pushed.
    Entries(GroupEntries),
    /// Read every log with the next tick.
    ReadAll,
    /// A person has seen the messages of a group up to this number.
    Seen(GroupId, u64),
    /// Open a message to the organisation's officer.
    Report(ReportMessage),
    /// Make a group anew, in the place of one that cannot go on or whose suite changes.
    Recreate(GroupId),
    /// A person types in a group, or has stopped. Nothing of it is stored.
    Typing(GroupId, bool),
    /// A signal that the server has passed on.
    Signal(GroupSignal),
    /// Whether the members of a group are told what is read here.
    ReadPositions(GroupId, bool),
    /// Say something about a case or in one.
    Case(Box<SendToCase>),
    /// The account is the mailbox of this group from now on; `None`: of none.
    Serve(Option<GroupId>),
}

/// What was asked of a server for a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupCorrelation {
    /// Its log.
    CreateLog(GroupId),
    /// An entry.
    Append {
        /// Which group.
        group: GroupId,
        /// The entry.
        entry_id: [u8; 16],
    },
    /// The entries of an epoch.
    Fetch {
        /// Which group.
        group: GroupId,
        /// The epoch.
        epoch: u64,
    },
    /// Key packages of an account that is to be added.
    FetchKeyPackages {
        /// Which group.
        group: GroupId,
        /// For which change.
        change: u64,
        /// Whose.
        address: Address,
    },
    /// Something about the blob of an invitation.
    Blob {
        /// Which group.
        group: GroupId,
        /// What.
        step: GroupBlobRequest,
    },
    /// How many key packages of this device are left.
    KeyPackageStatus,
    /// An upload of key packages, by its sequence.
    PublishKeyPackages(u64),
    /// A signal to those who watch.
    Signal(GroupId),
    /// Where this device is woken.
    Wake(GroupId),
    /// That it is woken no more.
    WakeOff(GroupId),
}

/// What a shell tells a person or a program about a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupEvent {
    /// It is made, and its log is being asked for.
    Prepared,
    /// The server has its log.
    Made,
    /// This device is in it.
    Joined {
        /// What it is called.
        name: String,
        /// Who has added it.
        by: Address,
    },
    /// An invitation came to nothing.
    InvitationRefused {
        /// Why.
        code: String,
    },
    /// Something is to be said.
    MessageQueued {
        /// Its number.
        number: u64,
    },
    /// Somebody has said something.
    Message {
        /// Its number.
        number: u64,
    },
    /// What was said here has come further.
    MessageState {
        /// Its number.
        number: u64,
        /// How far.
        state: GroupMessageState,
        /// Of a failure.
        code: Option<String>,
    },
    /// Members, roles, name or keys have changed.
    Changed {
        /// Who has changed it.
        by: Address,
        /// Accounts that are new.
        added: Vec<Address>,
        /// Accounts that are gone.
        removed: Vec<Address>,
        /// Devices that had lost their state and are back.
        rejoined: Vec<(Address, u32)>,
    },
    /// A change that was asked for cannot be made.
    ChangeFailed {
        /// Which.
        what: GroupChangeKind,
        /// Why.
        code: String,
    },
    /// Somebody has taken this account out.
    Removed,
    /// This account has left.
    Left,
    /// This device had lost its place, and is back.
    Rejoined,
    /// Something keeps the group from going on.
    Problem {
        /// What.
        code: String,
    },
    /// Somebody has said something, and it does not ring: the group or the thread is muted, or its sender is blocked.
    MutedMessage {
        /// Its number.
        number: u64,
    },
    /// An entry of the log is passed over: it cannot be read, or breaks the group's rules.
    EntryRefused {
        /// Why.
        code: String,
    },
    /// Messages that were over have been deleted.
    Deleted {
        /// How many.
        count: u64,
    },
    /// The members have agreed on another retention.
    RetentionChanged {
        /// Days; 0: for ever.
        days: u32,
        /// Where it was shortened: before this nothing is deleted by it; milliseconds since 1970, by the server's clock.
        kept_until: Option<u64>,
    },
    /// The group goes on in another one.
    Continues {
        /// Which.
        successor: GroupId,
    },
    /// Somebody who was no owner has invited this device to a group that claims to be this one's successor. It is kept as a
    /// group of its own.
    SuccessorRefused {
        /// The group.
        successor: GroupId,
        /// Who has invited.
        by: Address,
    },
    /// Somebody types, or has stopped. It is shown for [`medipeps_core::limits::TYPING_SHOWN`] if no other comes.
    Typing {
        /// Who.
        by: Address,
        /// With which device.
        device: u32,
        /// Whether he does.
        active: bool,
        /// By his clock, in milliseconds since 1970: what is no later than what came before from this device is old.
        at: u64,
    },
    /// A member has read up to a message.
    Read {
        /// Who.
        by: Address,
        /// Its number.
        number: u64,
    },
    /// The group's server does not wake this device; it is asked every 15 minutes all the same.
    WakeRefused {
        /// Why.
        code: String,
    },
    /// What a member has answered in the mailbox's name cannot be sent.
    AnswerRefused {
        /// The number of his message.
        number: u64,
        /// Why.
        code: String,
    },
    /// A message has come to the group's mailbox, or somebody has done something with one, or has answered it. It may be told more
    /// than once.
    Mailbox {
        /// The message, by its name in the mailbox.
        message: MessageId,
    },
}

/// Why something in a group is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GroupProblem {
    /// There is no such group here.
    #[error("there is no such group here")]
    Unknown,
    /// Nothing can be said or changed in it.
    #[error("{}", closed(*.0))]
    Closed(GroupStanding),
    /// Readers may not write.
    #[error("you may read in this group, not write")]
    Reader,
    /// Only owners may.
    #[error("only an owner of the group may do that")]
    NotOwner,
    /// The group needs one.
    #[error("the group would have no owner; make somebody else an owner first")]
    LastOwner,
    /// Who is meant is not in the group.
    #[error("{0} is not in the group")]
    NotMember(Address),
    /// Who is meant is in the group.
    #[error("{0} is in the group already")]
    Member(Address),
    /// Too much is to be changed already.
    #[error("{max} changes wait already; run `sync` first")]
    TooManyChanges {
        /// The limit.
        max: usize,
    },
    /// A name that nobody could show.
    #[error("a group's name has 1 to {GROUP_NAME_LENGTH_MAX} bytes and no control characters")]
    Name,
    /// What MLS or the group's rules say.
    #[error(transparent)]
    Engine(#[from] GroupError),
    /// There is no message of this number.
    #[error("there is no message {0} in this group")]
    UnknownMessage(u64),
    /// It is not in the log (yet), so nobody else has it.
    #[error("the message is not in the group's log, so nobody has seen it")]
    NotInLog,
    /// The certificate of the sender's device is not here.
    #[error("the certificate of the sender's device is not on this device; report from another one of yours")]
    NoCertificate,
    /// What is kept of the message does not prove who sent it.
    #[error("what this device has kept of the message proves nothing; report it from another one of yours")]
    NotProven,
    /// It goes on in another one.
    #[error("the group goes on in another one; `group show` names it")]
    Continues(GroupId),
    /// In a large group nobody is told who types.
    #[error("typing is told in groups of up to {max} accounts")]
    TooManyForTyping {
        /// The limit.
        max: usize,
    },
    /// There is no such case, or it was opened before this account came into the group.
    #[error("there is no such case in this group, or it was opened before you came")]
    UnknownCase,
    /// It would not count.
    #[error(transparent)]
    CaseRefused(#[from] CaseRefusal),
    /// More messages than one case is shown with.
    #[error("the case has more than {TRANSCRIPT_MESSAGES_MAX} messages")]
    CaseTooLong,
}

const fn closed(standing: GroupStanding) -> &'static str {
    match standing {
        GroupStanding::Making | GroupStanding::Active => "the group is open",
        GroupStanding::Joining => "the group is still being joined; run `sync`",
        GroupStanding::Left | GroupStanding::Leaving => "you have left this group",
        GroupStanding::Removed => "you were taken out of this group",
        GroupStanding::Broken => "the group cannot go on; an owner has to make it anew (`group recreate`)",
        GroupStanding::Rejoining => "this device has lost its place in the group and waits for a member to help",
    }
}

/// Handles what concerns a group.
pub(in crate::engine) fn handle(transaction: &mut Transaction<'_>, input: &GroupInput) -> Result<(), Stop> {
    match input {
        GroupInput::Create(command) => creation::create(transaction, command),
        GroupInput::Change(command) => change::change(transaction, command),
        GroupInput::Send(command) => message::send(transaction, command),
        GroupInput::Entries(read) => reading::entries_read(transaction, read),
        GroupInput::ReadAll => reading::read_all(transaction),
        GroupInput::Seen(group, number) => message::mark_seen(transaction, group, *number),
        GroupInput::Report(command) => report::report(transaction, command),
        GroupInput::Recreate(group) => successor::recreate(transaction, group),
        GroupInput::Typing(group, active) => typing::send(transaction, group, *active),
        GroupInput::Signal(signal) => typing::received(transaction, signal),
        GroupInput::ReadPositions(group, told) => read_position::switch(transaction, group, *told),
        GroupInput::Case(command) => case::send(transaction, command),
        GroupInput::Serve(group) => mailbox::serve(transaction, group.as_ref()),
    }
}

/// Handles an answer. False if it does not fit what was asked.
pub(in crate::engine) fn reply(
    transaction: &mut Transaction<'_>,
    to: &GroupCorrelation,
    result: &Result<Response, ErrorReply>,
) -> Result<bool, Stop> {
    match (to, result) {
        (GroupCorrelation::CreateLog(group), Ok(Response::Done)) => append::created(transaction, group, Ok(())),
        (GroupCorrelation::CreateLog(group), Err(error)) => append::created(transaction, group, Err(error)),
        (GroupCorrelation::Append { group, entry_id }, Ok(Response::AppendGroupEntry(reply))) => {
            append::answered(transaction, (group, entry_id), Ok(reply))
        }
        (GroupCorrelation::Append { group, entry_id }, Err(error)) => {
            append::answered(transaction, (group, entry_id), Err(error))
        }
        (GroupCorrelation::Fetch { group, epoch }, Ok(Response::FetchGroupEntries(reply))) => {
            reading::entries_read(transaction, &GroupEntries::of(*group, *epoch, reply))
        }
        (GroupCorrelation::Fetch { group, epoch }, Err(error)) => {
            reading::read_refused(transaction, group, *epoch, error)
        }
        (GroupCorrelation::FetchKeyPackages { group, change, address }, Ok(Response::FetchKeyPackages(reply))) => {
            change::key_packages_fetched(transaction, (group, *change, address), reply)
        }
        (GroupCorrelation::FetchKeyPackages { group, change, .. }, Err(error)) => {
            change::key_packages_refused(transaction, (group, *change), error)
        }
        (
            GroupCorrelation::Blob { group, step },
            Ok(Response::BeginBlob(_) | Response::PutBlobPiece(_) | Response::FetchBlob(_)) | Err(_),
        ) => blob::answered(transaction, (group, *step), result),
        (GroupCorrelation::KeyPackageStatus, Ok(Response::KeyPackageStatus(status))) => {
            key_packages::maintain(transaction, status)
        }
        (GroupCorrelation::KeyPackageStatus, Err(_)) => Ok(()),
        (GroupCorrelation::PublishKeyPackages(sequence), Ok(Response::Done)) => {
            key_packages::published(transaction, *sequence, Ok(()))
        }
        (GroupCorrelation::PublishKeyPackages(sequence), Err(error)) => {
            key_packages::published(transaction, *sequence, Err(error))
        }
        // Nobody waits for what becomes of a signal.
        (GroupCorrelation::Signal(_), Ok(Response::Done) | Err(_)) => Ok(()),
        (GroupCorrelation::Wake(group), Ok(Response::Done)) => wake::answered(transaction, group, Ok(())),
        (GroupCorrelation::Wake(group), Err(error)) => wake::answered(transaction, group, Err(error)),
        (GroupCorrelation::WakeOff(group), Ok(Response::Done)) => wake::removed(transaction, group, Ok(())),
        (GroupCorrelation::WakeOff(group), Err(error)) => wake::removed(transaction, group, Err(error)),
        (_, Ok(_)) => return Ok(false),
    }
    .map(|()| true)
}
