//! The bench programs and the measures, as data.
//!
//! A measure is an entry in [`measures`]. Its id is what the program calls it: for criterion, `group/function` or
//! `group/function/parameter`; for a program that prints JSON, its bench name and the path of keys (`storage/rows/0/p99_ms`);
//! for what is no time, a line `value ID NUMBER` on the standard output. What it stands beside must be measured by the
//! same run, or the ratio means nothing. A fixed amount in the measure's unit is so many times [`CONSTANT`].

mod groups;

use std::sync::LazyLock;

use super::values::CONSTANT;

/// A bench program.
#[derive(Debug)]
pub(super) struct Program {
    /// The package.
    pub(super) package: &'static str,
    /// The bench target.
    pub(super) bench: &'static str,
    /// How its values are read.
    pub(super) reads: Reads,
    /// The first parts of the ids that it measures.
    groups: &'static [&'static str],
}

impl Program {
    /// Whether the id is one of this program's.
    pub(super) fn measures(&self, id: &str) -> bool {
        id.split('/').next().is_some_and(|group| self.groups.contains(&group))
    }
}

/// How a program's values are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reads {
    /// From criterion's files.
    Criterion,
    /// From the JSON object that it prints when called with `--json`.
    Json,
    /// From its lines `value ID NUMBER` alone.
    Lines,
}

/// Something measured, and what it is held against.
#[derive(Debug)]
pub(super) struct Measure {
    /// For people.
    pub(super) label: &'static str,
    /// For programs.
    pub(super) id: &'static str,
    /// What the value is.
    pub(super) unit: Unit,
    /// The things that it is a ratio to the sum of: id and how often. Empty where the value stands for itself.
    pub(super) beside: &'static [(&'static str, f64)],
    /// What the ratio, or the value where there is none, must hold.
    pub(super) budget: Option<Budget>,
}

impl Measure {
    /// A budget for people: a ratio, or a value in the measure's unit where there is nothing beside it.
    pub(super) fn show(&self, budget: Budget) -> String {
        let (sign, bound) = match budget {
            Budget::AtMost(bound) => ("<=", bound),
            Budget::AtLeast(bound) => (">=", bound),
        };
        let bound = if self.beside.is_empty() { self.unit.show(bound) } else { bound.to_string() };
        format!("{sign} {bound}")
    }

    /// Every id that it needs.
    pub(super) fn ids(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.id).chain(self.beside.iter().map(|(id, _)| *id))
    }
}

/// A bound.
#[derive(Debug, Clone, Copy)]
pub(super) enum Budget {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Budget {
    /// Whether the value lies within it.
    pub(super) fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

/// What a value is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit {
    /// A time in nanoseconds, which is how criterion has them.
    Nanoseconds,
    /// A time in nanoseconds for 4 MiB of something.
    NanosecondsFor4MiB,
    /// A time in milliseconds.
    Milliseconds,
    /// How many a second.
    PerSecond,
    /// How many megabytes a second.
    MegabytesPerSecond,
    /// A time in seconds.
    Seconds,
    /// A size.
    Bytes,
}

impl Unit {
    /// Its name in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds | Self::NanosecondsFor4MiB => "ns",
            Self::Milliseconds => "ms",
            Self::PerSecond => "1/s",
            Self::MegabytesPerSecond => "MB/s",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
        }
    }

    /// A value for people.
    pub(super) fn show(self, value: f64) -> String {
        match self {
            Self::Nanoseconds if value >= 1e6 => format!("{:.2} ms", value / 1e6),
            Self::Nanoseconds if value >= 1e3 => format!("{:.1} us", value / 1e3),
            Self::Nanoseconds => format!("{value:.0} ns"),
            Self::NanosecondsFor4MiB => format!("{:.2} ms, {:.0} MB/s", value / 1e6, f64::from(4 << 20) / value * 1e3),
            Self::Milliseconds => format!("{value:.2} ms"),
            Self::PerSecond => format!("{value:.0} /s"),
            Self::MegabytesPerSecond => format!("{value:.0} MB/s"),
            Self::Seconds => format!("{value:.2} s"),
            Self::Bytes => format!("{value:.0} bytes"),
        }
    }
}

