//! The Medipeps server: it stores and forwards what it cannot open.
//!
//! [`Server::start`] runs one over a [`storage::Storage`]; the command `medipeps-server` is [`cli`].

mod activation;
mod admin_port;
pub mod cli;
mod clock;
pub mod config;
mod control;
mod deletion_log;
pub mod environment;
#[cfg(feature = "failpoints")]
pub mod fail_point;
#[cfg(not(feature = "failpoints"))]
mod fail_point;
mod frame;
mod key_file;
pub mod limits;
mod metrics;
mod network_address;
mod rate_limit;
mod server;
mod server_key;
pub mod service;
pub mod storage;
mod telemetry;
mod transport;
pub mod trust_list;
mod wake;

pub use activation::ActivatedSockets;
pub use admin_port::AdminPortError;
pub use config::{Config, ConfigError};
pub use control::ControlError;
pub use key_file::KeyFileError;
pub use rate_limit::Rate;
pub use server::{ReloadFailure, Server, StartError};
pub use server_key::{ServerKey, ServerKeyHash};
pub use telemetry::TelemetryError;
pub use transport::certificate::CertificateError;
pub use transport::endpoint::ListenError;
pub use wake::PushError;
