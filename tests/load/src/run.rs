//! One run, from the first account to the report.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use medipeps_client::shell::connection::{Route, set_route};
use tokio::sync::watch;

use crate::account::register_all;
use crate::active;
use crate::arguments::Arguments;
use crate::descriptors;
use crate::disk::{self, Probe};
use crate::error::LoadError;
use crate::idle::Idle;
use crate::plot;
use crate::report::{DiskReport, Report};
use crate::server::Target;

/// How long a server rests after registrations before its memory is looked at.
const REST: Duration = Duration::from_secs(1);

/// Whether the person has asked to stop (^C).
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    pub(crate) fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is asked.
    pub(crate) async fn asked(&self) {
        // The other end lives as long as the run.
        let _ = self.0.clone().wait_for(|asked| *asked).await;
    }
}

/// Does what was asked for, writes the report and prints it.
pub(crate) fn run(arguments: &Arguments) -> Result<Report, LoadError> {
    let sockets = 2 * arguments.active + if arguments.websocket { arguments.idle } else { 0 };
    descriptors::allow(sockets)?;
    if arguments.websocket {
        // Nothing has connected yet.
        set_route(Route::websocket_alone());
    }
    let runtime = tokio::runtime::Runtime::new().map_err(LoadError::system("threads"))?;
    let report = runtime.block_on(measure(arguments))?;
    report.write(&arguments.out)?;
    plot::draw_all(&report, &arguments.out)?;
    report.print(arguments)?;
    Ok(report)
}

async fn measure(arguments: &Arguments) -> Result<Report, LoadError> {
    let (asked, receiver) = watch::channel(false);
    let stop = Stop(receiver);
    let listener = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("stopping; the report has what there is so far");
            let _ = asked.send(true);
        }
    });
    let report = measure_until(arguments, &stop).await;
    listener.abort();
    report
}

async fn measure_until(arguments: &Arguments, stop: &Stop) -> Result<Report, LoadError> {
    fs::create_dir_all(&arguments.out).map_err(LoadError::system(arguments.out.display().to_string()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut report = Report::new(arguments, now);

    eprintln!("the disk by itself");
    let unloaded = disk::unloaded(&arguments.out)?;
    report.disk = DiskReport { unloaded_ms: unloaded.percentiles(), under_load_ms: None };

    eprintln!("server and {} invitations", arguments.clients());
    let mut target = Target::find(arguments).await?;
    eprintln!("{} accounts", arguments.clients());
    let invitations = std::mem::take(&mut target.invitations);
    let run = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let accounts = register_all(&target.place, run, invitations, stop).await?;
    let (idle_accounts, active_accounts) = accounts.split_at(arguments.idle.min(accounts.len()));
    let active_accounts = active_accounts.get(..arguments.active).unwrap_or_default();

    tokio::time::sleep(REST).await;
    eprintln!("{} idle clients", arguments.idle);
    let mut idle = Idle::open(&target, idle_accounts, arguments.websocket, stop).await?;
    if !stop.is_asked() && !active_accounts.is_empty() {
        eprintln!("{} active clients for {} s", arguments.active, arguments.seconds);
        let probe = Probe::start(&arguments.out)?;
        let measured = active::run(&target, active_accounts, arguments, stop).await;
        report.disk.under_load_ms = probe.stop().percentiles();
        report.active = Some(measured?);
    }
    idle.count_lost().await;
    report.idle = Some(idle.report);
    report.interrupted = stop.is_asked();
    report.server_resident_max_bytes = target.usage().map(|usage| usage.resident_max);
    Ok(report)
}
