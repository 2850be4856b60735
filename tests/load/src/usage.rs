//! What a process takes, as Linux tells it in /proc.

use std::fs;
use std::time::Duration;

/// Memory and CPU of a process so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Bytes of memory that it has (resident).
    pub(crate) resident: u64,
    /// The most so far.
    pub(crate) resident_max: u64,
    /// Time of all its threads, in user mode and in the kernel.
    pub(crate) cpu: Duration,
}

impl Usage {
    /// Of a process that runs; `None` where there is no /proc or no such process.
    pub(crate) fn of(process: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        Self::parse(&status, &stat, rustix::param::clock_ticks_per_second())
    }

    fn parse(status: &str, stat: &str, ticks_per_second: u64) -> Option<Self> {
        let bytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.trim_start_matches(':').trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
        };
        // The name of the program may have blanks and brackets.
        let (_, rest) = stat.rsplit_once(')')?;
        let ticks = |at: usize| rest.split_ascii_whitespace().nth(at)?.parse::<u64>().ok();
        let cpu_ms = (ticks(11)? + ticks(12)?) * 1000 / ticks_per_second.max(1);
        Some(Self { resident: bytes("VmRSS")?, resident_max: bytes("VmHWM")?, cpu: Duration::from_millis(cpu_ms) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read() {
        let stat = "12 (a ) b) S 1 12 12 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 1 1 1";
        let usage = Usage::parse("Name:\ta\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n", stat, 100).unwrap();
        assert_eq!((usage.resident, usage.resident_max, usage.cpu), (1 << 20, 2 << 20, Duration::from_secs(2)));
        assert!(Usage::of(std::process::id()).unwrap().resident > 1 << 20);
        assert!(Usage::of(u32::MAX).is_none());
    }
}
