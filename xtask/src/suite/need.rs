//! What suites need beyond Rust and a C compiler: how to see whether it is there, and how to get it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bindings::swift;
use crate::process::{answer, as_typed, succeeds};
use crate::project::Project;
use crate::suite::{Suite, public_api, wasm};

/// The release of cargo-deny that the suites are written for.
const CARGO_DENY: &str = "0.20.2";
/// The release of cargo-fuzz that the suites are written for.
const CARGO_FUZZ: &str = "0.13.2";
/// The release of Verifpal that the models are written for.
pub(super) const VERIFPAL_VERSION: &str = "1.6.7";

/// The release of cargo-public-api that reads what [`public_api::RUST`] writes.
const CARGO_PUBLIC_API: &str = "0.52.0";

/// The release of cargo-deb that packs the server.
const CARGO_DEB_VERSION: &str = "3.8.0";

/// Something that must be there before a suite can run.
#[derive(Debug)]
pub(super) struct Need {
    /// What it is called.
    pub(super) name: &'static str,
    /// Whether it is there. Changes nothing.
    probe: fn(&Project) -> bool,
    /// How to get it: each way is a list of commands, and the next way is tried when one fails.
    mend: Mend,
    /// What getting it takes at most, in minutes on two cores.
    pub(super) minutes: f32,
    /// What getting it downloads and keeps, in megabytes.
    pub(super) megabytes: u32,
}

/// How a need is met.
#[derive(Debug)]
enum Mend {
    /// By commands.
    Ways(fn(&Project) -> Vec<Vec<Command>>),
    /// By a person, who is told this.
    ByHand(&'static str),
}

impl Need {
    /// Whether it is there.
    pub(super) fn is_met(&self, project: &Project) -> bool {
        (self.probe)(project)
    }

    /// The ways to get it; none when only a person can.
    pub(super) fn ways(&self, project: &Project) -> Vec<Vec<Command>> {
        match self.mend {
            Mend::Ways(ways) => ways(project),
            Mend::ByHand(_) => Vec::new(),
        }
    }

    /// Tries the ways in order until it is there. `run` runs a command and says whether it exited with 0.
    pub(super) fn mend(&self, project: &Project, run: &mut dyn FnMut(Command) -> bool) -> bool {
        self.ways(project).into_iter().any(|way| way.into_iter().all(&mut *run) && self.is_met(project))
    }

    /// What a person can do about it.
    pub(super) fn advice(&self, project: &Project) -> String {
        match self.mend {
            Mend::ByHand(advice) => advice.to_owned(),
            Mend::Ways(ways) => {
                let first = ways(project).into_iter().next().unwrap_or_default();
                first.iter().map(as_typed).collect::<Vec<_>>().join(" && ")
            }
        }
    }
}

/// Whether a suite has the need.
pub(super) fn is_of(need: &Need, suite: &Suite) -> bool {
    suite.needs.iter().any(|other| other.name == need.name)
}

/// What these suites need, each once.
pub(super) fn of(suites: &[&Suite]) -> Vec<&'static Need> {
    let mut needs: Vec<&'static Need> = Vec::new();
    for need in suites.iter().flat_map(|suite| suite.needs) {
        if !needs.iter().any(|present| present.name == need.name) {
            needs.push(need);
        }
    }
    needs
}

/// `cargo fmt`.
pub(super) static RUSTFMT: Need = Need {
    name: "rustfmt",
    probe: |project| succeeds(&mut project.cargo(["fmt", "--version"])),
    mend: Mend::Ways(|project| component(project, "rustfmt", "rustfmt")),
    minutes: 0.5,
    megabytes: 15,
};

/// `cargo clippy`.
pub(super) static CLIPPY: Need = Need {
    name: "clippy",
    probe: |project| succeeds(&mut project.cargo(["clippy", "--version"])),
    mend: Mend::Ways(|project| component(project, "clippy", "rust-clippy")),
    minutes: 0.5,
    megabytes: 20,
};

