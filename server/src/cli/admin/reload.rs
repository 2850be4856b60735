//! `medipeps-server admin reload`

use medipeps_core::wire::control::{ControlRequest, ControlResponse};

use crate::cli::{ConfigArgument, Failure, print};
use crate::config::Config;
use crate::control::ask;

/// The file tells where the server's socket is, and no more, so that one with a mistake gets there: the server reads its own
/// file, and says what is wrong with it.
pub(super) async fn reload(argument: &ConfigArgument) -> Result<(), Failure> {
    let socket = Config::control_socket_of(&argument.config).map_err(Failure::failed)?;
    match ask(&socket, &ControlRequest::Reload).await.map_err(Failure::failed)? {
        Some(ControlResponse::Reloaded(changed)) if changed.is_empty() => print("nothing has changed\n"),
        Some(ControlResponse::Reloaded(changed)) => print(&format!("changed: {}\n", changed.join(", "))),
        Some(ControlResponse::Error(message)) => Err(Failure::Failed(message)),
        Some(_) => Err(Failure::failed("the server answered something else")),
        None => Err(Failure::failed("no server runs with this data directory")),
    }
}
