//! Active clients: each gets its mail over one connection and submits to the next one over another.

mod receiver;
mod sender;
mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use medipeps_client::shell::address::ServerAddress;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::account::Account;
use crate::arguments::Arguments;
use crate::error::LoadError;
use crate::latency::{CurvePoint, Percentiles};
use crate::run::Stop;
use crate::server::Target;
use receiver::Receiver;
use sender::Sender;
use tally::Tally;

/// How long what was accepted may take to come after the last submission.
const DRAIN: Duration = Duration::from_secs(30);
/// Pause between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What active clients saw.
#[derive(Debug, Serialize)]
pub(crate) struct ActiveReport {
    pub(crate) clients: usize,
    /// From the first submission to the last answer.
    pub(crate) seconds: f64,
    pub(crate) accepted: u64,
    pub(crate) accepted_per_second: f64,
    /// Different messages that came to their recipients.
    pub(crate) delivered: u64,
    /// Messages that came once more: a lost connection brings them again.
    pub(crate) repeated: u64,
    /// Messages that were accepted and did not come: there must be none.
    pub(crate) lost: u64,
    /// Refusals by their code (spec/errors.md).
    pub(crate) refused: BTreeMap<u32, u64>,
    /// Requests without an answer, repeated with the same id.
    pub(crate) unanswered: u64,
    /// With --rate: messages that were due and never submitted, as the answers to others were too late.
    pub(crate) not_submitted: u64,
    /// From the submission, or from when it was due, to the answer: it is on the disk.
    pub(crate) accept_ms: Option<Percentiles>,
    /// From the submission, or from when it was due, to the recipient.
    pub(crate) deliver_ms: Option<Percentiles>,
    /// The server's CPU a message, accepted, delivered and acknowledged, where the server is ours.
    pub(crate) cpu_us_per_message: Option<f64>,
    pub(crate) accept_by_second: Vec<Option<Percentiles>>,
    pub(crate) deliver_by_second: Vec<Option<Percentiles>>,
    pub(crate) accept_curve: Vec<CurvePoint>,
    pub(crate) deliver_curve: Vec<CurvePoint>,
}

/// Connects the clients, lets them submit for the time that was asked for, and waits for what was accepted.
pub(crate) async fn run(
    target: &Target,
    accounts: &[Arc<Account>],
    arguments: &Arguments,
    stop: &Stop,
) -> Result<ActiveReport, LoadError> {
    let place = &target.place;
    let server = ServerAddress { host: place.address.ip().to_string(), port: place.address.port() };
    let (done, is_done) = watch::channel(false);
    let tally = Arc::new(Tally::new(accounts.len()));
    let (mut receivers, mut senders) = (JoinSet::new(), Vec::new());
    for (index, account) in accounts.iter().enumerate() {
        let receiver = Receiver::connect(place, account.clone(), tally.clone()).await?;
        receivers.spawn(receiver.run(is_done.clone()));
        let to = accounts.get((index + 1) % accounts.len()).unwrap_or(account);
        let sender = Sender::connect(place, &server, index as u64, to.clone(), arguments.size, tally.clone()).await?;
        senders.push(Arc::new(sender));
    }

    let usage_before = target.usage();
    let start = tally.begin();
    let end = start + Duration::from_secs(arguments.seconds);
    let mut submitting = JoinSet::new();
    let count = u32::try_from(senders.len()).unwrap_or(u32::MAX);
    for (index, sender) in senders.into_iter().enumerate() {
        match arguments.rate {
            Some(rate) => {
                let every = Duration::from_secs(1).saturating_mul(count) / rate;
                let first = start + every.saturating_mul(u32::try_from(index).unwrap_or(0)) / count;
                let in_flight = arguments.in_flight();
                submitting.spawn(sender.submit_at_fixed_times(first, every, end, in_flight, stop.clone()));
            }
            None => (0..arguments.in_flight())
                .for_each(|_| drop(submitting.spawn(sender.clone().submit_one_after_another(end, stop.clone())))),
        }
    }
    let progress = tokio::spawn(show_progress(tally.clone(), start));
    while submitting.join_next().await.is_some() {}
    let elapsed = start.elapsed();
    wait_for_deliveries(&tally).await;
    progress.abort();
    let usage_after = target.usage();
    let _ = done.send(true);
    while receivers.join_next().await.is_some() {}

    let cpu = usage_before.zip(usage_after).map(|(before, after)| after.cpu.saturating_sub(before.cpu));
    Ok(tally.report(elapsed, cpu))
}

async fn wait_for_deliveries(tally: &Tally) {
    let start = Instant::now();
    while tally.is_waiting() && start.elapsed() < DRAIN {
        sleep(LOOK_AGAIN).await;
    }
}

/// One line a second.
async fn show_progress(tally: Arc<Tally>, start: Instant) {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut before = 0;
    loop {
        ticks.tick().await;
        let (accepted, delivered) = tally.so_far();
        let second = start.elapsed().as_secs();
        eprintln!(
            "  {second:>4} s  {:>7}/s accepted  {accepted:>9} accepted  {delivered:>9} delivered",
            accepted - before
        );
        before = accepted;
    }
}