/// cargo-deny.
pub(super) static DENY: Need = Need {
    name: "cargo-deny 0.20.2",
    probe: |project| has_cargo_tool(project, "deny", CARGO_DENY),
    mend: Mend::Ways(|project| cargo_tool(project, "cargo-deny", CARGO_DENY)),
    minutes: 2.5,
    megabytes: 120,
};

/// cargo-fuzz.
pub(super) static FUZZ: Need = Need {
    name: "cargo-fuzz 0.13.2",
    probe: |project| has_cargo_tool(project, "fuzz", CARGO_FUZZ),
    mend: Mend::Ways(|project| cargo_tool(project, "cargo-fuzz", CARGO_FUZZ)),
    minutes: 1.0,
    megabytes: 30,
};

/// A C++ compiler, for libFuzzer.
pub(super) static CXX: Need = Need {
    name: "a C++ compiler",
    probe: |project| {
        let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
        succeeds(project.command(compiler).arg("--version"))
    },
    mend: Mend::Ways(|project| vec![debian_packages(project, &["g++"])]),
    minutes: 1.0,
    megabytes: 60,
};

/// strace, where it may trace: a program whose writes it makes fail notices. Where it is installed and may not, the machine
/// forbids ptrace, and a container needs `--cap-add=SYS_PTRACE`.
pub(super) static STRACE: Need = Need {
    name: "strace that may trace (ptrace)",
    probe: |project| {
        let fails = "strace -D -f -qq -o /dev/null -e inject=write:error=EIO sh -c 'echo x || exit 42'; test $? = 42";
        succeeds(project.command("sh").args(["-c", fails]))
    },
    mend: Mend::Ways(|project| vec![debian_packages(project, &["strace"])]),
    minutes: 0.2,
    megabytes: 3,
};

/// Maven and a compiler for Java, whose virtual machine Kotlin's code runs on. Maven brings the compiler for Kotlin and the libraries
/// into its own repository, outside the tree.
pub(super) static MAVEN: Need = Need {
    name: "Maven and a JDK",
    probe: |project| {
        succeeds(project.command("mvn").arg("--version")) && succeeds(project.command("javac").arg("--version"))
    },
    mend: Mend::Ways(|project| vec![debian_packages(project, &["maven", "default-jdk-headless"])]),
    minutes: 2.0,
    megabytes: 600,
};

/// Network namespaces, and what changes a network's rules in one.
pub(super) static NAMESPACES: Need = Need {
    name: "network namespaces (unshare, nsenter, ip, iptables)",
    probe: |project| {
        let changes = "ip link set lo up && iptables -A INPUT -p udp -j DROP";
        let mut command = project.command("unshare");
        succeeds(command.args(["--map-root-user", "--net", "sh", "-c", changes]))
            && succeeds(project.command("nsenter").arg("-V"))
    },
    mend: Mend::Ways(|project| vec![debian_packages(project, &["util-linux", "iproute2", "iptables"])]),
    minutes: 0.3,
    megabytes: 10,
};

/// Chromium, which has WebTransport.
pub(super) static CHROMIUM: Need = Need {
    name: "Chromium",
    probe: |project| succeeds(project.command("chromium").arg("--version")),
    mend: Mend::Ways(|project| vec![debian_packages(project, &["chromium"])]),
    minutes: 1.0,
    megabytes: 400,
};

/// Node.js, of a release that Playwright takes, and npm.
pub(super) static NODE: Need = Need {
    name: "Node.js 18 or later, and npm",
    probe: |project| {
        let said = answer(project.command("node").arg("--version"));
        let release = said.and_then(|said| said.strip_prefix('v')?.split('.').next()?.parse::<u32>().ok());
        release.is_some_and(|release| release >= 18) && succeeds(project.command("npm").arg("--version"))
    },
    mend: Mend::Ways(|project| vec![debian_packages(project, &["nodejs", "npm"])]),
    minutes: 1.0,
    megabytes: 200,
};

