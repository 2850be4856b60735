//! What a service manager does with the server: sockets that it holds over a restart, and what the server tells it.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::bare_account::{BareAccount, Place};
use crate::process::{PATIENCE, Process, medipeps_server, wait_until};
use crate::server::Server;

/// How long no server runs between two.
const GAP_SECONDS: &str = "2";

/// A packet of a version of QUIC that there is not: a server answers it with the versions that it knows (RFC 9000, 6.1).
fn unknown_version() -> Vec<u8> {
    let mut packet = vec![0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8];
    packet.extend([7; 8]);
    packet.push(0);
    packet.resize(1200, 0);
    packet
}

fn systemd_socket_activate() -> Command {
    let mut probe = Command::new("systemd-socket-activate");
    let works =
        probe.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|it| it.success());
    assert!(works, "systemd-socket-activate is missing: `cargo xtask test --install end-to-end`");
    Command::new("systemd-socket-activate")
}

/// The one process that another has started.
fn child_of(id: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

fn terminate(id: u32) {
    assert!(Command::new("kill").arg(id.to_string()).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_is_handed_over_outlives_the_server_and_loses_no_packet() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::configured(folder.path(), "");
    let account = BareAccount::new("karim", 1);
    let invitation = server.invite().parse().unwrap();
    let place = Place::of(&server);
    // The shell holds the socket, as a service manager does, and starts one server after the other on it.
    let stop = folder.path().join("stop");
    let script = format!(
        "while [ ! -e \"$2\" ]; do sh -c 'LISTEN_PID=$$ exec \"$0\" run --config \"$1\"' \"$0\" \"$1\"; sleep {GAP_SECONDS}; done"
    );
    let mut command = systemd_socket_activate();
    command.args(["--datagram", "--fdname=quic", "--listen"]).arg(server.host()).args(["sh", "-c", &script]);
    command.arg(medipeps_server()).arg(server.config()).arg(&stop);
    let manager = Process::start(&mut command);
    let (_, port) = place.host.split_once(':').unwrap();
    let listed = format!("0100007F:{:04X}", port.parse::<u16>().unwrap());
    wait_until("it listens", || fs::read_to_string("/proc/net/udp").unwrap().contains(&listed));

    // The first packet starts the server, which could not have opened the port itself.
    account.register_with(&place, &invitation).await;
    let first = child_of(manager.id()).unwrap();
    let device = account.connect(&place).await.unwrap();
    device.close().await;
    terminate(first);
    wait_until("the first has ended", || child_of(manager.id()) != Some(first));
    let lonely = UdpSocket::bind("127.0.0.1:0").unwrap();
    lonely.connect(server.host()).unwrap();
    let sent = Instant::now();
    lonely.send(&unknown_version()).unwrap();
    lonely.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = [0; 1500];
    let length = lonely.recv(&mut answer).expect("what came while no server ran is lost");
    assert!(sent.elapsed() > Duration::from_secs(1), "no server ran meanwhile: {:?}", sent.elapsed());
    assert!(length > 7 && answer[0] & 0x80 != 0 && answer[1..5] == [0; 4], "it is no version negotiation");
    let second = child_of(manager.id()).unwrap();
    assert_ne!(first, second);
    account.connect(&place).await.unwrap().close().await;
    fs::write(&stop, "").unwrap();
    terminate(second);
    manager.wait().done();
}

/// What has been told by now.
fn told(manager: &UnixDatagram) -> Vec<String> {
    let mut told = Vec::new();
    let mut message = [0; 4096];
    while let Ok(length) = manager.recv(&mut message) {
        told.extend(String::from_utf8_lossy(&message[..length]).lines().map(str::to_owned));
    }
    told
}

#[test]
fn the_service_manager_is_told_what_the_server_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::configured(folder.path(), "");
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_nonblocking(true).unwrap();
    let mut command = server.run_command();
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    server.run_by(command);
    let mut all = Vec::new();
    let mut until = |what: &str| {
        wait_until(what, || {
            all.extend(told(&manager));
            all.iter().any(|line| line == what)
        });
        std::mem::take(&mut all)
    };
    until("READY=1");
    until("WATCHDOG=1");
    until("WATCHDOG=1");
    server.hang_up();
    let reloading = until("RELOADING=1");
    assert!(reloading.iter().any(|line| line.starts_with("MONOTONIC_USEC=")), "{reloading:?}");
    if !reloading.iter().any(|line| line == "READY=1") {
        until("READY=1");
    }
    let process = server.begin_to_stop();
    until("STOPPING=1");
    process.wait().done();
}
