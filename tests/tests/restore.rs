//! The server's export, loaded into a new data directory: clients go on, and know that it is another life of the store.

use std::fs;

use medipeps_core::identity::Statement;
use medipeps_core::prekey::{EncodedBundle, PrekeyBundle};
use medipeps_core::wire::transport::{FetchPrekeys, Payment, Request, Response};

use crate::bare_account::{BareAccount, Place, Queue};
use crate::groups::{group, ready, said};
use crate::person::{Draft, Person};
use crate::server::Server;

/// One prekey bundle of an account, as anybody gets it.
async fn bundle(place: &Place, account: &BareAccount) -> PrekeyBundle {
    let connection = place.connect().await.unwrap();
    let fetch = Request::FetchPrekeys(FetchPrekeys { address: account.address.clone(), payment: Payment::None });
    let Response::FetchPrekeys(reply) = connection.request(&fetch).await.unwrap() else { panic!("no prekeys") };
    let statement = Statement::decode(&reply.statement).unwrap();
    let encoded = EncodedBundle::decode(&reply.bundles[0]).unwrap();
    PrekeyBundle::verify(&encoded, &statement.device_keys(encoded.device_id).unwrap().signing_key).unwrap()
}

async fn incarnation(place: &Place, account: &BareAccount) -> [u8; 16] {
    Queue::open(&account.connect(place).await.unwrap()).await.unwrap().incarnation
}

#[test]
fn yesterdays_backup_is_restored_under_clients_that_are_ahead() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    claire.send_now(&Draft::to(&karim, "of yesterday", "1"));
    karim.sync();
    claire.sync();
    let export = folder.path().join("export");
    server.ask(&["admin", "export", "--out", export.to_str().unwrap()]).done();
    // Of today: two that were read, and one that nobody fetched. Confirmations come half a minute later at the earliest.
    claire.send_now(&Draft::to(&karim, "also read", "2"));
    karim.sync();
    claire.sync();
    claire.send_now(&Draft::to(&karim, "read", "3"));
    karim.sync();
    claire.send_now(&Draft::to(&karim, "lost", "4"));
    server.stop();

    let key = fs::read(server.data().join("server.key")).unwrap();
    server.move_to("restored");
    fs::create_dir(server.data()).unwrap();
    fs::write(server.data().join("server.key"), key).unwrap();
    server.ask(&["admin", "import", "--in", export.to_str().unwrap()]).done();
    server.run();
    karim.sync();
    assert_eq!(karim.subjects(), ["also read", "of yesterday", "read"], "nothing is doubled");
    // She learns of the restore although nothing waits for her, and sends again what nobody has confirmed.
    claire.sync();
    let everything = ["also read", "lost", "of yesterday", "read"];
    karim.sync();
    assert_eq!(karim.subjects(), everything, "nothing is lost, and nothing doubled");
    claire.sync();
    karim.sync();
    assert_eq!(karim.subjects(), everything);
    for person in [&claire, &karim] {
        assert_eq!(person.status()["old_copy"], false);
    }
    server.ask(&["admin", "verify"]).done();
}

#[test]
fn a_group_that_is_ahead_of_the_backup_is_made_whole_by_its_members() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let claire = ready(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = ready(folder.path(), &server, "Karim Benali", "karim");
    let nadia = ready(folder.path(), &server, "Nadia Roux", "nadia");
    claire.run(&["group", "create", "Ward 3", "--member", &karim.address(), "--member", &nadia.address()]).done();
    for person in [&karim, &nadia] {
        person.run(&["sync"]).done();
    }
    claire.run(&["group", "send", "Ward 3", "of yesterday"]).done();
    karim.run(&["sync"]).done();
    let export = folder.path().join("export");
    server.ask(&["admin", "export", "--out", export.to_str().unwrap()]).done();
    // Of today: a message that all but one have read, a commit, and another message that nobody has.
    karim.run(&["group", "send", "Ward 3", "read"]).done();
    claire.run(&["sync"]).done();
    claire.run(&["group", "rename", "Ward 3", "Ward 4"]).done();
    karim.run(&["sync"]).done();
    claire.run(&["group", "send", "Ward 4", "not read by anybody"]).done();
    server.stop();

    let key = fs::read(server.data().join("server.key")).unwrap();
    server.move_to("restored");
    fs::create_dir(server.data()).unwrap();
    fs::write(server.data().join("server.key"), key).unwrap();
    server.ask(&["admin", "import", "--in", export.to_str().unwrap()]).done();
    server.run();
    // She had read nothing of today, and comes first; then those who hold the rest.
    nadia.run(&["sync"]).done();
    assert_eq!(said(&nadia, "Ward 3"), ["of yesterday"]);
    for person in [&karim, &claire, &nadia, &karim] {
        person.run(&["sync"]).done();
    }
    nadia.run(&["group", "send", "Ward 4", "all of it is here"]).done();
    let everything = ["of yesterday", "read", "not read by anybody", "all of it is here"];
    for person in [&claire, &karim, &nadia] {
        person.run(&["sync"]).done();
        assert_eq!(said(person, "Ward 4"), everything, "nothing is lost, and nothing doubled");
        assert_eq!(group(person, "Ward 4")["state"], "active");
    }
    server.ask(&["admin", "verify"]).done();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_imported_and_clients_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let bare = BareAccount::new("bare", 1);
    bare.register(&server).await;
    let place = Place::of(&server);
    let (before, unused) = (incarnation(&place, &bare).await, server.invite());
    assert!(bundle(&place, &bare).await.one_time_prekey.is_some());
    claire.send_now(&Draft::to(&karim, "read before", "1"));
    karim.sync();
    claire.send_now(&Draft::to(&karim, "in the export and read", "2"));
    claire.send_now(&Draft::to(&karim, "in the export", "3"));

    let export = folder.path().join("export");
    let out = export.to_str().unwrap();
    server.ask(&["admin", "export", "--out", out]).done();
    server.ask(&["admin", "export", "--out", out]).with_code(1);
    karim.sync();
    server.stop();
    // Into a directory that is in use it does not go.
    server.ask(&["admin", "import", "--in", out]).with_code(1);

    let key = fs::read(server.data().join("server.key")).unwrap();
    server.move_to("restored");
    fs::create_dir(server.data()).unwrap();
    fs::write(server.data().join("server.key"), key).unwrap();
    server.ask(&["admin", "import", "--in", out]).done();
    server.run();

    assert_ne!(incarnation(&place, &bare).await, before, "a restored store has another life");
    let prekeys = bundle(&place, &bare).await;
    assert!(prekeys.one_time_prekey.is_none(), "who had one-time prekeys is not known after a restore");
    assert!(prekeys.kem_prekey.last_resort);

    // What was in the export comes again, and is dropped.
    let everything = ["in the export", "in the export and read", "read before"];
    karim.sync();
    assert_eq!(karim.subjects(), everything);
    claire.send_now(&Draft::to(&karim, "after", "4"));
    assert_eq!(karim.receive("after")["body"], "4");
    karim.send_now(&Draft::to(&claire, "answer", "5"));
    assert_eq!(claire.receive("answer")["body"], "5");
    // The devices have left new one-time prekeys, and an invitation that was not used still serves.
    let ines = Person::new(folder.path(), "Inès Duval", "ines");
    ines.create_account(&server, &unused).done();
    ines.send_now(&Draft::to(&karim, "first", "6"));
    assert_eq!(karim.receive("first")["body"], "6");
    for person in [&claire, &karim, &ines] {
        let status = person.status();
        assert_eq!((&status["old_copy"], &status["undecryptable_total"]), (&false.into(), &0.into()), "{status}");
    }
}