/// The programs.
pub(super) static PROGRAMS: &[Program] = &[
    Program {
        package: "medipeps-core",
        bench: "core",
        reads: Reads::Criterion,
        groups: &["primitive", "message", "pqxdh", "lookup", "attachment", "peer", "tokens"],
    },
    Program {
        package: "medipeps-peers",
        bench: "groups",
        reads: Reads::Lines,
        groups: &["group-classical", "group-pq", "group-bare", "group-mls-rs", "group-openmls"],
    },
    Program { package: "medipeps-server", bench: "storage", reads: Reads::Json, groups: &["storage"] },
    Program { package: "medipeps-ffi", bench: "calls", reads: Reads::Lines, groups: &["calls"] },
    Program { package: "medipeps-client", bench: "transfer", reads: Reads::Json, groups: &["transfer"] },
    Program { package: "medipeps-client", bench: "devices", reads: Reads::Json, groups: &["devices"] },
    Program { package: "medipeps-client", bench: "second_device", reads: Reads::Json, groups: &["second_device"] },
];

/// A time that has a budget as a ratio to its parts.
const fn time(label: &'static str, id: &'static str, beside: &'static [(&'static str, f64)], at_most: f64) -> Measure {
    Measure { label, id, unit: Unit::Nanoseconds, beside, budget: Some(Budget::AtMost(at_most)) }
}

/// A time beside another, without a budget.
const fn beside(label: &'static str, id: &'static str, beside: &'static [(&'static str, f64)]) -> Measure {
    Measure { label, id, unit: Unit::Nanoseconds, beside, budget: None }
}

/// A time for 4 MiB.
const fn part(
    label: &'static str,
    id: &'static str,
    beside: &'static [(&'static str, f64)],
    at_most: Option<f64>,
) -> Measure {
    let budget = match at_most {
        Some(bound) => Some(Budget::AtMost(bound)),
        None => None,
    };
    Measure { label, id, unit: Unit::NanosecondsFor4MiB, beside, budget }
}

/// Every measure.
pub(super) fn measures() -> impl Iterator<Item = &'static Measure> {
    static OF_GROUPS: LazyLock<Vec<Measure>> = LazyLock::new(groups::measures);
    MEASURES.iter().chain(OF_GROUPS.iter())
}

