//! `SIGHUP`, `admin reload` and `check-config` with the real command.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::bare_account::{BareAccount, Place, submission};
use crate::process::wait_until;
use crate::server::{NO_LIMITS, Server};

/// One submission to each recipient.
const ONE: &str = "[rate]\nsubmit_per_recipient = { burst = 1, per_minute = 1 }\n";

/// Whether a submission gets through.
async fn submits(place: &Place, account: &BareAccount, id: u8) -> bool {
    let sender = place.connect().await.unwrap();
    let sent = sender.request(&submission((&account.address, account.device_id), [id; 16])).await;
    sender.close().await;
    sent.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_takes_its_configuration_over_by_order_and_by_signal() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), ONE);
    let (account, place) = (BareAccount::new("karim", 1), Place::of(&server));
    account.register(&server).await;
    assert!(submits(&place, &account, 1).await);
    assert!(!submits(&place, &account, 2).await, "one is all");
    let reload = || server.ask(&["admin", "reload"]);
    assert_eq!(reload().done().output, "nothing has changed\n");

    server.write_config(NO_LIMITS);
    let said = reload().done().output;
    assert!(
        said.starts_with("changed: queue.messages_max, rate.") && said.contains("rate.submit_per_recipient"),
        "{said}"
    );
    assert!(submits(&place, &account, 2).await);

    // A mistake anywhere: nothing of the file is taken over, whoever asks.
    server.write_config(&ONE.replace("burst = 1", "burst = 0"));
    let complaints = reload().with_code(1).complaints;
    assert!(complaints.contains("rate.submit_per_recipient"), "{complaints}");
    server.write_config(&format!("log_format = \"json\"\n{ONE}"));
    let complaints = reload().with_code(1).complaints;
    assert!(complaints.contains("`log_format` cannot change while the server runs"), "{complaints}");
    server.hang_up();
    wait_until("the refusal is logged", || server.log().matches("was not taken over").count() == 3);
    assert!(submits(&place, &account, 3).await, "the limit is the former one");

    server.write_config(&format!("log_filter = \"debug\"\n{ONE}"));
    server.hang_up();
    wait_until("the reload is logged", || server.log().contains("changed=\"log_filter, "));
    assert!(!submits(&place, &account, 4).await);
    wait_until("the log says more", || server.log().contains("DEBUG"));
}

#[test]
fn an_order_needs_a_server_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::configured(folder.path(), "");
    let complaints = server.ask(&["admin", "reload"]).with_code(1).complaints;
    assert!(complaints.contains("no server runs"), "{complaints}");
}

/// Writes a certificate with its key and returns the settings that name them.
fn certificate(folder: &Path, name: &str, until: i32) -> String {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec!["clinic.example".to_owned()]).unwrap();
    parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
    let certificate = parameters.self_signed(&key).unwrap();
    fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    let key_file = folder.join(format!("{name}-key.pem"));
    fs::write(&key_file, key.serialize_pem()).unwrap();
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
    format!("certificate = \"{name}.pem\"\nprivate_key = \"{name}-key.pem\"\n")
}

#[test]
fn a_configuration_is_looked_over_without_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::configured(folder.path(), "");
    let check = |settings: &str| {
        server.write_config(settings);
        server.ask(&["check-config"])
    };
    assert_eq!(check("").done().output, "ok\n");
    let good = certificate(folder.path(), "good", 2200);
    assert_eq!(check(&good).done().output, "ok\n");
    assert!(!server.data().exists(), "nothing was made");

    let old = certificate(folder.path(), "old", 2020);
    let mixed = "certificate = \"good.pem\"\nprivate_key = \"old-key.pem\"\n";
    let absent = "certificate = \"absent.pem\"\nprivate_key = \"good-key.pem\"\n";
    for (settings, named) in [
        (old.as_str(), "old.pem: the certificate has run out"),
        (mixed, "good.pem: "),
        (absent, "absent.pem: "),
        ("log_filter = \"a=b=c\"\n", "`log_filter`"),
        ("[push]\nhosts = [\"push.example\"]\ncertificates = \"none.pem\"\n", "none.pem"),
    ] {
        let ended = check(settings).with_code(1);
        assert!(ended.output.contains(named), "{settings}: {ended:?}");
    }
    let ended = check("[rate]\nsubmit_per_address = { burst = 0, per_minute = 1 }\n").with_code(2);
    assert!(ended.complaints.contains("rate.submit_per_address"), "{ended:?}");

    fs::set_permissions(folder.path().join("good-key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::create_dir(server.data()).unwrap();
    fs::set_permissions(server.data(), fs::Permissions::from_mode(0o755)).unwrap();
    let said = check(&good).with_code(1).output;
    assert!(said.contains("good-key.pem: its mode is 644") && said.contains("data: its mode is 755"), "{said}");
}
