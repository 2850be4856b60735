//! `medipeps-server run`

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::Handle;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

use super::{Failure, print, store};
use crate::activation::{ActivatedSockets, notify};
use crate::config::{Config, LogFormat};
use crate::environment::SystemEnvironment;
use crate::server::{Server, StartError};
use crate::telemetry;
use crate::transport::endpoint::ListenError;

/// The logs' filter, which can be set while they are written.
type LogFilter = Handle<EnvFilter, Registry>;

/// What ends or changes a running server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

pub(super) async fn run(path: &Path) -> Result<(), Failure> {
    let config = Config::load(path)?;
    let logs = start_logs(&config)?;
    let mut signals = Signals::new().map_err(Failure::failed)?;
    let sockets = ActivatedSockets::from_environment().map_err(Failure::failed)?;
    let traces = telemetry::start(&config.telemetry).map_err(Failure::failed)?;
    let storage = Arc::new(store::open(&config).await.map_err(Failure::failed)?);
    let server = Server::start_on(&config, storage, Arc::new(SystemEnvironment), sockets).await.map_err(not_started)?;
    let (address, hash) = (server.local_addr(), server.server_key().hash());
    if let Some(admin) = server.admin_addr() {
        tracing::info!(address = %admin, "the admin port listens");
    }
    tracing::info!(%address, server_key = %hash, domain = config.domain, "listening");
    print(&format!("listening on {address}, server key {hash}\n"))?;
    notify(&[NotifyState::Ready]);
    let ended = serve(server, path, &logs, &mut signals).await;
    if let Some(traces) = traces {
        // It waits for the collector, for a bounded time, and must not do so on a thread that the exporter needs.
        let _ = tokio::task::spawn_blocking(move || traces.shutdown()).await;
    }
    ended
}

/// Runs until it is told to stop, or the store fails.
async fn serve(mut server: Server, path: &Path, logs: &LogFilter, signals: &mut Signals) -> Result<(), Failure> {
    let mut orders = server.take_reload_orders();
    let storage_failed = server.storage_failed();
    tokio::pin!(storage_failed);
    let mut watchdog = sd_notify::watchdog_enabled().map(ticks_for);
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => {
                tracing::info!("stopping: SIGTERM");
                break;
            }
            _ = signals.interrupt.recv() => {
                tracing::info!("stopping: SIGINT");
                break;
            }
            error = &mut storage_failed => {
                tracing::error!(%error, "stopping: the store failed");
                return Err(Failure::failed(error));
            }
            _ = signals.hangup.recv() => {
                let _ = reload(&mut server, path, logs).await;
            }
            Some(answer) = next(&mut orders) => {
                // Whoever asked may have gone away meanwhile.
                let _ = answer.send(reload(&mut server, path, logs).await);
            }
            () = tick(&mut watchdog) => notify(&[NotifyState::Watchdog]),
        }
    }
    notify(&[NotifyState::Stopping]);
    // A service manager that watches goes on to be told that this one lives.
    let shutdown = server.shutdown();
    tokio::pin!(shutdown);
    let mut failure = None;
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            // Nothing is confirmed from here on; what is connected is told to go away all the same.
            error = &mut storage_failed, if failure.is_none() => {
                tracing::error!(%error, "the store failed while the server was stopping");
                failure = Some(error);
            }
            () = tick(&mut watchdog) => notify(&[NotifyState::Watchdog]),
        }
    }
    tracing::info!("stopped");
    failure.map_or(Ok(()), |error| Err(Failure::failed(error)))
}

/// Reads the configuration again and takes it over, or nothing of it. The keys that changed, or why nothing was taken over.
async fn reload(server: &mut Server, path: &Path, logs: &LogFilter) -> Result<Vec<String>, String> {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
    let taken = take_over(server, path, logs).await;
    match &taken {
        Ok(changed) => tracing::info!(changed = changed.join(", "), "the configuration was read again"),
        Err(error) => tracing::error!(error, "the configuration was not taken over; the one from before stays"),
    }
    notify(&[NotifyState::Ready]);
    taken
}

async fn take_over(server: &mut Server, path: &Path, logs: &LogFilter) -> Result<Vec<String>, String> {
    let config = Config::load(path).map_err(|error| error.to_string())?;
    let filter = log_filter(&config)?;
    let changed = server.reload(&config).await.map_err(|error| error.to_string())?;
    logs.reload(filter).map_err(|error| error.to_string())?;
    Ok(changed)
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Twice as often as the service manager wants to hear.
fn ticks_for(timeout: Duration) -> Interval {
    let mut ticks = interval((timeout / 2).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn tick(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => std::future::pending().await,
    }
}

async fn next<T>(orders: &mut Option<tokio::sync::mpsc::Receiver<T>>) -> Option<T> {
    match orders {
        Some(orders) => orders.recv().await,
        None => None,
    }
}

/// A certificate that is of no use is a mistake in the configuration.
fn not_started(error: StartError) -> Failure {
    match error {
        StartError::Listen(ListenError::Certificate(_)) => Failure::Usage(error.to_string()),
        error => Failure::failed(error),
    }
}

fn log_filter(config: &Config) -> Result<EnvFilter, String> {
    EnvFilter::try_new(&config.log_filter).map_err(|error| format!("`log_filter` is not understood: {error}"))
}

fn start_logs(config: &Config) -> Result<LogFilter, Failure> {
    let (filter, handle) = tracing_subscriber::reload::Layer::new(log_filter(config).map_err(Failure::Usage)?);
    let registry = tracing_subscriber::registry().with(filter);
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => registry.with(logs.with_ansi(false)).try_init(),
        LogFormat::Json => registry.with(logs.json()).try_init(),
    }
    .map_err(Failure::failed)?;
    Ok(handle)
}