/// The measures, with the budgets of DESIGN.md; those of groups are in a file of their own.
static MEASURES: &[Measure] = &[
    time("1:1 encrypt, 32 B", "message/encrypt-32B", SEALED_4_KIB, 1.6),
    time("1:1 encrypt, 1 KiB", "message/encrypt-1KiB", SEALED_4_KIB, 1.6),
    time("1:1 encrypt, 64 KiB", "message/encrypt-64KiB", SEALED_64_KIB, 1.6),
    time("1:1 decrypt, 32 B", "message/decrypt-32B", OPENED_4_KIB, 1.6),
    time("1:1 decrypt, 1 KiB", "message/decrypt-1KiB", OPENED_4_KIB, 1.6),
    time("1:1 decrypt, 64 KiB", "message/decrypt-64KiB", OPENED_64_KIB, 1.6),
    // A peer without padding or a second ratchet; ours seals 4 KiB.
    time("1:1 encrypt, 1 KiB, beside vodozemac", "message/encrypt-1KiB", &[("peer/vodozemac-encrypt-1KiB", 1.0)], 1.0),
    // What padding, two ratchets and an encrypted header cost beside the bare cipher.
    beside("1:1 encrypt, 1 KiB, beside one AEAD seal", "message/encrypt-1KiB", &[("primitive/seal-4KiB", 1.0)]),
    beside("1:1 decrypt, 1 KiB, beside one AEAD open", "message/decrypt-1KiB", &[("primitive/open-4KiB", 1.0)]),
    beside("1:1 decrypt, 1 KiB, beside vodozemac", "message/decrypt-1KiB", &[("peer/vodozemac-decrypt-1KiB", 1.0)]),
    // "Its DH operations and key generation, plus the above", which may be 1.6 times its parts; two steps of the root key
    // and a hint key are KDFs more.
    time(
        "1:1 decrypt with a DH step",
        "message/decrypt-dh-step",
        &[
            ("primitive/x25519", 2.0),
            ("primitive/x25519-keygen", 1.0),
            ("primitive/open-header", 1.6),
            ("primitive/open-4KiB", 1.6),
            ("primitive/hmac", 2.0 * 1.6),
            ("primitive/hkdf", 6.0 * 1.6),
        ],
        1.0,
    ),
    // With the bundle's three signatures, the first step of either ratchet and the first flight, which is padded to 8 KiB.
    time(
        "PQXDH, initiator with its first flight",
        "pqxdh/initiate",
        &[
            ("primitive/ed25519-verify", 3.0),
            ("primitive/x25519", 5.0),
            ("primitive/x25519-keygen", 2.0),
            ("primitive/mlkem1024-encapsulate", 1.0),
            ("primitive/x-wing-encapsulate", 1.0),
            ("primitive/braid-keygen", 1.0),
            ("primitive/braid-chunks", 1.0),
            ("primitive/seal-4KiB", 2.0),
            ("primitive/hkdf", 8.0),
        ],
        1.25,
    ),
    // With the first flight opened, the sender's statement verified (statement and certificate) and a ratchet step. The KEM
    // prekey is expanded once, within its decapsulation.
    time(
        "PQXDH, responder with the first message",
        "pqxdh/respond",
        &[
            ("primitive/x-wing-decapsulate", 1.0),
            ("primitive/ed25519-verify", 2.0),
            ("primitive/x25519", 6.0),
            ("primitive/x25519-keygen", 1.0),
            ("primitive/mlkem1024-decapsulate", 1.0),
            ("primitive/open-4KiB", 2.0),
            ("primitive/hkdf", 8.0),
        ],
        1.25,
    ),
    time("find a session among 1 000", "lookup/1000-sessions", &[], 1e6),
    time("find a session among 40 000", "lookup/40000-sessions", &[], 10e6),
    Measure {
        label: "a message of 1 KiB on the wire",
        id: "message/wire-bytes",
        unit: Unit::Bytes,
        beside: &[],
        budget: None,
    },
    Measure {
        label: "a session at rest",
        id: "message/state-bytes",
        unit: Unit::Bytes,
        beside: &[],
        budget: Some(Budget::AtMost(8192.0)),
    },
    part("attachment, seal and hash 4 MiB", "attachment/seal", PASSES_4_MIB, Some(1.0 / 0.9)),
    part("attachment, open and hash 4 MiB", "attachment/open", PASSES_4_MIB, Some(1.0 / 0.9)),
    part("attachment, seal, beside the AEAD alone", "attachment/seal", AEAD_4_MIB, None),
    part("attachment, open, beside the AEAD alone", "attachment/open", AEAD_4_MIB, None),
    // Half the time of two parts, were the two cores ours alone and memory no matter.
    time(
        "attachment, two parts sealed on two cores",
        "attachment/seal-two-on-two-cores",
        &[("attachment/seal", 2.0)],
        0.65,
    ),
    time(
        "attachment, two parts opened on two cores",
        "attachment/open-two-on-two-cores",
        &[("attachment/open", 2.0)],
        0.65,
    ),
    // What labels, ids and parsing cost beside the crate's own operations, 100 tokens at a time; a token that is paid with is
    // verified alone.
    time("tokens, 100 blinded", "tokens/blind-100", &[("tokens/voprf-blind-100", 1.0)], 1.1),
    time("tokens, 100 issued", "tokens/issue-100", &[("tokens/voprf-issue-100", 1.0)], 1.1),
    beside("tokens, 100 finalised, beside 100 issued", "tokens/finalize-100", &[("tokens/voprf-issue-100", 1.0)]),
    time("a token verified", "tokens/verify", &[("tokens/voprf-verify", 1.0)], 1.1),
    // A call that only gives back a text, and one that goes over to the account's thread and back; from Rust, and beside that.
    beside("library_version, from Python", "calls/python/version", &[("calls/rust/version", 1.0)]),
    beside("library_version, from Kotlin", "calls/kotlin/version", &[("calls/rust/version", 1.0)]),
    beside("library_version, from Swift", "calls/swift/version", &[("calls/rust/version", 1.0)]),
    beside("account, from Python", "calls/python/account", &[("calls/rust/account", 1.0)]),
    beside("account, from Kotlin", "calls/kotlin/account", &[("calls/rust/account", 1.0)]),
    beside("account, from Swift", "calls/swift/account", &[("calls/rust/account", 1.0)]),
    Measure {
        label: "durable enqueue, 512 in flight",
        id: "storage/rows/2/per_second",
        unit: Unit::PerSecond,
        beside: &[],
        budget: Some(Budget::AtLeast(10_000.0)),
    },
    Measure {
        label: "durable enqueue, p99 of one at a time",
        id: "storage/rows/0/p99_ms",
        unit: Unit::Milliseconds,
        beside: &[("storage/rows/0/disk_p99_ms", 2.0), (CONSTANT, 2.0)],
        budget: Some(Budget::AtMost(1.0)),
    },
    // Of the same size, 64 in flight; an entry has a record more than an envelope.
    Measure {
        label: "group log appends, 64 in flight, beside durable enqueue of the same size",
        id: "storage/group_log/appends_per_second",
        unit: Unit::PerSecond,
        beside: &[("storage/rows/1/per_second", 1.0)],
        budget: None,
    },
    // The disk is shared: what is told is what uploads cost the mail that comes meanwhile.
    Measure {
        label: "durable enqueue while blobs are uploaded, p99 of one at a time",
        id: "storage/while_uploading/0/p99_ms",
        unit: Unit::Milliseconds,
        beside: &[("storage/rows/0/p99_ms", 1.0)],
        budget: None,
    },
    Measure {
        label: "durable enqueue while blobs are uploaded, p99 of 64 in flight",
        id: "storage/while_uploading/1/p99_ms",
        unit: Unit::Milliseconds,
        beside: &[("storage/rows/1/p99_ms", 1.0)],
        budget: None,
    },
    // Hashed, and eight at a time; the disk alone takes one after another, each with a sync.
    Measure {
        label: "pieces of blobs, beside the disk's write and sync of the same",
        id: "storage/blobs/put_mb_per_second",
        unit: Unit::MegabytesPerSecond,
        beside: &[("storage/blobs/disk_mb_per_second", 1.0)],
        budget: None,
    },
    // Sealed, hashed, and each piece on the server's disk before it is confirmed; the copy syncs once at its end.
    Measure {
        label: "256 MiB sent, beside a plain QUIC copy",
        id: "transfer/send_less_small_mail_seconds",
        unit: Unit::Seconds,
        beside: &[("transfer/plain_seconds", 1.0)],
        budget: None,
    },
    Measure {
        label: "256 MiB saved, beside a plain QUIC copy",
        id: "transfer/save_less_small_mail_seconds",
        unit: Unit::Seconds,
        beside: &[("transfer/plain_seconds", 1.0)],
        budget: None,
    },
    rate("upload", "transfer/send_mb_per_s"),
    rate("download", "transfer/save_mb_per_s"),
    rate("plain QUIC copy", "transfer/plain_mb_per_s"),
    // From the command to the committed answer: three commits, and for each device one message with its state before and after.
    mail("a mail to 1 device, over a session", "devices/mail/to_1/session_ms", SENT_TO_1),
    mail("a mail to 5 devices, over sessions", "devices/mail/to_5/session_ms", SENT_TO_5),
    mail("a mail to 20 devices, over sessions", "devices/mail/to_20/session_ms", SENT_TO_20),
    mail("a mail to 1 device, first flight", "devices/mail/to_1/first_ms", FLOWN_TO_1),
    mail("a mail to 5 devices, first flights", "devices/mail/to_5/first_ms", FLOWN_TO_5),
    mail("a mail to 20 devices, first flights", "devices/mail/to_20/first_ms", FLOWN_TO_20),
    size("a mail to 1 device, submitted", "devices/mail/to_1/session_bytes"),
    size("a mail to 5 devices, submitted", "devices/mail/to_5/session_bytes"),
    size("a mail to 20 devices, submitted", "devices/mail/to_20/session_bytes"),
    size("a first flight to 1 device, submitted", "devices/mail/to_1/first_bytes"),
    size("first flights to 5 devices, submitted", "devices/mail/to_5/first_bytes"),
    size("first flights to 20 devices, submitted", "devices/mail/to_20/first_bytes"),
    // Among 1 000 contacts with 5 devices each and 40 000 archived sessions, from the engine's input to the commit.
    received("an envelope of no session among 45 000", "devices/receive/no_session_ms", Some(10.0)),
    received("an envelope of no session in a full batch", "devices/receive/no_session_in_batch_ms", Some(10.0)),
    received("an envelope of no session, 256 kept already", "devices/receive/no_session_most_kept_ms", Some(10.0)),
    received("an envelope of no session, the first after a start", "devices/receive/no_session_cold_ms", None),
    received("an envelope of a session among 45 000", "devices/receive/session_ms", None),
    Measure {
        label: "an envelope of no session, beside search and commit",
        id: "devices/receive/no_session_ms",
        unit: Unit::Milliseconds,
        beside: &[("devices/receive/search_ms", 1.0), ("devices/receive/commit_ms", 1.0)],
        budget: None,
    },
    // Both sides open or make a store, which a `sync` does as well; and each asks once a second for what the other has put:
    // twice on each side.
    Measure {
        label: "linking a device, without the human",
        id: "second_device/linking_seconds",
        unit: Unit::Seconds,
        beside: &[("second_device/sync_seconds", 2.0), (CONSTANT, 4.0)],
        budget: None,
    },
    // Sealed once and written; read, opened twice (all of it before anything is kept) and written.
    Measure {
        label: "backup, beside one AEAD pass and the disk",
        id: "second_device/backup_seconds",
        unit: Unit::Seconds,
        beside: &[("second_device/aead_seconds", 1.0), ("second_device/disk_seconds", 1.0)],
        budget: None,
    },
    Measure {
        label: "restore, beside two AEAD passes and the disk",
        id: "second_device/restore_seconds",
        unit: Unit::Seconds,
        beside: &[("second_device/aead_seconds", 2.0), ("second_device/disk_seconds", 1.0)],
        budget: None,
    },
    rate("backup", "second_device/backup_mb_per_s"),
    rate("restore", "second_device/restore_mb_per_s"),
    Measure {
        label: "the client's peak memory, unlocking included",
        id: "transfer/client_peak_bytes",
        unit: Unit::Bytes,
        beside: &[],
        budget: None,
    },
];

