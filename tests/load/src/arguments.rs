//! What a person types.

use std::path::PathBuf;

use clap::Parser;
use medipeps_client::shell::address::ServerAddress;
use medipeps_core::limits::ENVELOPE_SIZES;

/// Requests that one connection may have open at once: what QUIC lets a client of Medipeps do, less the subscription.
const IN_FLIGHT_MAX: u16 = 11;

/// Opens idle and active clients at a server, over the real protocol, and measures.
///
/// An idle client has proved a device and subscribed, and gets nothing. An active one has two connections, as every client: over one
/// it gets its mail and acknowledges it, over the other it submits, to the next active client. Envelopes are of the right
/// size and random, as a server cannot open them. Without --server it starts one of its own, with its rates raised, and
/// measures that process' memory and CPU too.
///
/// It writes report.json, report.md and plots as SVG. ^C ends it with the report so far.
#[derive(Debug, Clone, Parser)]
#[command(name = "cargo xtask load", bin_name = "cargo xtask load")]
pub(crate) struct Arguments {
    /// Clients that are connected and subscribed and get nothing.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) idle: usize,
    /// Clients that submit and get mail.
    #[arg(long, value_name = "M", default_value_t = 16)]
    pub(crate) active: usize,
    /// Seconds for which the active clients submit.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
    /// KiB of an envelope: 4, 8, 16, 32 or 64.
    #[arg(long, value_name = "KIB", default_value = "4", value_parser = envelope_length)]
    pub(crate) size: usize,
    /// Submissions a second, of all active clients together, at times fixed beforehand: what is late counts from when it was due.
    /// Without it each client submits again as soon as it has its answer.
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
    /// Submissions that a client has under way at once, at most 11; with --rate, as many as are due.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::from(IN_FLIGHT_MAX)), conflicts_with = "rate")]
    pub(crate) in_flight: u16,
    /// A server that runs already. Its limits are those that it was given.
    #[arg(long, value_name = "HOST:PORT", requires = "invitations")]
    pub(crate) server: Option<ServerAddress>,
    /// A file with invitations of that server, one a line, one for each client.
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) invitations: Option<PathBuf>,
    /// Leave the server's limits at their defaults, but for registrations, and come from one network address alone, as a hospital does.
    #[arg(long, conflicts_with = "server")]
    pub(crate) default_limits: bool,
    /// Connect by WebSocket alone, as from a network that blocks UDP.
    #[arg(long)]
    pub(crate) websocket: bool,
    /// Where report and plots go, and while it runs the server's data: a folder on the disk that is to be measured.
    #[arg(long, value_name = "DIR", default_value = "target/load")]
    pub(crate) out: PathBuf,
    /// The command medipeps-server; by default the one beside this program.
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    pub(crate) server_program: Option<PathBuf>,
    /// Print report.json on the standard output rather than report.md.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Arguments {
    /// Submissions that one client may have under way.
    pub(crate) fn in_flight(&self) -> usize {
        usize::from(if self.rate.is_some() { IN_FLIGHT_MAX } else { self.in_flight })
    }

    /// Accounts that are needed.
    pub(crate) const fn clients(&self) -> usize {
        self.idle + self.active
    }
}

/// Bytes, of KiB.
fn envelope_length(text: &str) -> Result<usize, String> {
    let kib: Option<usize> = text.parse().ok();
    kib.and_then(|kib| ENVELOPE_SIZES.into_iter().find(|size| *size == kib.saturating_mul(1024)))
        .ok_or_else(|| "an envelope has 4, 8, 16, 32 or 64 KiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_use_is_refused() {
        let parse = |words: &[&str]| Arguments::try_parse_from([&["load"], words].concat());
        assert_eq!(parse(&["--size", "16"]).unwrap().size, 16_384);
        for words in [
            &["--size", "5"][..],
            &["--size", "0"],
            &["--server", "localhost:1"],
            &["--invitations", "file"],
            &["--server", "localhost", "--invitations", "file"],
            &["--rate", "0"],
            &["--in-flight", "12"],
            &["--in-flight", "2", "--rate", "7"],
            &["--seconds", "0"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
