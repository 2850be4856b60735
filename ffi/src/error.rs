//! Why something could not be done. Codes are stable: `spec/bindings.md` has them all.

use medipeps_client::account_store::HandleError;
use medipeps_client::engine::{EngineError, GroupProblem, OrganisationProblem};
use medipeps_client::shell::agent::cases::ExportError;
use medipeps_client::shell::agent::{AgentError, NetworkError};
use medipeps_client::shell::backup_file::BackupFileError;
use medipeps_client::shell::connection::{ConnectError, RequestError};
use medipeps_client::store::StoreError;
use medipeps_core::backup::BackupError;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply};

macro_rules! errors {
    ($($(#[$documentation:meta])* $name:ident = $code:literal;)*) => {
        /// Why something could not be done. Nothing was changed unless the variant says otherwise.
        ///
        /// `code` is the variant's number, `reason` a stable word within the variant, `detail` a sentence for a log or a
        /// developer, in English and without secrets.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
        pub enum MedipepsError {
            $(
                $(#[$documentation])*
                #[error("{detail}")]
                $name {
                    /// Stays what it is for ever.
                    code: i32,
                    /// A word out of `spec/bindings.md`, or out of `spec/errors.md` where a server has said it.
                    reason: String,
                    /// For a log.
                    detail: String,
                },
            )*
        }

        impl MedipepsError {
            /// The variant's number.
            #[must_use]
            pub const fn code(&self) -> i32 {
                match self { $(Self::$name { .. } => $code,)* }
            }
        }

        /// The variants and their codes.
        #[derive(Debug, Clone, Copy)]
        pub(crate) enum Code { $($name,)* }

        impl Code {
            fn error(self, reason: &str, detail: String) -> MedipepsError {
                let reason = reason.to_owned();
                match self { $(Self::$name => MedipepsError::$name { code: $code, reason, detail },)* }
            }

            #[cfg(test)]
            pub(crate) const ALL: &[(&'static str, i32)] = &[$((stringify!($name), $code),)*];
        }
    };
}

errors! {
    /// The object was closed, or somebody has locked the account: open it again.
    Closed = 1;
    /// An argument can never be right.
    Argument = 2;
    /// There is no account's store in the folder.
    NoStore = 10;
    /// There is one already.
    StoreExists = 11;
    /// The passphrase does not open the store.
    WrongPassphrase = 12;
    /// The key of the platform's keystore does not open the store, or the store has a lock of the other kind.
    WrongKey = 13;
    /// The platform's keystore failed; `reason` is what the app said.
    KeyVault = 14;
    /// Another program holds the store for longer than an event takes. Try again.
    StoreBusy = 15;
    /// The store is damaged, of another version, or its medium failed.
    Store = 16;
    /// The folder is being wiped.
    Wiped = 17;
    /// No account was made here, or it is not registered yet.
    NoAccount = 20;
    /// The server has no such account, or this device is none of it any more.
    AccountGone = 21;
    /// The server's answer to registering is no; `reason` is its word. The keys are kept.
    RegistrationRefused = 22;
    /// A server cannot be reached, or its key or certificate is not the right one. What was to be sent is kept.
    Network = 30;
    /// A server refuses; `reason` is its word.
    Refused = 31;
    /// A contact was not accepted: its key is not the pinned one, or its server does not know it.
    ContactRefused = 40;
    /// There is no such message, group or contact.
    NotFound = 41;
    /// A linking is over without a new device; `reason` says why. Nothing was changed, unless the list of devices was
    /// published before.
    Linking = 43;
    /// A backup cannot be written or opened, or is damaged.
    Backup = 44;
    /// The engine refuses it for another reason.
    Rejected = 42;
    /// A file cannot be read or written, or a document cannot be had.
    File = 50;
    /// The system gives no random bytes, or a thread.
    System = 60;
}

impl MedipepsError {
    pub(crate) fn closed() -> Self {
        Code::Closed.error("closed", "the client was closed".to_owned())
    }

    pub(crate) fn locked() -> Self {
        Code::Closed.error("locked", "the account was locked".to_owned())
    }

    pub(crate) fn argument(name: &str, problem: &str) -> Self {
        Code::Argument.error(name, format!("{name}: {problem}"))
    }

    pub(crate) fn new(code: Code, reason: &str, message: impl ToString) -> Self {
        code.error(reason, message.to_string())
    }
}

impl From<AgentError> for MedipepsError {
    fn from(error: AgentError) -> Self {
        let message = error.to_string();
        let (code, reason) = match &error {
            AgentError::Handle(HandleError::Store(error)) => return store(error, message),
            AgentError::Handle(HandleError::Engine(error)) => return engine(error, message),
            AgentError::Randomness => (Code::System, "randomness"),
            AgentError::Network(
                NetworkError::Connect(ConnectError::Request(RequestError::Refused(reply)))
                | NetworkError::Request(RequestError::Refused(reply)),
            ) => refused(reply),
            AgentError::Network(NetworkError::Connect(ConnectError::ServerKeyChanged { .. })) => {
                (Code::Network, "server_key_changed")
            }
            AgentError::Network(NetworkError::Refused(word)) | AgentError::Refused(word) => {
                (Code::Refused, word.as_str())
            }
            AgentError::Contact { problem, .. } => (Code::ContactRefused, problem.code()),
            AgentError::Linking(problem) => (Code::Linking, problem.code()),
            AgentError::Network(NetworkError::NoAnswer) => (Code::Network, "no_answer"),
            AgentError::Network(NetworkError::Displaced) => (Code::Network, "displaced"),
            AgentError::Network(NetworkError::Stopping | NetworkError::GoingAway { .. }) => (Code::Network, "stopping"),
            AgentError::Network(NetworkError::Domain(_) | NetworkError::Lookup(_)) => (Code::Network, "domain"),
            AgentError::Network(_) | AgentError::Stalled => (Code::Network, "unreachable"),
            AgentError::Source(_) => (Code::File, "source"),
            AgentError::SealedCopy(_) => (Code::File, "sealed_copy"),
            AgentError::Fetch(_) | AgentError::Download(_) => (Code::File, "fetch"),
            AgentError::Save(_) => (Code::File, "save"),
            AgentError::Backup(error) => (Code::Backup, backup(error)),
            AgentError::NoBody(word) => (Code::File, word.as_str()),
            AgentError::AccountUnknown => (Code::AccountGone, "unknown_account"),
            AgentError::Wiped => (Code::Wiped, "wiped"),
        };
        code.error(reason, message)
    }
}

impl From<ExportError> for MedipepsError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Agent(error) => error.into(),
            ExportError::Transcript(error) => Code::Rejected.error("transcript", error.to_string()),
        }
    }
}

impl From<NetworkError> for MedipepsError {
    fn from(error: NetworkError) -> Self {
        AgentError::from(error).into()
    }
}

impl From<OrganisationProblem> for MedipepsError {
    fn from(problem: OrganisationProblem) -> Self {
        EngineError::from(problem).into()
    }
}

impl From<EngineError> for MedipepsError {
    fn from(error: EngineError) -> Self {
        AgentError::from(error).into()
    }
}

/// What a server says no to.
fn refused(reply: &ErrorReply) -> (Code, &'static str) {
    match reply.known_code() {
        Some(ErrorCode::UnknownDevice) => (Code::AccountGone, "revoked"),
        Some(ErrorCode::UnknownAccount) => (Code::AccountGone, "unknown_account"),
        Some(code) => (Code::Refused, code.name()),
        None => (Code::Refused, "unknown_code"),
    }
}

fn backup(error: &BackupFileError) -> &'static str {
    match error {
        BackupFileError::Disk { .. } => "disk",
        BackupFileError::Exists(_) => "exists",
        BackupFileError::Backup(BackupError::WrongSecret) => "wrong_secret",
        BackupFileError::Backup(BackupError::Foreign) => "foreign",
        BackupFileError::Backup(BackupError::Version(_)) => "version",
        BackupFileError::Backup(_) | BackupFileError::Stretch(_) | BackupFileError::TooLarge => "damaged",
    }
}

fn store(error: &StoreError, message: String) -> MedipepsError {
    let (code, reason) = match error {
        StoreError::Missing => (Code::NoStore, "missing"),
        StoreError::Exists => (Code::StoreExists, "exists"),
        StoreError::WrongPassphrase => (Code::WrongPassphrase, "passphrase"),
        StoreError::WrongPlatformKey => (Code::WrongKey, "platform_key"),
        StoreError::OtherLock(_) => (Code::WrongKey, "other_lock"),
        StoreError::Busy | StoreError::Stale { .. } => (Code::StoreBusy, "busy"),
        StoreError::Medium(_) | StoreError::Full => (Code::Store, "medium"),
        StoreError::Format { .. } => (Code::Store, "format"),
        StoreError::Memory => (Code::Store, "memory"),
        StoreError::TooLarge { .. } => (Code::Store, "too_large"),
        StoreError::Header(_) | StoreError::Generation | StoreError::Corrupt { .. } => (Code::Store, "damaged"),
        _ => (Code::Store, "failed"),
    };
    code.error(reason, message)
}

fn engine(error: &EngineError, message: String) -> MedipepsError {
    let (code, reason) = match error {
        EngineError::NoAccount => (Code::NoAccount, "none"),
        EngineError::NotRegistered => (Code::NoAccount, "not_registered"),
        EngineError::NotRecovered => (Code::NoAccount, "not_recovered"),
        EngineError::AccountExists(_) | EngineError::AccountBegun(_) => (Code::Rejected, "account_exists"),
        EngineError::Revoked(_) => (Code::AccountGone, "revoked"),
        EngineError::StateRolledBack => (Code::AccountGone, "state_rolled_back"),
        EngineError::UnknownMessage => (Code::NotFound, "message"),
        EngineError::UnknownContact(_) | EngineError::NotAContact(_) => (Code::NotFound, "contact"),
        EngineError::UnknownDevice(_) => (Code::NotFound, "device"),
        EngineError::UnknownServer(_) => (Code::Network, "unknown_server"),
        EngineError::ServerKeyChanged(_) => (Code::Network, "server_key_changed"),
        EngineError::NoRecipients => (Code::Argument, "no_recipients"),
        EngineError::TooManyRecipients { .. } => (Code::Argument, "too_many_recipients"),
        EngineError::AttachmentTooLarge { .. } => (Code::Argument, "attachment_too_large"),
        EngineError::Content(_) => (Code::Argument, "content"),
        EngineError::Name { .. } | EngineError::DeviceName { .. } => (Code::Argument, "name"),
        EngineError::OwnAddress(_) => (Code::Argument, "own_address"),
        EngineError::Organisation(problem) => organisation(problem),
        EngineError::WrongRecoveryKey(_) => (Code::Rejected, "wrong_recovery_key"),
        EngineError::NotPrimary => (Code::Rejected, "not_primary"),
        EngineError::Group(GroupProblem::Unknown) => (Code::NotFound, "group"),
        EngineError::Group(GroupProblem::UnknownCase) => (Code::NotFound, "case"),
        EngineError::Group(GroupProblem::UnknownMessage(_)) => (Code::NotFound, "message"),
        EngineError::Group(GroupProblem::Name) => (Code::Argument, "name"),
        EngineError::Group(GroupProblem::CaseRefused(_) | GroupProblem::CaseTooLong) => (Code::Rejected, "case"),
        EngineError::Group(_) => (Code::Rejected, "group"),
        _ => (Code::Rejected, "refused"),
    };
    code.error(reason, message)
}

const fn organisation(problem: &OrganisationProblem) -> (Code, &'static str) {
    match problem {
        OrganisationProblem::Unknown => (Code::NotFound, "organisation"),
        OrganisationProblem::UnknownDraft => (Code::NotFound, "draft"),
        OrganisationProblem::UnknownKey => (Code::NotFound, "administrator_key"),
        OrganisationProblem::UnknownRequest => (Code::NotFound, "request"),
        OrganisationProblem::AlreadyEnded => (Code::Argument, "ends"),
        OrganisationProblem::Statement(_) => (Code::Argument, "statement"),
        OrganisationProblem::Message(_) => (Code::Argument, "file"),
        OrganisationProblem::NotJoined => (Code::Rejected, "not_joined"),
        OrganisationProblem::AlreadyJoined => (Code::Rejected, "already_joined"),
        OrganisationProblem::Forked => (Code::Rejected, "forked"),
        OrganisationProblem::NotForked => (Code::Rejected, "not_forked"),
        OrganisationProblem::AddressTaken(_) => (Code::Rejected, "address_taken"),
        OrganisationProblem::TooManyDrafts { .. } => (Code::Rejected, "too_many_drafts"),
        OrganisationProblem::NotAdministrator => (Code::Rejected, "not_administrator"),
        OrganisationProblem::NotListed => (Code::Rejected, "not_listed"),
        OrganisationProblem::NotEnoughSignatures { .. } => (Code::Rejected, "not_enough_signatures"),
        OrganisationProblem::StaleDraft => (Code::Rejected, "stale_draft"),
        OrganisationProblem::NothingChanged => (Code::Rejected, "nothing_changed"),
        OrganisationProblem::SeatsExceeded { .. } => (Code::Rejected, "seats_exceeded"),
        OrganisationProblem::NoCertificate(_) => (Code::Rejected, "no_certificate"),
        OrganisationProblem::NotCertified => (Code::Rejected, "not_certified"),
        OrganisationProblem::MemberNotCertified(_) => (Code::Rejected, "member_not_certified"),
        OrganisationProblem::ServiceOff { .. } => (Code::Rejected, "service_off"),
        OrganisationProblem::RetentionTooLong { .. } => (Code::Rejected, "retention_too_long"),
        OrganisationProblem::NoBreakGlass => (Code::Rejected, "no_break_glass"),
        OrganisationProblem::MayNotAgree => (Code::Rejected, "may_not_agree"),
        OrganisationProblem::NotAgreed { .. } => (Code::Rejected, "not_agreed"),
        OrganisationProblem::NotRequester => (Code::Rejected, "not_requester"),
        OrganisationProblem::AlreadyUsed => (Code::Rejected, "already_used"),
        OrganisationProblem::Chain(_) | OrganisationProblem::Membership(_) => (Code::Rejected, "organisation"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_specification() {
        let specification = include_str!("../../spec/bindings.md");
        for (name, code) in Code::ALL {
            assert!(specification.contains(&format!("| {code} | `{name}` |")), "spec/bindings.md lacks {code} {name}");
        }
        let rows = specification.lines().filter(|line| line.starts_with("| ") && line.contains(" | `"));
        let codes = rows.filter(|line| line[2..].split(' ').next().is_some_and(|word| word.parse::<i32>().is_ok()));
        assert_eq!(codes.count(), Code::ALL.len());
    }
}
