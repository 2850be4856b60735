//! The report: as JSON for programs, as Markdown for people.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::active::ActiveReport;
use crate::arguments::Arguments;
use crate::error::LoadError;
use crate::idle::IdleReport;
use crate::latency::Percentiles;

/// Bytes of server memory that an idle connection may take (DESIGN.md, Performance budgets).
const IDLE_BUDGET_BYTES: f64 = 36.0 * 1024.0;

/// What was measured, and how.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Of this program and of the server, when it is ours.
    pub(crate) version: &'static str,
    /// Seconds since 1970.
    pub(crate) started: u64,
    /// Of this machine, which clients and server share unless the server was named.
    pub(crate) processors: usize,
    pub(crate) asked: Asked,
    /// Whether it was stopped before its time.
    pub(crate) interrupted: bool,
    pub(crate) disk: DiskReport,
    pub(crate) idle: Option<IdleReport>,
    pub(crate) active: Option<ActiveReport>,
    /// The most memory that the server ever had, where it is ours.
    pub(crate) server_resident_max_bytes: Option<u64>,
}

/// What was asked for.
#[derive(Debug, Serialize)]
pub(crate) struct Asked {
    pub(crate) idle: usize,
    pub(crate) active: usize,
    pub(crate) seconds: u64,
    pub(crate) envelope_bytes: usize,
    /// Submissions a second; `None` for closed loops.
    pub(crate) rate: Option<u32>,
    /// Submissions under way at once at each client, in closed loops.
    pub(crate) in_flight: usize,
    /// Whether by WebSocket alone.
    pub(crate) websocket: bool,
    /// `None` where the server was started for this run.
    pub(crate) server: Option<String>,
}

/// 4 KiB written and synced in the folder of the server's store.
#[derive(Debug, Default, Serialize)]
pub(crate) struct DiskReport {
    pub(crate) unloaded_ms: Option<Percentiles>,
    pub(crate) under_load_ms: Option<Percentiles>,
}

