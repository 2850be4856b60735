//! Groups beside `mls-rs` with its own RustCrypto provider and beside OpenMLS, in one run. `cargo xtask bench group` prints
//! the ratios.
//!
//! A tree is as it is after its creator has added everybody in one commit: every commit with a path encrypts to each leaf,
//! the most that it can cost. Ours are whole operations of the product: wrapped and padded entries, certificates verified,
//! the policy enforced. The others' are bare MLS messages with basic credentials, in memory alone; `bare` is such a member
//! on our provider, so that what MLS takes of our time stands beside the others by itself.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark may stop at the first surprise")]

mod mls_rs_peer;
mod openmls_peer;
mod ours;

use std::time::{Duration, Instant};

/// Members.
const SIZES: [usize; 4] = [2, 16, 100, 1000];
/// Bytes of a message.
const MESSAGE: usize = 1 << 10;
/// What each operation may take, the slowest aside, which are done [`TIMES_MIN`] times.
const BUDGET: Duration = Duration::from_millis(400);
const TIMES_MIN: usize = 3;
const TIMES_MAX: usize = 200;

/// An implementation of groups, as its member.
trait Member: Sized {
    /// As the ids have it.
    const NAME: &'static str;
    /// A key package of someone who is not in the group yet.
    type Package;

    /// Key packages of so many others; the first can be joined with.
    fn packages(number: usize) -> (Vec<Self::Package>, Self::Joiner);
    /// What the first of them needs to join.
    type Joiner;
    /// What members are welcomed with.
    type Invitation;

    /// Creates a group and adds all.
    fn create(packages: &[Self::Package]) -> (Self, Self::Invitation);
    /// Joins it.
    fn join(joiner: Self::Joiner, invitation: &Self::Invitation) -> Self;
    /// A commit that adds one, applied here.
    fn add(&mut self, package: &Self::Package) -> Vec<u8>;
    /// A commit that removes the member of the last leaf, applied here.
    fn remove(&mut self) -> Vec<u8>;
    /// A commit that updates, applied here.
    fn update(&mut self) -> Vec<u8>;
    /// Receives a commit.
    fn receive(&mut self, commit: &[u8]);
    /// Encrypts.
    fn encrypt(&mut self, content: &[u8]) -> Vec<u8>;
    /// Decrypts; the length of the content.
    fn decrypt(&mut self, message: &[u8]) -> usize;
    /// Bytes that storing the last change writes, where there is a store.
    fn store(&mut self) -> Option<usize>;
}

fn main() {
    for size in SIZES {
        measure::<ours::Classical>(size);
        measure::<mls_rs_peer::MlsRs<mls_rs_peer::RustCrypto>>(size);
        measure::<openmls_peer::OpenMls>(size);
        measure::<ours::PostQuantum>(size);
        measure::<mls_rs_peer::MlsRs<mls_rs_peer::Ours>>(size);
    }
}

/// Median of several runs; `step` does what is timed and tells how long it took.
fn timed(id: &str, mut step: impl FnMut() -> Duration) {
    let (mut times, begin) = (Vec::new(), Instant::now());
    while times.len() < TIMES_MIN || (begin.elapsed() < BUDGET && times.len() < TIMES_MAX) {
        times.push(step());
    }
    times.sort();
    println!("value {id} {}", times[times.len() / 2].as_nanos());
}

fn time<T>(step: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let result = step();
    (result, begin.elapsed())
}

fn measure<M: Member>(size: usize) {
    let id = |operation: &str| format!("group-{}/{operation}/{size}", M::NAME);
    let (packages, joiner) = M::packages(size - 1);
    let mut made = None;
    timed(&id("create"), || {
        let (group, taken) = time(|| M::create(&packages));
        made = Some(group);
        taken
    });
    let (mut one, invitation) = made.unwrap();
    let (mut other, taken) = time(|| M::join(joiner, &invitation));
    println!("value {} {}", id("join"), taken.as_nanos());
    drop(invitation);
    let (mut first_stored, mut stored, mut stores) = (one.store(), 0, 0);
    other.store();

    let content = vec![7; MESSAGE];
    let mut messages = Vec::new();
    timed(&id("encrypt"), || {
        let (message, taken) = time(|| one.encrypt(&content));
        messages.push(message);
        taken
    });
    println!("value {} {}", id("message-bytes"), messages[0].len());
    let mut next = messages.iter();
    timed(&id("decrypt"), || match next.next() {
        Some(message) => time(|| assert_eq!(other.decrypt(message), MESSAGE)).1,
        None => {
            let message = one.encrypt(&content);
            time(|| assert_eq!(other.decrypt(&message), MESSAGE)).1
        }
    });
    for _ in 0..100 {
        let message = one.encrypt(&content);
        other.decrypt(&message);
        if let Some(bytes) = other.store() {
            (stored, stores) = (stored + bytes, stores + 1);
        }
    }
    if let Some(average) = usize::checked_div(stored, stores) {
        println!("value {} {average}", id("stored-bytes"));
        println!("value {} {}", id("stored-first-bytes"), first_stored.take().unwrap_or_default());
    }

    let mut commits = Vec::new();
    timed(&id("update"), || {
        let (commit, taken) = time(|| one.update());
        commits.push(commit);
        taken
    });
    println!("value {} {}", id("update-bytes"), commits[0].len());
    let mut next = commits.iter();
    timed(&id("receive"), || match next.next() {
        Some(commit) => time(|| other.receive(commit)).1,
        None => {
            let commit = one.update();
            time(|| other.receive(&commit)).1
        }
    });
    // One goes and one comes, so that the group stays as large as it is and within its limits. `other` may be the first.
    let mut removals = Vec::new();
    timed(&id("add"), || {
        removals.push(time(|| one.remove()).1);
        let (packages, _) = M::packages(1);
        time(|| one.add(&packages[0])).1
    });
    removals.sort();
    println!("value {} {}", id("remove"), removals[removals.len() / 2].as_nanos());
}
