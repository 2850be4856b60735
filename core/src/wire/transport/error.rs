//! Why a request failed, in codes that never change their meaning.

use super::group_log::GroupLogEntry;

/// A failed request. Codes are in `spec/errors.md` and [`ErrorCode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReply {
    /// The stable code; an unknown one is kept as a number.
    pub code: u32,
    /// For logs, in English, without content.
    pub message: String,
    /// With [`ErrorCode::StaleDevices`].
    pub stale_devices: Option<StaleDevices>,
    /// Milliseconds to wait, with codes that say so; 0 otherwise.
    pub retry_after: u64,
    /// With [`ErrorCode::StaleGroupEpoch`]: what closed the epoch that the request named. Absent when the entry is gone, or
    /// when the server has no memory for it now; it can be fetched all the same then.
    pub closing_commit: Option<Box<GroupLogEntry>>,
}

/// Which devices a submission should have had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleDevices {
    /// Devices of the recipient without an envelope.
    pub missing: Vec<u32>,
    /// Envelopes for devices that are none of the recipient's.
    pub extra: Vec<u32>,
    /// Version of the recipient's statement.
    pub statement_version: u64,
}

macro_rules! error_codes {
    ($($(#[$documentation:meta])* $name:ident = $code:literal;)*) => {
        /// The stable codes of [`ErrorReply`]; `spec/errors.md` says what a client does about each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum ErrorCode { $($(#[$documentation])* $name = $code,)* }

        impl ErrorCode {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code's name as in `spec/errors.md`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

error_codes! {
    /// The request could not be read, or a field is out of its bounds.
    Malformed = 1;
    /// A frame or field is larger than its limit.
    TooLarge = 2;
    /// The connection did not begin with `Hello`.
    HelloRequired = 3;
    /// The request needs a proof of device on this connection.
    ProofRequired = 4;
    /// The request is anonymous and this connection has proved a device, or the other way round.
    WrongConnection = 5;
    /// The proof of device does not verify: key, nonce, domain or exporter differ.
    ProofRefused = 6;
    /// The proof leaves out the TLS exporter on a transport that has one.
    ExporterRequired = 7;
    /// No such account here.
    UnknownAccount = 10;
    /// No such device in the account's statement.
    UnknownDevice = 11;
    /// The address belongs to another account.
    AddressTaken = 12;
    /// The address is not of this server's domain.
    WrongDomain = 13;
    /// The invitation is unknown.
    InvitationUnknown = 14;
    /// The invitation has been used.
    InvitationUsed = 15;
    /// The invitation has run out.
    InvitationExpired = 16;
    /// The statement does not verify.
    StatementRefused = 17;
    /// The statement is not the one after the current one.
    StatementVersion = 18;
    /// The prekeys do not verify.
    PrekeysRefused = 19;
    /// The upload's sequence number is not above the last one.
    PrekeySequence = 20;
    /// The envelopes do not fit the recipient's devices; `stale_devices` says how.
    StaleDevices = 30;
    /// The recipient's queue is full; `retry_after` is a guess.
    QueueFull = 31;
    /// The same submission id came with other envelopes.
    SubmissionIdReused = 32;
    /// The acknowledgement is for another incarnation of the store.
    WrongIncarnation = 33;
    /// The acknowledgement is for what was never pushed.
    AcknowledgeAhead = 34;
    /// No such blob here: it was never finished, it has run out, or it was deleted.
    UnknownBlob = 35;
    /// The blob was begun with another secret or length, or the piece is not one of it or was stored with other bytes.
    BlobMismatch = 36;
    /// There is no room for another blob of this size now.
    BlobStoreFull = 37;
    /// Too many requests; wait `retry_after`.
    RateLimited = 40;
    /// The server is stopping; connect again after `retry_after`.
    ShuttingDown = 41;
    /// The store cannot take anything now; nothing was acknowledged.
    StorageUnavailable = 42;
    /// Something failed that should not have.
    Internal = 43;
    /// No such group log here: it was never created, or it has run out.
    UnknownGroupLog = 50;
    /// The group log exists and began with another epoch.
    GroupLogExists = 51;
    /// The signature is not by the access key of that epoch, or the epoch never was or has run out.
    GroupAccessRefused = 52;
    /// The epoch is closed; `closing_commit` says by what.
    StaleGroupEpoch = 53;
    /// The same entry id came with another entry.
    EntryIdReused = 54;
    /// There is no room for another group log or entry now.
    GroupLogFull = 55;
    /// The key packages do not verify.
    KeyPackagesRefused = 56;
    /// The upload's sequence number is not above the last one.
    KeyPackageSequence = 57;
    /// The server does not call this push service.
    PushServiceRefused = 58;
    /// There is no room for another wake handle in this group log.
    GroupWakesFull = 59;
    /// The request is not paid with as many tokens as it costs.
    PriceNotPaid = 60;
    /// The server has no such issuer key, or it does not issue or its tokens have run out.
    UnknownIssuerKey = 61;
    /// A token does not verify under its issuer key.
    TokenRefused = 62;
    /// A token has paid for something else.
    TokenSpent = 63;
    /// The account has drawn its tokens of this day, or the device has drawn with other blinded elements.
    TokensDrawn = 64;
    /// The account has drawn its vouchers of this day.
    VouchersDrawn = 65;
    /// The voucher is for another server, its home is not trusted here, or a signature does not verify.
    VoucherRefused = 66;
    /// The voucher is of another day.
    VoucherExpired = 67;
    /// The voucher has paid for another batch.
    VoucherSpent = 68;
    /// Too many messages from strangers wait for the recipient; `retry_after` is a guess.
    RequestLaneFull = 69;
    /// The tenant of the invitation has as many accounts as its licence allows.
    SeatsExhausted = 80;
    /// The licence of the account's tenant has ended.
    LicenceEnded = 81;
    /// The tenant of the account is suspended by whoever runs the server.
    TenantSuspended = 82;
    /// The account is suspended by whoever runs the server.
    AccountSuspended = 83;
    /// The queues of the recipient's tenant hold as much as its licence allows.
    TenantStorageFull = 84;
    /// The invitation is for another address.
    InvitationBound = 85;
}

impl ErrorReply {
    /// An error with neither details nor a time to wait.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code: code as u32, message: message.into(), stale_devices: None, retry_after: 0, closing_commit: None }
    }

    /// The same with a time to wait, in milliseconds.
    #[must_use]
    pub const fn retry_after(mut self, milliseconds: u64) -> Self {
        self.retry_after = milliseconds;
        self
    }

    /// The code, if this version knows it.
    #[must_use]
    pub fn known_code(&self) -> Option<ErrorCode> {
        ErrorCode::ALL.iter().copied().find(|code| *code as u32 == self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specification_lists_the_same_error_codes() {
        let specification = include_str!("../../../spec/errors.md");
        let listed: Vec<_> = specification
            .lines()
            .filter_map(|line| {
                let mut cells = line.strip_prefix("| ")?.split(" | ");
                Some((cells.next()?.trim().parse::<u32>().ok()?, cells.next()?.trim_matches('`').to_owned()))
            })
            .collect();
        let known: Vec<_> = ErrorCode::ALL.iter().map(|code| (*code as u32, code.name().to_owned())).collect();
        assert_eq!(listed, known);
    }
}
