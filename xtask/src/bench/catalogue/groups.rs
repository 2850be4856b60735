//! The measures of groups: the same operations of three implementations, and of MLS on our provider alone, at four sizes.

use super::{Budget, Measure, Unit};

const SIZES: [usize; 4] = [2, 16, 100, 1000];
/// What an operation is called, for people and for programs, and whether it has the budget of DESIGN.md: a message is faster
/// than both peers'.
const OPERATIONS: [(&str, &str, bool); 8] = [
    ("create, all added in one commit", "create", false),
    ("join", "join", false),
    ("add one", "add", false),
    ("remove one", "remove", false),
    ("update", "update", false),
    ("receive an update", "receive", false),
    ("encrypt 1 KiB", "encrypt", true),
    ("decrypt 1 KiB", "decrypt", true),
];
/// What is no time.
const BYTES: [(&str, &str); 3] = [
    ("a message of 1 KiB on the wire", "message-bytes"),
    ("an update on the wire", "update-bytes"),
    ("written to the store a message", "stored-bytes"),
];
/// Bytes written to the store a message, averaged over 100, at a thousand members (DESIGN.md).
const STORED_BYTES: f64 = 16384.0;

/// All of them.
pub(super) fn measures() -> Vec<Measure> {
    let mut measures = Vec::new();
    for size in SIZES {
        for (label, operation, budgeted) in OPERATIONS {
            for peer in ["mls-rs", "openmls"] {
                measures.push(Measure {
                    label: kept(format!("group of {size}: {label}, beside {peer}")),
                    id: id("classical", operation, size),
                    unit: Unit::Nanoseconds,
                    beside: beside(peer, operation, size),
                    budget: budgeted.then_some(Budget::AtMost(1.0)),
                });
            }
        }
        // Ours without the wrapping, whose 4 KiB the peers have no counterpart of.
        for (label, operation, _) in OPERATIONS.into_iter().filter(|(.., budgeted)| *budgeted) {
            for peer in ["mls-rs", "openmls"] {
                measures.push(Measure {
                    label: kept(format!("group of {size}: {label}, MLS alone, beside {peer}")),
                    id: id("bare", operation, size),
                    unit: Unit::Nanoseconds,
                    beside: beside(peer, operation, size),
                    budget: None,
                });
            }
        }
        for (label, operation, _) in OPERATIONS {
            measures.push(Measure {
                label: kept(format!("group of {size}: {label}, X-Wing beside X25519")),
                id: id("pq", operation, size),
                unit: Unit::Nanoseconds,
                beside: beside("classical", operation, size),
                budget: None,
            });
        }
        for suite in ["classical", "pq"] {
            for (label, operation) in BYTES {
                let budget = operation == "stored-bytes" && size == 1000;
                measures.push(Measure {
                    label: kept(format!("group of {size}, {suite}: {label}")),
                    id: id(suite, operation, size),
                    unit: Unit::Bytes,
                    beside: &[],
                    budget: budget.then_some(Budget::AtMost(STORED_BYTES)),
                });
            }
        }
    }
    measures
}

fn id(implementation: &str, operation: &str, size: usize) -> &'static str {
    kept(format!("group-{implementation}/{operation}/{size}"))
}

fn beside(implementation: &str, operation: &str, size: usize) -> &'static [(&'static str, f64)] {
    Box::leak(Box::new([(id(implementation, operation, size), 1.0)]))
}

/// The list is made once and lives as long as the program.
fn kept(text: String) -> &'static str {
    text.leak()
}
