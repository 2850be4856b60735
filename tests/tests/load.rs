//! The load generator against a server of its own: what it says has the form that it promises, and nothing is lost.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use medipeps_core::invitation::Invitation;
use serde_json::Value;

use crate::process::{Process, medipeps_load, run, wait_until};
use crate::server::{NO_LIMITS, Server};

/// For 8 000 connections on a slow machine.
const HOSPITAL_PATIENCE: Duration = Duration::from_secs(600);

fn load(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(medipeps_load());
    command.arg("--out").arg(folder).arg("--json").args(words);
    command
}

/// What must hold of every run in which clients were active.
#[track_caller]
fn assert_complete(report: &Value) {
    let active = &report["active"];
    let accepted = active["accepted"].as_u64().unwrap();
    assert!(accepted > 0, "{active}");
    assert_eq!(active["lost"], 0);
    assert!(active["delivered"].as_u64().unwrap() >= accepted);
    assert_eq!(active["refused"], serde_json::json!({}));
    for latencies in ["accept_ms", "deliver_ms"] {
        let latencies = &active[latencies];
        let [p50, p99, max] = ["p50", "p99", "max"].map(|key| latencies[key].as_f64().unwrap());
        assert!(0.0 < p50 && p50 <= p99 && p99 <= max, "{latencies}");
        assert!(latencies["count"].as_u64().unwrap() >= accepted);
    }
    let by_second = active["accept_by_second"].as_array().unwrap();
    let counted: u64 = by_second.iter().filter_map(|second| second["count"].as_u64()).sum();
    assert_eq!(counted, accepted, "every second is there");
}

#[test]
fn a_small_run_loses_nothing_and_reports_everything() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let said = run(&mut load(&out, &["--idle", "20", "--active", "4", "--seconds", "3"])).done();
    let report = said.json();
    assert_eq!(report, serde_json::from_slice::<Value>(&fs::read(out.join("report.json")).unwrap()).unwrap());
    assert_complete(&report);
    assert_eq!(report["interrupted"], false);
    assert!(report["active"]["cpu_us_per_message"].as_f64().unwrap() > 0.0);
    assert_eq!(report["idle"]["connections"], 20);
    assert_eq!(report["idle"]["lost"], 0);
    assert_eq!(report["idle"]["memory"].as_array().unwrap().first().unwrap()["connections"], 0);
    assert!(report["idle"]["handshakes_per_second"].as_f64().unwrap() > 0.0);
    assert!(report["disk"]["under_load_ms"]["p99"].as_f64().unwrap() > 0.0);
    let page = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(page.contains("| accepted a second |") && page.contains("| enqueue to deliver |"), "{page}");
    for plot in ["latency", "percentiles", "throughput", "memory"] {
        let plot = fs::read_to_string(out.join(plot).with_extension("svg")).unwrap();
        assert!(plot.starts_with("<svg") && plot.trim_end().ends_with("</svg>"));
    }
    assert!(!out.join("server").exists(), "the server's data goes");
}

#[test]
fn another_server_is_loaded_at_a_fixed_rate() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(&folder.path().join("server"), NO_LIMITS);
    let invitations: Vec<String> = (0..3).map(|_| server.invite()).collect();
    let file = folder.path().join("invitations");
    fs::write(&file, invitations.join("\n")).unwrap();
    let host = server.host();
    let known = ["--server", &host, "--invitations", file.to_str().unwrap()];
    let words = [&known[..], &["--idle", "1", "--active", "2", "--seconds", "2", "--rate", "40"]].concat();
    let report = run(&mut load(&folder.path().join("out"), &words)).done().json();
    assert_complete(&report);
    assert_eq!(report["asked"]["server"], host);
    assert_eq!(report["active"]["cpu_us_per_message"], Value::Null, "another's process is not looked at");
    let submitted = ["accepted", "not_submitted"].map(|key| report["active"][key].as_u64().unwrap());
    let due = submitted.iter().sum::<u64>();
    assert!((79..=81).contains(&due), "40 a second for 2 s, early or late: {submitted:?}");

    // The same invitations are used up, and an unknown one is none of the server's.
    run(&mut load(&folder.path().join("again"), &words)).with_code(1);
    let few = [&known[..], &["--active", "9"]].concat();
    let said = run(&mut load(&folder.path().join("few"), &few));
    let said = said.with_code(2);
    assert!(said.complaints.contains("has 3 invitations"), "{}", said.complaints);
    assert!(
        invitations.iter().all(|code| code.parse::<Invitation>().is_ok() && !said.complaints.contains(code.as_str()))
    );
}

/// Clients behind one network address, with the limits that a server has by default: all come in, all get their mail. In a nightly run
/// there are as many as in a large hospital.
#[test]
fn a_hospital_behind_one_network_address_works() {
    let folder = tempfile::tempdir().unwrap();
    let clients = if std::env::var_os("MEDIPEPS_NIGHTLY").is_some() { 4000 } else { 200 };
    let (idle, active) = (2 * clients - 40, 20);
    let [idle, active] = [idle.to_string(), active.to_string()];
    let words = ["--default-limits", "--idle", &idle, "--active", &active, "--rate", "60", "--seconds", "5"];
    let report =
        Process::start(&mut load(&folder.path().join("out"), &words)).wait_at_most(HOSPITAL_PATIENCE).done().json();
    assert_complete(&report);
    assert_eq!(report["idle"]["connections"], 2 * clients - 40);
    assert_eq!(report["idle"]["lost"], 0);
}

#[test]
fn asked_to_stop_it_reports_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let process = Process::start(&mut load(&out, &["--idle", "1", "--active", "2", "--seconds", "600"]));
    wait_until("messages are accepted", || process.complaints().contains("2 s  "));
    process.interrupt();
    let report = process.wait().done().json();
    assert_complete(&report);
    assert_eq!(report["interrupted"], true);
    assert!(report["active"]["seconds"].as_f64().unwrap() < 60.0);
}

#[test]
fn wrong_use_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for words in [&["--size", "5"][..], &["--server", "127.0.0.1:1"], &["--server-program", "/no/such/program"]] {
        let said = run(&mut load(&folder.path().join("out"), words)).with_code(2);
        assert!(said.complaints.contains("error:"), "{}", said.complaints);
    }
    assert!(run(Command::new(medipeps_load()).arg("--help")).done().output.contains("cargo xtask load"));
}
