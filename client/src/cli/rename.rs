//! `medipeps device rename`

use std::path::Path;

use super::{CommandError, output};
use crate::engine::Input;

#[derive(Debug, clap::Args)]
pub(super) struct Rename {
    /// The device's number, as `device list` shows it
    #[arg(value_name = "ID")]
    device: u32,
    /// What you call it from now on; "" takes its name away
    name: String,
}

/// Calls a device of the account by another name, here and on the account's other devices.
pub(super) async fn run(home: &Path, rename: Rename) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let (device_id, name) = (rename.device, rename.name.trim().to_owned());
    let mut problem = None;
    let result = match agent.run(Input::NameDevice { device_id, name: name.clone() }, &mut |_| {}).await {
        // The other devices hear of it now; if not, with the next sync.
        Ok(_) => agent.send_due(&mut |_| {}).await.map(|failure| problem = failure),
        Err(error) => Err(error),
    };
    agent.close().await;
    result?;
    output::print(&match name.is_empty() {
        true => format!("Device {device_id} has no name now.\n"),
        false => format!("Device {device_id} is called \"{}\" now.\n", output::line(&name)),
    })?;
    if let Some(problem) = problem {
        eprintln!("the other devices do not know yet: {problem}; `sync` tells them");
    }
    Ok(())
}
