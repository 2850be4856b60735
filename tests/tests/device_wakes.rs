//! Waking for mail with the real commands, a real server and a push service on this machine.

use serde_json::Value;

use crate::person::{Draft, Person};
use crate::push_service::PushService;
use crate::server::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_away_is_woken_by_mail_and_the_push_service_learns_nothing_of_it() {
    let mut service = PushService::start().await;
    let folder = tempfile::tempdir().unwrap();
    let settings = format!(
        "[push]\nhosts = [\"{}\"]\nprivate_addresses = true\ncertificates = \"{}\"\ncontact = \"mailto:it@clinic.example\"\n",
        service.host,
        service.certificates().display()
    );
    let mut server = Server::start_with(folder.path(), &settings);
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let services = karim.run(&["wake", "--services", "--json"]).done().json();
    let key = services["vapid_key"].as_str().unwrap();
    assert_eq!((key.len(), &services["apns"], &services["fcm"]), (87, &Value::Array(vec![]), &Value::Array(vec![])));
    let keys = "p256dh=BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4\
                &auth=BTBZMqHH6r4Tts7J_aSIgg";
    let endpoint = format!("https://{}/up/karim#{keys}", service.host);
    let set = karim.run(&["wake", &endpoint, "--json"]).done().json();
    assert_eq!((&set["endpoint"], &set["state"]), (&endpoint.clone().into(), &"set".into()), "{set}");

    claire.add_contact(&karim);
    claire.send_now(&Draft::to(&karim, "Potassium", "6.1 in bed 4"));
    let call = service.call().await;
    assert_eq!((call.method.as_str(), call.path.as_str(), call.body.len()), ("POST", "/up/karim", 103));
    assert!(call.headers["authorization"].to_str().unwrap().ends_with(&format!(", k={key}")), "{call:?}");
    karim.sync();
    assert_eq!(karim.subjects(), ["Potassium"]);

    // The owner is shown where, the operator by which service.
    let out = karim.folder().join("my data");
    karim.run(&["account", "data", "--out", out.to_str().unwrap()]).done();
    let data: Value = serde_json::from_str(&std::fs::read_to_string(out.join("server.json")).unwrap()).unwrap();
    assert_eq!(data["devices"][0]["wake"], endpoint.as_str(), "{data}");
    let inspected = server.inspect();
    let accounts = inspected["accounts"].as_array().unwrap();
    let account = accounts.iter().find(|account| account["address"] == karim.address().as_str()).unwrap();
    assert_eq!(account["devices"][0]["push_service"], format!("https://{}", service.host));

    // A server that begins anew knows it still; one that is told to stop does not.
    server.stop();
    server.run();
    let off = karim.run(&["wake", "--off", "--json"]).done().json();
    assert_eq!((&off["endpoint"], &off["state"]), (&Value::Null, &Value::Null), "{off}");
    claire.send_now(&Draft::to(&karim, "Sodium", "139"));
    service.is_quiet().await;
}
