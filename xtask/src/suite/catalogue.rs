//! The list of suites. A new one is an entry here; CONTRIBUTING.md says how.

use std::num::NonZero;
use std::process::Command;
use std::thread;

use crate::bindings::{Build, npm};
use crate::demo;
use crate::process;
use crate::readme;
use crate::suite::count::Counts;
use crate::suite::need::{
    BUILDAH, CARGO_DEB, CHROMIUM, CLIPPY, CXX, DEBIAN_ROOT, DENY, DPKG_DEV, FUZZ, MAVEN, NAMESPACES, NODE, PUBLIC_API,
    PYTHON, RUSTFMT, STRACE, SWIFT, SYSTEMD, TINYPROXY, VECTORS, VERIFPAL, WASM, XMLLINT,
};
use crate::suite::report::Ended;
use crate::suite::{
    Run, Suite, Work, deny, fuzz, installation, languages, model, node, public_api, published, wasm, workspace,
};

/// Property-test cases in a nightly run; proptest's default is 256.
const PROPTEST_CASES_NIGHTLY: &str = "2560";

/// Set for tests that do more in a nightly run: larger files, more cycles.
const NIGHTLY: &str = "MEDIPEPS_NIGHTLY";

/// Every suite, the quick ones first, and those late whose needs take long to set up.
pub(super) static SUITES: &[Suite] = &[
    Suite {
        name: "fmt",
        checks: "the code is formatted as rustfmt.toml says",
        needs: &[&RUSTFMT],
        minutes: 0.1,
        ahead: None,
        work: Work::Commands(|run| vec![run.project.cargo(["fmt", "--all", "--check"])]),
    },
    Suite {
        name: "clippy",
        checks: "the lint table of Cargo.toml and clippy's own, in every target of every crate",
        needs: &[&CLIPPY],
        minutes: 2.0,
        ahead: None,
        work: Work::Commands(|run| {
            vec![run.project.cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])]
        }),
    },
    Suite {
        name: "docs",
        checks: "the documentation builds, with every link in it",
        needs: &[],
        minutes: 1.0,
        ahead: None,
        work: Work::Commands(|run| {
            let mut command = run.project.cargo(["doc", "--workspace", "--no-deps"]);
            command.env("RUSTDOCFLAGS", "-D warnings");
            vec![command]
        }),
    },
    Suite {
        name: "unit",
        checks: "unit, property and documentation tests of every crate, and the fuzz corpora replayed",
        needs: &[],
        minutes: 5.0,
        ahead: None,
        work: Work::Commands(|run| {
            let mut units = tests(run, &["--lib", "--bins"]);
            units.args(workspace::integration_tests(run.project).iter().flat_map(|name| ["--test", name]));
            vec![units, tests(run, &["--doc"])]
        }),
    },
    Suite {
        name: "server",
        checks: "the server's wire protocol, spoken to it over every transport",
        needs: &[],
        minutes: 2.0,
        ahead: None,
        work: Work::Commands(|run| vec![tests(run, &["--test", workspace::WIRE])]),
    },
    Suite {
        name: "end-to-end",
        checks: "what crosses crates: the real commands, large files, the arrows between crates",
        needs: &[&PYTHON, &SYSTEMD],
        minutes: 4.0,
        ahead: None,
        work: Work::Commands(|run| {
            let elsewhere = [CRASH_TESTS, NETWORK_TESTS, BROWSER_TESTS, GROUP_TESTS].concat();
            patient(across_crates(run, &skipping(&elsewhere)))
        }),
    },
    Suite {
        name: "groups",
        checks: "groups, cases, organisations and shared mailboxes with the real commands",
        needs: &[],
        minutes: 2.0,
        ahead: None,
        work: Work::Commands(|run| {
            let elsewhere = [CRASH_TESTS, NETWORK_TESTS, BROWSER_TESTS].concat();
            patient(across_crates(run, &[GROUP_TESTS, &skipping(&elsewhere)].concat()))
        }),
    },
    Suite {
        name: "crash",
        checks: "either end killed between any two steps, power cuts, disks that fail, syncs before every confirmation",
        needs: &[&STRACE],
        minutes: 6.0,
        ahead: None,
        work: Work::Commands(|run| across_crates(run, CRASH_TESTS)),
    },
    Suite {
        name: "networks",
        checks: "networks as hospitals have them: UDP blocked, small packets, changing addresses, an HTTP proxy",
        needs: &[&NAMESPACES, &TINYPROXY],
        minutes: 1.5,
        ahead: None,
        work: Work::Commands(|run| across_crates(run, NETWORK_TESTS)),
    },
    Suite {
        name: "browser",
        checks: "Chromium's WebTransport against the real server",
        needs: &[&CHROMIUM],
        minutes: 0.5,
        ahead: None,
        work: Work::Commands(|run| across_crates(run, BROWSER_TESTS)),
    },
    Suite {
        name: "deny",
        checks: "licences, sources and bans of all dependencies, and known vulnerabilities where their database is at hand",
        needs: &[&DENY],
        minutes: 0.2,
        ahead: None,
        work: Work::Own(deny::run),
    },
    Suite {
        name: "published-vectors",
        checks: "what others publish: vectors (Wycheproof, X-Wing), CDA schemas and examples",
        needs: &[&VECTORS, &XMLLINT],
        minutes: 0.5,
        ahead: None,
        work: Work::Own(published::run),
    },
    Suite {
        name: "public-api",
        checks: "what medipeps-core offers to others is what core/public-api.txt says",
        needs: &[&PUBLIC_API],
        minutes: 1.0,
        ahead: None,
        work: Work::Own(public_api::run),
    },
    Suite {
        name: "package",
        checks: "medipeps-core builds from its package alone",
        needs: &[],
        minutes: 1.5,
        ahead: None,
        work: Work::Commands(|run| vec![run.project.cargo(["package", "--allow-dirty", "--package", "medipeps-core"])]),
    },
    Suite {
        name: "model",
        checks: "the symbolic models of handshake and ratchet: each claim holds, and falls when an assumption is removed",
        needs: &[&VERIFPAL],
        minutes: 1.0,
        ahead: None,
        work: Work::Own(model::run),
    },
    Suite {
        name: "wasm",
        checks: "core and the client's engine compile for wasm32-unknown-unknown",
        needs: &[&WASM],
        minutes: 1.0,
        ahead: None,
        work: Work::Commands(wasm::commands),
    },
    Suite {
        name: "pages",
        checks: "the npm package for browsers, by Playwright in Chromium under a strict policy, against the real server",
        needs: &[&WASM, &NODE, &CHROMIUM],
        minutes: 5.0,
        ahead: Some(|run| npm::compile(run.project, Build::App)),
        work: Work::Node(node::Tests {
            name: "pages",
            folder: "bindings/wasm/tests",
            beside: &[],
            package: Build::Debug,
            scripts: &[],
            tests: &["bindings/wasm/tests"],
        }),
    },
    Suite {
        name: "web",
        checks: "the web client and what it shares with other pages, by Playwright in Chromium, against the real server",
        needs: &[&WASM, &NODE, &CHROMIUM],
        minutes: 4.0,
        ahead: None,
        work: Work::Node(node::Tests {
            name: "npm",
            folder: "bindings",
            beside: &[],
            package: Build::Debug,
            scripts: &["check", "build-ui", "build-web"],
            tests: &["bindings/ui/tests", "bindings/web/tests"],
        }),
    },
    Suite {
        name: "office-addin",
        checks: "the add-in for Outlook under an Outlook of ours that records what Exchange would keep; its manifests",
        needs: &[&WASM, &NODE, &CHROMIUM],
        minutes: 4.0,
        ahead: None,
        work: Work::Node(node::Tests {
            name: "npm",
            folder: "bindings",
            beside: &[],
            package: Build::Debug,
            scripts: &["check", "build-office-addin", "build-office-addin-strict"],
            tests: &["bindings/office-addin/tests"],
        }),
    },
    Suite {
        name: "consumers",
        checks: "projects with Vite, webpack, plain modules and Node.js, built from the packed npm package and run; its size",
        needs: &[&WASM, &NODE, &CHROMIUM],
        minutes: 1.0,
        ahead: None,
        work: Work::Node(node::Tests {
            name: "consumers",
            folder: "bindings/wasm/consumers",
            beside: &[],
            package: Build::App,
            scripts: &["build"],
            tests: &["bindings/wasm/consumers"],
        }),
    },
    Suite {
        name: "python",
        checks: "the module that UniFFI generates for Python, against the real server",
        needs: &[&PYTHON],
        minutes: 2.0,
        ahead: None,
        work: Work::Own(languages::python),
    },
    Suite {
        name: "kotlin",
        checks: "the Kotlin module, its generated code and what is built on it, against the real server",
        needs: &[&MAVEN],
        minutes: 1.5,
        ahead: None,
        work: Work::Own(languages::kotlin),
    },
    Suite {
        name: "swift",
        checks: "the Swift package, its generated code and what is built on it, against the real server",
        needs: &[&SWIFT],
        minutes: 1.0,
        ahead: None,
        work: Work::Own(languages::swift),
    },
    Suite {
        name: "fuzz",
        checks: "every decoder under the fuzzer, 6 s each",
        needs: &[&FUZZ, &CXX],
        minutes: 3.0,
        ahead: Some(fuzz::build),
        work: Work::Own(fuzz::run),
    },
    Suite {
        name: "demo",
        checks: "cargo demo --json: mail arrives whole and once over a crash, and nothing of it is readable at the server",
        needs: &[],
        minutes: 2.0,
        ahead: Some(|run| demo::compile(run.project)),
        work: Work::Own(|run| {
            let mut command = run.project.cargo(["demo", "--json"]);
            println!("$ {}", process::as_typed(&command));
            let mut said = String::new();
            let done = process::stream(&mut command, |line| said.push_str(line))?;
            Ok(Ended { counts: Counts::one(done && demo::says_ok(&said)), ..Ended::default() })
        }),
    },
    Suite {
        name: "installation",
        checks: "the server's package: into a fresh Debian, its units under systemd's eyes, by socket activation, in a container",
        needs: &[&CARGO_DEB, &DPKG_DEV, &SYSTEMD, &BUILDAH, &DEBIAN_ROOT],
        minutes: 1.5,
        ahead: None,
        work: Work::Own(installation::run),
    },
    Suite {
        name: "readme",
        checks: "the shell blocks under README's 'Use it', as written",
        needs: &[],
        minutes: 1.0,
        ahead: None,
        work: Work::Own(|run| {
            let passed = match readme::run(run.project) {
                Ok(()) => true,
                Err(error) => {
                    println!("{error}");
                    false
                }
            };
            Ok(Ended { counts: Counts::one(passed), ..Ended::default() })
        }),
    },
];

