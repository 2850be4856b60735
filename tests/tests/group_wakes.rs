//! Waking with the real commands, a real server and a push service on this machine: set, woken, crossed by a crash, taken back.

use std::path::Path;

use serde_json::Value;

use crate::person::Person;
use crate::push_service::PushService;
use crate::secrecy::kept_in_the_clear;
use crate::server::Server;

fn settings(service: &PushService) -> String {
    let certificates = service.certificates();
    format!(
        "[push]\nhosts = [\"{}\"]\nprivate_addresses = true\ncertificates = \"{}\"\n",
        service.host,
        certificates.display()
    )
}

/// Two people in a group, the second of whom is woken.
fn team(folder: &Path, server: &Server, endpoint: &str) -> (Person, Person) {
    let claire = Person::with_account(folder, server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder, server, "Karim Benali", "karim");
    karim.run(&["sync"]).done();
    claire.run(&["group", "create", "Ward", "--member", &karim.address()]).done();
    karim.run(&["sync"]).done();
    let set = karim.run(&["wake", endpoint, "--json"]).done().json();
    assert_eq!((&set["endpoint"], &set["groups"][0]["state"]), (&endpoint.into(), &"set".into()), "{set}");
    (claire, karim)
}

fn wakes(server: &Server) -> Value {
    server.inspect()["group_logs"][0]["wakes"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_away_is_woken_by_what_is_said_and_not_after_leaving() {
    let mut service = PushService::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(folder.path(), &settings(&service));
    let endpoint = format!("https://{}/up/karim", service.host);
    let (claire, karim) = team(folder.path(), &server, &endpoint);
    assert_eq!(wakes(&server), 1);
    claire.run(&["group", "send", "Ward", "Potassium 6.1 in bed 4"]).done();
    let call = service.call().await;
    assert_eq!((call.method.as_str(), call.path.as_str(), call.body.len()), ("POST", "/up/karim", 0));
    // Woken, he does nothing but this.
    karim.run(&["sync"]).done();
    let log = karim.run(&["group", "log", "Ward", "--json"]).done().json();
    assert_eq!(log[0]["text"], "Potassium 6.1 in bed 4");

    // An epoch later he is woken again: he has renewed when he read the commit.
    claire.run(&["group", "rename", "Ward", "Ward 3"]).done();
    assert_eq!(wakes(&server), 1, "until the last call, at most a minute after the first");
    karim.run(&["sync"]).done();
    let shown = karim.run(&["wake", "--json"]).done().json();
    let epoch = claire.run(&["group", "show", "Ward 3", "--json"]).done().json()["epoch"].clone();
    assert_eq!((&shown["groups"][0]["state"], &shown["groups"][0]["epoch"]), (&"set".into(), &epoch), "{shown}");

    let off = karim.run(&["wake", "--off", "--json"]).done().json();
    assert_eq!((&off["endpoint"], off["groups"].as_array().unwrap().len()), (&Value::Null, 0), "{off}");
    assert_eq!(wakes(&server), 0);
    server.stop();
    assert_eq!(kept_in_the_clear("Potassium", &server), Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_between_storing_and_waking_wakes_after_its_start() {
    let mut service = PushService::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(folder.path(), &settings(&service));
    let endpoint = format!("https://{}/up/karim", service.host);
    let (claire, _karim) = team(folder.path(), &server, &endpoint);
    server.stop();
    let marker = folder.path().join("stopped");
    server.run_by(server.run_command_with_fail_points(&format!("after_append=return({})", marker.display())));
    let mut sending = claire.command(&["group", "send", "Ward", "Potassium 6.1"]).spawn().unwrap();
    let start = std::time::Instant::now();
    while !marker.exists() {
        assert!(start.elapsed() < crate::process::PATIENCE, "nothing was appended");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    service.is_quiet().await;
    server.kill();
    sending.kill().unwrap();
    sending.wait().unwrap();
    server.run();
    assert_eq!(service.call().await.path, "/up/karim");
}

#[test]
fn a_server_that_calls_nobody_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    claire.run(&["group", "create", "Ward"]).done();
    let refused = claire.run(&["wake", "https://push.example/up/1"]).done();
    assert!(refused.output.contains("does not call this push service"), "{}", refused.output);
    let wrong = claire.run(&["wake", "http://push.example/up/1"]).with_code(2);
    assert!(wrong.complaints.contains("begins with https://"), "{}", wrong.complaints);
}