/// A rate of the transfer bench, for people: its budget, if it has one, is on the times.
const fn rate(label: &'static str, id: &'static str) -> Measure {
    Measure { label, id, unit: Unit::MegabytesPerSecond, beside: &[], budget: None }
}

/// A mail, in milliseconds.
const fn mail(label: &'static str, id: &'static str, beside: &'static [(&'static str, f64)]) -> Measure {
    Measure { label, id, unit: Unit::Milliseconds, beside, budget: None }
}

/// An envelope received, in milliseconds.
const fn received(label: &'static str, id: &'static str, at_most: Option<f64>) -> Measure {
    let budget = match at_most {
        Some(bound) => Some(Budget::AtMost(bound)),
        None => None,
    };
    Measure { label, id, unit: Unit::Milliseconds, beside: &[], budget }
}

/// Bytes, for people.
const fn size(label: &'static str, id: &'static str) -> Measure {
    Measure { label, id, unit: Unit::Bytes, beside: &[], budget: None }
}

const SENT_TO_1: &[(&str, f64)] = &[("devices/mail/commit_ms", 3.0), ("devices/mail/encrypt_ms", 1.0)];
const SENT_TO_5: &[(&str, f64)] = &[("devices/mail/commit_ms", 3.0), ("devices/mail/encrypt_ms", 5.0)];
const SENT_TO_20: &[(&str, f64)] = &[("devices/mail/commit_ms", 3.0), ("devices/mail/encrypt_ms", 20.0)];
const FLOWN_TO_1: &[(&str, f64)] = &[("devices/mail/commit_ms", 3.0), ("devices/mail/initiate_ms", 1.0)];
const FLOWN_TO_5: &[(&str, f64)] = &[("devices/mail/commit_ms", 3.0), ("devices/mail/initiate_ms", 5.0)];
const FLOWN_TO_20: &[(&str, f64)] = &[("devices/mail/commit_ms", 3.0), ("devices/mail/initiate_ms", 20.0)];

