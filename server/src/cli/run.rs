//! `medipeps-server run`

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{Failure, print, store};
use crate::config::{Config, LogFormat};
use crate::server::{Server, StartError};
use crate::transport::endpoint::ListenError;

pub(super) async fn run(config: &Config) -> Result<(), Failure> {
    start_logs(config)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    let storage = store::open(config).await.map_err(Failure::failed)?;
    let server = Server::start(config, Arc::new(storage)).await.map_err(not_started)?;
    let (address, hash) = (server.local_addr(), server.server_key().hash());
    tracing::info!(%address, server_key = %hash, domain = config.domain, "listening");
    print(&format!("listening on {address}, server key {hash}\n"))?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("stopping: SIGTERM"),
        _ = interrupt.recv() => tracing::info!("stopping: SIGINT"),
        error = server.storage_failed() => {
            tracing::error!(%error, "stopping: the store failed");
            return Err(Failure::failed(error));
        }
    }
    server.shutdown().await;
    tracing::info!("stopped");
    Ok(())
}

/// A certificate that is of no use is a mistake in the configuration.
fn not_started(error: StartError) -> Failure {
    match error {
        StartError::Listen(ListenError::Certificate(_)) => Failure::Usage(error.to_string()),
        error => Failure::failed(error),
    }
}

fn start_logs(config: &Config) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.log_filter)
        .map_err(|error| Failure::Usage(format!("`log_filter` is not understood: {error}")))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => logs.with_ansi(false).try_init(),
        LogFormat::Json => logs.json().try_init(),
    }
    .map_err(Failure::failed)
}