/// What the names of the tests have that kill processes or make disks fail.
const CRASH_TESTS: &[&str] = &["crash", "fault_", "fail_point", "fsync"];
/// What tests across crates that need a network of their own have in their names.
const NETWORK_TESTS: &[&str] = &["networks::"];
/// What tests across crates about groups have in their names.
const GROUP_TESTS: &[&str] = &[
    "bare_group::",
    "cases::",
    "group_life::",
    "group_wakes::",
    "groups::",
    "mailbox::",
    "organisations::",
    "reports::",
];
/// What tests across crates that need a browser have in their names.
const BROWSER_TESTS: &[&str] = &["browser::"];

/// Words for `cargo test` that leave out tests with these in their names.
fn skipping(names: &[&'static str]) -> Vec<&'static str> {
    names.iter().flat_map(|name| ["--skip", name]).collect()
}

/// Runs two tests for each processor at once: these wait for the other end most of their time.
fn patient(mut commands: Vec<Command>) -> Vec<Command> {
    let threads = 2 * thread::available_parallelism().map_or(1, NonZero::get);
    for command in &mut commands {
        command.env("RUST_TEST_THREADS", threads.to_string());
    }
    commands
}

/// Builds the commands, then runs those tests across crates that the words choose.
fn across_crates(run: &Run, words: &[&str]) -> Vec<Command> {
    let mut chosen = tests(run, &["--test", workspace::ACROSS_CRATES, "--"]);
    chosen.args(words);
    vec![workspace::programs(run.project), chosen]
}

/// Tests of the workspace, all of them whatever fails; in a nightly run with more property-test cases, and what asks for [`NIGHTLY`].
fn tests(run: &Run, words: &[&str]) -> Command {
    let mut command = workspace::tests(run.project, words);
    if run.nightly {
        command.env("PROPTEST_CASES", PROPTEST_CASES_NIGHTLY).env(NIGHTLY, "1");
        // Ten thousand clients in one program: each socket's buffer of 3 MB is mostly never touched, and must stay so when memory
        // is used again.
        command.env("MALLOC_MMAP_THRESHOLD_", "131072");
    }
    command
}
