//! A network of the tests' own: a namespace (Linux) with nothing in it but a loopback interface, whose rules and sizes a test
//! may change.

use std::process::{Child, Command, Stdio};

use crate::process::wait_until;

/// A network that only what is started in it can see. It needs no special rights where user namespaces are allowed.
#[derive(Debug)]
pub struct Network {
    /// Holds the namespace.
    holder: Child,
}

impl Network {
    /// A network whose loopback interface is up.
    #[track_caller]
    pub fn new() -> Self {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "sleep", "1000"]).stdout(Stdio::null());
        let holder = command.spawn().expect("unshare is missing: `cargo xtask test --install networks`");
        let network = Self { holder };
        // Until it has unshared, its namespace is ours; until it has execed, it may not be entered.
        wait_until("the namespace is there", || {
            let own = std::fs::read_link("/proc/self/ns/net").unwrap();
            let its = std::fs::read_link(format!("/proc/{}/ns/net", network.holder.id()));
            let name = std::fs::read_to_string(format!("/proc/{}/comm", network.holder.id())).unwrap_or_default();
            its.is_ok_and(|its| its != own) && name.trim() == "sleep"
        });
        network.change("ip link set lo up");
        network
    }

    /// Runs a line of the shell in it, which must succeed.
    #[track_caller]
    pub fn change(&self, line: &str) {
        let mut shell = Command::new("sh");
        let done = self.inside(shell.args(["-c", line])).output().unwrap();
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// UDP packets are dropped on their way, as a firewall does that lets only the web through.
    #[track_caller]
    pub fn block_udp(&self) {
        self.change("iptables -A INPUT -p udp -j DROP");
    }

    /// UDP gets through again.
    #[track_caller]
    pub fn unblock_udp(&self) {
        self.change("iptables -F INPUT");
    }

    /// The largest packet that passes, in bytes.
    #[track_caller]
    pub fn set_mtu(&self, bytes: u16) {
        self.change(&format!("ip link set lo mtu {bytes}"));
    }

    /// The same command, started in this network.
    pub fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.args(["--preserve-credentials", "--user", "--net", "--target", &self.holder.id().to_string(), "--"]);
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