/// What a message of the smallest padded size is made of: header and body under the AEAD, a chain step, a message key.
// Both AEAD calls, the chain step, and the two KDFs of a message: its key, and the hint key of its header key.
const SEALED_4_KIB: &[(&str, f64)] = &[
    ("primitive/seal-header", 1.0),
    ("primitive/seal-4KiB", 1.0),
    ("primitive/hmac", 2.0),
    ("primitive/hkdf", 3.0),
    ("primitive/braid-chunks", 1.0),
];
const SEALED_64_KIB: &[(&str, f64)] = &[
    ("primitive/seal-header", 1.0),
    ("primitive/seal-64KiB", 1.0),
    ("primitive/hmac", 2.0),
    ("primitive/hkdf", 3.0),
    ("primitive/braid-chunks", 1.0),
];
// What arrives is taken in without a computation until the piece is complete.
const OPENED_4_KIB: &[(&str, f64)] =
    &[("primitive/open-header", 1.0), ("primitive/open-4KiB", 1.0), ("primitive/hmac", 2.0), ("primitive/hkdf", 3.0)];
const OPENED_64_KIB: &[(&str, f64)] =
    &[("primitive/open-header", 1.0), ("primitive/open-64KiB", 1.0), ("primitive/hmac", 2.0), ("primitive/hkdf", 3.0)];
/// One pass of each over a part.
const PASSES_4_MIB: &[(&str, f64)] = &[("primitive/aead-4MiB", 1.0), ("primitive/sha256-4MiB", 1.0)];
const AEAD_4_MIB: &[(&str, f64)] = &[("primitive/aead-4MiB", 1.0)];