/// tinyproxy, an HTTP proxy.
pub(super) static TINYPROXY: Need = Need {
    name: "tinyproxy",
    probe: |project| succeeds(project.command("tinyproxy").arg("-v")),
    mend: Mend::Ways(|project| vec![debian_packages(project, &["tinyproxy-bin"])]),
    minutes: 0.2,
    megabytes: 1,
};

/// cargo-public-api, and the Rust whose rustdoc it understands.
pub(super) static PUBLIC_API: Need = Need {
    name: "cargo-public-api 0.52.0 with Rust 1.95.0",
    probe: |project| public_api::cargo(project).is_some() && has_cargo_tool(project, "public-api", CARGO_PUBLIC_API),
    mend: Mend::Ways(|project| {
        let mut way = Vec::new();
        if public_api::cargo(project).is_none() {
            let mut rustup = project.command("rustup");
            rustup.args(["toolchain", "install", public_api::RUST, "--profile", "minimal"]);
            way.push(rustup);
        }
        // Locked alone: newer releases of what it is made of read other formats.
        way.extend(cargo_tool(project, "cargo-public-api", CARGO_PUBLIC_API).into_iter().take(1).flatten());
        vec![way]
    }),
    minutes: 4.0,
    megabytes: 400,
};

/// Verifpal, the symbolic protocol analyser. GPL: it is run, never shipped.
pub(super) static VERIFPAL: Need = Need {
    name: "verifpal 1.6.7",
    probe: |project| {
        let said = answer(project.command("verifpal").arg("--version"));
        said.is_some_and(|said| said.split_whitespace().any(|word| word == VERIFPAL_VERSION))
    },
    mend: Mend::Ways(|project| {
        let mut ways = cargo_tool(project, "verifpal", VERIFPAL_VERSION);
        for command in ways.iter_mut().flatten() {
            // It asks for Rust 1.98 and builds with 1.95. Its search runs long, so it is optimised; what it depends on is not.
            command.args([
                "--features",
                "cli",
                "--ignore-rust-version",
                "--config",
                "profile.dev.package.verifpal.opt-level=3",
            ]);
        }
        ways
    }),
    minutes: 5.0,
    megabytes: 130,
};

/// A standard library for wasm32-unknown-unknown, or the means to build one.
pub(super) static WASM: Need = Need {
    name: "Rust for wasm32-unknown-unknown",
    probe: |project| wasm::toolchain(project).is_some(),
    mend: Mend::Ways(|project| {
        let mut rustup = project.command("rustup");
        rustup.args(["target", "add", wasm::TARGET]);
        vec![vec![rustup], debian_packages(project, wasm::DEBIAN_PACKAGES)]
    }),
    minutes: 1.0,
    megabytes: 350,
};

/// The published vectors, which are not part of the project.
pub(super) static VECTORS: Need = Need {
    name: "the published vectors",
    probe: |project| ["wycheproof", "x-wing.json", "cda"].iter().all(|name| project.vectors().join(name).exists()),
    mend: Mend::ByHand(
        "put them into one folder and name it in MEDIPEPS_VECTORS (default ../shared/vectors): wycheproof/ from \
         https://github.com/C2SP/wycheproof testvectors_v1, mls/ from https://github.com/mlswg/mls-implementations \
         test-vectors, x-wing.json from https://github.com/RustCrypto/KEMs x-wing/tests, cda/ from \
         https://github.com/ansforge/TestContenuCDA",
    ),
    minutes: 5.0,
    megabytes: 60,
};

/// A validator for XML schemas.
pub(super) static XMLLINT: Need = Need {
    name: "xmllint",
    probe: |project| succeeds(project.command("xmllint").arg("--version")),
    mend: Mend::Ways(|project| vec![debian_packages(project, &["libxml2-utils"])]),
    minutes: 0.5,
    megabytes: 3,
};