impl Report {
    /// One with nothing measured yet.
    pub(crate) fn new(arguments: &Arguments, now: Duration) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            started: now.as_secs(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            asked: Asked {
                idle: arguments.idle,
                active: arguments.active,
                seconds: arguments.seconds,
                envelope_bytes: arguments.size,
                rate: arguments.rate,
                in_flight: arguments.in_flight(),
                websocket: arguments.websocket,
                server: arguments.server.as_ref().map(ToString::to_string),
            },
            interrupted: false,
            disk: DiskReport::default(),
            idle: None,
            active: None,
            server_resident_max_bytes: None,
        }
    }

    /// Whether nothing that was accepted was lost, and no idle client either.
    pub(crate) fn is_good(&self) -> bool {
        self.active.as_ref().is_none_or(|active| active.lost == 0)
            && self.idle.as_ref().is_none_or(|idle| idle.lost == 0)
    }

    /// Writes report.json and report.md.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), LoadError> {
        for (name, text) in [("report.json", self.json()?), ("report.md", self.markdown())] {
            let path = folder.join(name);
            fs::write(&path, text).map_err(LoadError::system(path.display().to_string()))?;
        }
        Ok(())
    }

    /// Prints one of the two.
    pub(crate) fn print(&self, arguments: &Arguments) -> Result<(), LoadError> {
        use std::io::Write as _;
        let text = if arguments.json { self.json()? } else { self.markdown() };
        let printed = std::io::stdout().lock().write_all(text.as_bytes());
        printed.map_err(LoadError::system("the standard output"))
    }

    fn json(&self) -> Result<String, LoadError> {
        let json = serde_json::to_string_pretty(self).map_err(|error| LoadError::server("report")(&error))?;
        Ok(json + "\n")
    }

    fn markdown(&self) -> String {
        let mut text = String::from("# Load\n\n");
        let _ = self.write_markdown(&mut text); // a String takes everything
        text
    }

    fn write_markdown(&self, text: &mut String) -> std::fmt::Result {
        let Asked { idle, active, seconds, envelope_bytes, rate, in_flight, websocket, server } = &self.asked;
        let how = rate.map_or_else(|| format!("{in_flight} under way each"), |rate| format!("{rate} a second in all"));
        let whose = server.as_deref().unwrap_or("one of its own, over loopback");
        writeln!(
            text,
            "{idle} idle clients, {active} active ones for {seconds} s, envelopes of {} KiB, {how}.",
            envelope_bytes / 1024
        )?;
        writeln!(text, "Server: {whose}. Version {}, {} processors for both ends.", self.version, self.processors)?;
        if *websocket {
            writeln!(text, "All of them by WebSocket.")?;
        }
        if self.interrupted {
            writeln!(text, "\n**Stopped before its time.**")?;
        }
        if let Some(active) = &self.active {
            write_active(text, active)?;
        }
        writeln!(
            text,
            "\n## Latencies (ms)\n\n| what | p50 | p90 | p99 | p99.9 | max | count |\n|---|---|---|---|---|---|---|"
        )?;
        let active = self.active.as_ref();
        let rows = [
            ("enqueue to deliver", active.and_then(|active| active.deliver_ms)),
            ("accept (it is on the disk)", active.and_then(|active| active.accept_ms)),
            ("handshake, proof, subscription", self.idle.as_ref().and_then(|idle| idle.handshake_ms)),
            ("disk: write and sync, by itself", self.disk.unloaded_ms),
            ("disk: write and sync, under load", self.disk.under_load_ms),
        ];
        for (what, percentiles) in rows {
            if let Some(Percentiles { count, p50, p90, p99, p99_9, max, .. }) = percentiles {
                writeln!(text, "| {what} | {p50:.2} | {p90:.2} | {p99:.2} | {p99_9:.2} | {max:.2} | {count} |")?;
            }
        }
        if let Some(idle) = self.idle.as_ref().filter(|idle| idle.connections > 0) {
            write_idle(text, idle, *websocket)?;
        }
        if let Some(bytes) = self.server_resident_max_bytes {
            writeln!(text, "\nThe server's memory at its most: {:.0} MiB.", bytes as f64 / f64::from(1 << 20))?;
        }
        Ok(())
    }
}

fn write_active(text: &mut String, active: &ActiveReport) -> std::fmt::Result {
    writeln!(text, "\n## Throughput\n\n| what | value |\n|---|---|")?;
    writeln!(text, "| accepted a second | {:.0} |", active.accepted_per_second)?;
    writeln!(text, "| accepted / delivered / lost | {} / {} / {} |", active.accepted, active.delivered, active.lost)?;
    if let Some(cpu) = active.cpu_us_per_message {
        writeln!(text, "| server CPU a message | {cpu:.0} us |")?;
    }
    if active.not_submitted > 0 {
        writeln!(text, "| due and never submitted | {} |", active.not_submitted)?;
    }
    if active.repeated + active.unanswered > 0 {
        writeln!(text, "| delivered again / not answered | {} / {} |", active.repeated, active.unanswered)?;
    }
    for (code, count) in &active.refused {
        writeln!(text, "| refused with code {code} | {count} |")?;
    }
    Ok(())
}

fn write_idle(text: &mut String, idle: &IdleReport, websocket: bool) -> std::fmt::Result {
    writeln!(text, "\n## Idle clients\n\n| what | value |\n|---|---|")?;
    writeln!(text, "| connections / lost | {} / {} |", idle.connections, idle.lost)?;
    writeln!(text, "| handshakes a second, both ends | {:.0} |", idle.handshakes_per_second)?;
    if let Some(bytes) = idle.bytes_per_connection {
        let (kib, budget) = (bytes / 1024.0, IDLE_BUDGET_BYTES / 1024.0);
        let over = if bytes > IDLE_BUDGET_BYTES { ", OVER the budget" } else { "" };
        // The budget is QUIC's.
        let judged = if websocket { String::new() } else { format!(" (budget {budget:.0} KiB{over})") };
        writeln!(text, "| server memory a connection | {kib:.1} KiB{judged} |")?;
    }
    Ok(())
}
