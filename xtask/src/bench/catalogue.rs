//! The bench programs and the measures, as data.
//!
//! A measure is an entry in [`MEASURES`]. Its id is what the program calls it: for criterion, `group/function` or
//! `group/function/parameter`; for a program that prints JSON, its bench name and the path of keys (`storage/enqueue/p99`);
//! for what is no time, a line `value ID NUMBER` on the standard output. What it stands beside must be measured by the
//! same run, or the ratio means nothing. A fixed amount in the measure's unit is so many times [`CONSTANT`].

use std::fmt;

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

impl fmt::Display for Budget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bound) => write!(formatter, "<= {bound}"),
            Self::AtLeast(bound) => write!(formatter, ">= {bound}"),
        }
    }
}

/// What a value is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit {
    /// A time in nanoseconds, which is how criterion has them.
    Nanoseconds,
    /// A time in milliseconds.
    Milliseconds,
    /// How many a second.
    PerSecond,
    /// A size.
    Bytes,
}

impl Unit {
    /// Its name in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Milliseconds => "ms",
            Self::PerSecond => "1/s",
            Self::Bytes => "bytes",
        }
    }

    /// A value for people.
    pub(super) fn show(self, value: f64) -> String {
        match self {
            Self::Nanoseconds if value >= 1e6 => format!("{:.2} ms", value / 1e6),
            Self::Nanoseconds if value >= 1e3 => format!("{:.1} us", value / 1e3),
            Self::Nanoseconds => format!("{value:.0} ns"),
            Self::Milliseconds => format!("{value:.2} ms"),
            Self::PerSecond => format!("{value:.0} /s"),
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
        groups: &["primitive", "session", "pqxdh", "envelope"],
    },
    Program { package: "medipeps-server", bench: "storage", reads: Reads::Json, groups: &["storage"] },
];

/// A time that has a budget as a ratio to its parts.
const fn time(label: &'static str, id: &'static str, beside: &'static [(&'static str, f64)], at_most: f64) -> Measure {
    Measure { label, id, unit: Unit::Nanoseconds, beside, budget: Some(Budget::AtMost(at_most)) }
}

/// The measures, with the budgets of DESIGN.md.
pub(super) static MEASURES: &[Measure] = &[
    time("1:1 encrypt, 32 B", "session/encrypt/32", PARTS_4_KIB, 1.6),
    time("1:1 encrypt, 1 KiB", "session/encrypt/1024", PARTS_4_KIB, 1.6),
    time("1:1 encrypt, 64 KiB", "session/encrypt/65536", PARTS_64_KIB, 1.6),
    time("1:1 decrypt, 32 B", "session/decrypt/32", PARTS_4_KIB, 1.6),
    time("1:1 decrypt, 1 KiB", "session/decrypt/1024", PARTS_4_KIB, 1.6),
    time("1:1 decrypt, 64 KiB", "session/decrypt/65536", PARTS_64_KIB, 1.6),
    time(
        "message with a DH step, decrypt",
        "session/decrypt_dh_step",
        &[("primitive/x25519", 2.0), ("primitive/x25519_keygen", 1.0), ("session/decrypt/32", 1.0)],
        1.6,
    ),
    time(
        "PQXDH, initiator",
        "pqxdh/initiate",
        &[("primitive/x25519", 4.0), ("primitive/x25519_keygen", 1.0), ("primitive/ml_kem_1024_encapsulate", 1.0)],
        1.25,
    ),
    time(
        "PQXDH, responder",
        "pqxdh/respond",
        &[("primitive/x25519", 4.0), ("primitive/ml_kem_1024_decapsulate", 1.0)],
        1.25,
    ),
    time("find the session among 1 000", "envelope/find_among_1000", &[], 1e6),
    Measure {
        label: "a session on disk",
        id: "session/bytes_on_disk",
        unit: Unit::Bytes,
        beside: &[],
        budget: Some(Budget::AtMost(8192.0)),
    },
    Measure {
        label: "durable enqueue",
        id: "storage/enqueue_per_second",
        unit: Unit::PerSecond,
        beside: &[],
        budget: Some(Budget::AtLeast(10_000.0)),
    },
    Measure {
        label: "durable enqueue, p99",
        id: "storage/enqueue_p99_ms",
        unit: Unit::Milliseconds,
        beside: &[("storage/fsync_p99_ms", 2.0), (CONSTANT, 2.0)],
        budget: Some(Budget::AtMost(1.0)),
    },
];

/// What a message of the smallest padded size is made of: header and body under the AEAD, and the KDFs of a chain step.
const PARTS_4_KIB: &[(&str, f64)] = &[("primitive/aead_64", 1.0), ("primitive/aead_4096", 1.0), ("primitive/kdf", 2.0)];
/// The same at the largest padded size.
const PARTS_64_KIB: &[(&str, f64)] =
    &[("primitive/aead_64", 1.0), ("primitive/aead_65536", 1.0), ("primitive/kdf", 2.0)];