/// cargo-deb.
pub(super) static CARGO_DEB: Need = Need {
    name: "cargo-deb 3.8.0",
    probe: |project| has_cargo_tool(project, "deb", CARGO_DEB_VERSION),
    mend: Mend::Ways(|project| cargo_tool(project, "cargo-deb", CARGO_DEB_VERSION)),
    minutes: 1.5,
    megabytes: 80,
};

/// What finds the libraries that a package depends on.
pub(super) static DPKG_DEV: Need = Need {
    name: "dpkg-dev",
    probe: |project| succeeds(project.command("dpkg-shlibdeps").arg("--version")),
    mend: Mend::Ways(|project| vec![debian_packages(project, &["dpkg-dev"])]),
    minutes: 0.5,
    megabytes: 60,
};

/// systemd's programs; systemd itself need not run.
pub(super) static SYSTEMD: Need = Need {
    name: "systemd's programs",
    probe: |project| {
        let there = |program| succeeds(project.command(program).arg("--version"));
        there("systemd-analyze") && there("systemd-socket-activate")
    },
    mend: Mend::Ways(|project| vec![debian_packages(project, &["systemd"])]),
    minutes: 0.3,
    megabytes: 30,
};

/// Builds and runs containers without a daemon.
pub(super) static BUILDAH: Need = Need {
    name: "buildah",
    probe: |project| succeeds(project.command("buildah").arg("--version")),
    mend: Mend::Ways(|project| vec![debian_packages(project, &["buildah"])]),
    minutes: 0.5,
    megabytes: 90,
};

/// The files of a Debian to install the package into, of the release that this machine runs and from the same sources.
pub(super) static DEBIAN_ROOT: Need = Need {
    name: "a fresh Debian in a folder",
    probe: |project| debian_root(project).join("usr/bin/systemd-sysusers").exists(),
    mend: Mend::Ways(|project| vec![debian_in_a_folder(project, &debian_root(project), BOOTSTRAP)]),
    minutes: 1.5,
    megabytes: 200,
};

/// Makes a small Debian in the folder `$1`.
const BOOTSTRAP: &str = r#"rm -rf "$1.partial" && . /etc/os-release && \
mmdebstrap --quiet --variant=essential --mode=root --include=systemd "$VERSION_CODENAME" "$1.partial" \
$(ls /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources 2>/dev/null) && mv "$1.partial" "$1""#;

/// A compiler for Swift, which Debian has from its release of 2025 on: in a folder of its own, from this machine's sources.
pub(super) static SWIFT: Need = Need {
    name: "Swift 6 in a Debian of its own, and root to enter it",
    probe: |project| {
        let temporary = std::env::temp_dir();
        succeeds(&mut swift::in_compiler_root(project, &temporary, "swiftc --version", &[]))
    },
    mend: Mend::Ways(|project| vec![debian_in_a_folder(project, &swift::compiler_root(project), BOOTSTRAP_SWIFT)]),
    minutes: 3.0,
    megabytes: 2600,
};

/// Makes a Debian with Swift in the folder `$1`.
const BOOTSTRAP_SWIFT: &str = r#"rm -rf "$1" "$1.partial" && \
from=$(cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | \
awk '/^URIs:/ { print $2; exit } /^deb / { for (i = 2; i <= NF; i++) if ($i ~ /^http/) { print $i; exit } }') && \
mmdebstrap --quiet --variant=apt --mode=root --include=swiftlang,libc6-dev,libstdc++-14-dev trixie "$1.partial" \
"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $from trixie main" && mkdir "$1.partial/share" && mv "$1.partial" "$1""#;

/// Where that Debian lies.
pub(super) fn debian_root(project: &Project) -> PathBuf {
    project.tools().with_file_name("debian")
}

