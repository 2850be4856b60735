//! The units, as systemd reads them.

use std::path::Path;
use std::process::Stdio;

use super::{Checked, Installation, done, words};
use crate::process::as_typed;

const SERVICE: &str = "usr/lib/systemd/system/medipeps-server.service";
/// Where systemd's own units lie.
const UNITS: &str = "usr/lib/systemd/system";
/// The exposure that systemd may find, in tenths. The network is what a server is for: 0.5 of it cannot go.
const EXPOSURE_MAX: &str = "--threshold=15";

/// Nothing unknown, nothing missing, no word of complaint.
pub(super) fn verify(installation: &Installation) -> Checked {
    let root = installation.unpacked("verify")?;
    // The units that ours name: sysinit.target and its like.
    let system = Path::new("/").join(UNITS);
    done(installation.run.project.command("cp").arg("-R").arg(system.join(".")).arg(root.join(UNITS)))?;
    let mut command = installation.run.project.command("systemd-analyze");
    command.arg("verify").arg(format!("--root={}", root.display()));
    command.args(["medipeps-server.service", "medipeps-server.socket"]).stdin(Stdio::null());
    let output = command.output().map_err(words)?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() && said.trim().is_empty() {
        Ok(())
    } else {
        Err(format!("{} ended with {}: {said}", as_typed(&command), output.status))
    }
}

/// The sandbox is as tight as it was.
pub(super) fn exposure(installation: &Installation) -> Checked {
    let root = installation.unpacked("exposure")?;
    let mut command = installation.run.project.command("systemd-analyze");
    command.args(["security", "--no-pager", "--offline=yes", EXPOSURE_MAX]).arg(root.join(SERVICE));
    done(&mut command).map(|_| ())
}