/// Makes a Debian in a folder by a script, from this machine's own sources. The folder has its name only once it is whole.
fn debian_in_a_folder(project: &Project, folder: &Path, script: &str) -> Vec<Command> {
    let mut way = debian_packages(project, &["mmdebstrap"]);
    let mut make = project.command("mkdir");
    make.arg("-p").arg(folder.parent().unwrap_or(folder));
    let mut bootstrap = as_root(project, "sh");
    bootstrap.args(["-c", script, "sh"]).arg(folder);
    way.extend([make, bootstrap]);
    way
}

/// A command as root, by sudo where need be.
pub(crate) fn as_root(project: &Project, program: &str) -> Command {
    if answer(project.command("id").arg("-u")).is_some_and(|id| id == "0") {
        return project.command(program);
    }
    let mut command = project.command("sudo");
    command.arg(program);
    command
}

/// Python with those who read what the server tells to monitoring: an environment of its own in the cache.
pub(super) static PYTHON: Need = Need {
    name: "python3 with prometheus_client and opentelemetry-proto",
    probe: |project| {
        let imports = "import pip, prometheus_client.openmetrics.parser, opentelemetry.proto.collector.trace.v1.trace_service_pb2";
        succeeds(project.command("python3").args(["-c", imports]))
    },
    mend: Mend::Ways(|project| {
        let environment = || {
            let mut environment = project.command("python3");
            environment.args(["-m", "venv"]).arg(project.tools());
            let mut install = project.command(project.tools().join("bin/python3"));
            install.args(["-m", "pip", "install", "prometheus-client==0.26.0", "opentelemetry-proto==1.45.2"]);
            [environment, install]
        };
        let mut packages = debian_packages(project, &["python3", "python3-venv"]);
        packages.extend(environment());
        vec![environment().into(), packages]
    }),
    minutes: 0.5,
    megabytes: 30,
};

/// A rustup component; without rustup, Debian's package of the same.
fn component(project: &Project, component: &str, package: &str) -> Vec<Vec<Command>> {
    let mut rustup = project.command("rustup");
    rustup.args(["component", "add", component]);
    vec![vec![rustup], debian_packages(project, &[package])]
}

fn has_cargo_tool(project: &Project, tool: &str, version: &str) -> bool {
    let said = answer(project.cargo([tool, "--version"]).env_remove("RUSTC_BOOTSTRAP"));
    said.is_some_and(|said| said.split_whitespace().any(|word| word == version))
}

/// A cargo tool into the cache, by its own lock file and, where that does not resolve, without.
fn cargo_tool(project: &Project, tool: &str, version: &str) -> Vec<Vec<Command>> {
    let install = |locked: bool| {
        // A debug build: these tools run for seconds, and compiling them optimised takes minutes more.
        let mut command = project.cargo(["install", "--debug", "--no-default-features", "--version"]);
        command.arg(format!("={version}")).arg("--root").arg(project.tools());
        if locked {
            command.arg("--locked");
        }
        command.arg(tool);
        command.current_dir(std::env::temp_dir()); // outside of the workspace, or its settings would apply
        vec![command]
    };
    vec![install(true), install(false)]
}

/// Debian packages, as root or by sudo.
fn debian_packages(project: &Project, packages: &[&str]) -> Vec<Command> {
    let root = answer(project.command("id").arg("-u")).is_some_and(|id| id == "0");
    let apt = |words: &[&str]| {
        let mut command = if root { project.command("apt-get") } else { project.command("sudo") };
        if root {
            command.env("DEBIAN_FRONTEND", "noninteractive");
        } else {
            command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        }
        command.args(words);
        command
    };
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(packages);
    vec![apt(&["update", "--quiet"]), apt(&install)]
}

/// The folder of a toolchain's own files.
pub(super) fn sysroot(project: &Project, rustc: &str) -> Option<PathBuf> {
    let mut command = project.command(rustc);
    answer(command.args(["--print", "sysroot"])).map(PathBuf::from)
}
