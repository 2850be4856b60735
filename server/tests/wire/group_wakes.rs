//! Where readers are woken: who may say so, and which push services are taken. What is called is in `server/src/wake/tests.rs`.

use medipeps_core::wire::transport::{ErrorCode, Request, Response, SetGroupWake};
use medipeps_server::storage::{Storage, WakeStorage};

use crate::client::{Client, code};
use crate::group::{Group, appended};
use crate::server::{TestServer, now_ms};

const URL: &str = "https://push.example/up/1";

async fn start() -> (TestServer, Client, Group) {
    let test = TestServer::start_with(|config| {
        config.push.hosts = vec!["push.example".to_owned(), "ntfy.example:8443".to_owned()];
    })
    .await;
    let client = Client::connect(test.address()).await;
    let group = Group::new(1).created(&client).await;
    (test, client, group)
}

async fn handles(test: &TestServer, group: Group, epoch: u64) -> Vec<u8> {
    test.storage.group_wakes(group.log_id(), epoch).await.unwrap().iter().map(|wake| wake.handle[0]).collect()
}

#[tokio::test]
async fn members_of_the_current_epoch_say_where_they_are_woken() {
    let (test, client, group) = start().await;
    let channel = client.channel();
    assert_eq!(client.ask(&group.wake(&channel, 0, 1, Some(URL))).await, Response::Done);
    assert_eq!(client.ask(&group.wake(&channel, 0, 1, Some(URL))).await, Response::Done, "again");
    assert_eq!(client.ask(&group.wake(&channel, 0, 2, Some("https://NTFY.example:8443/x"))).await, Response::Done);
    let other = Client::connect(test.address()).await;
    let replayed = group.wake(&channel, 0, 3, Some(URL));
    assert_eq!(code(other.ask(&replayed).await), ErrorCode::GroupAccessRefused, "of another connection");
    let by = |key: u64, epoch| {
        let wake = Some((URL.parse().unwrap(), now_ms() + 1000));
        Request::SetGroupWake(SetGroupWake::sign(&group.key(key), &channel, group.log_id(), epoch, [3; 16], wake))
    };
    assert_eq!(code(client.ask(&by(9, 0)).await), ErrorCode::GroupAccessRefused);
    assert_eq!(code(client.ask(&by(1, 1)).await), ErrorCode::GroupAccessRefused, "no such epoch yet");
    assert_eq!(code(client.ask(&Group::new(2).wake(&channel, 0, 3, Some(URL))).await), ErrorCode::UnknownGroupLog);
    appended(&client, &group.commit(0, 1)).await;
    assert_eq!(code(client.ask(&group.wake(&channel, 0, 1, Some(URL))).await), ErrorCode::StaleGroupEpoch);
    assert_eq!(client.ask(&group.wake(&channel, 1, 1, Some(URL))).await, Response::Done);
    assert_eq!((handles(&test, group, 0).await, handles(&test, group, 1).await), (vec![2], vec![1]));
    // Who was removed may still ask not to be woken.
    assert_eq!(client.ask(&group.wake(&channel, 0, 2, None)).await, Response::Done);
    assert_eq!(handles(&test, group, 0).await, [0_u8; 0]);
    assert_eq!(test.storage.group_usage().await.unwrap().wakes, 1);
}

#[tokio::test]
async fn other_push_services_are_refused_by_name() {
    let (test, client, group) = start().await;
    let channel = client.channel();
    for url in [
        "https://push.example:8443/up/1",
        "https://ntfy.example/up/1",
        "https://push.example.evil.example/",
        "https://127.0.0.1/",
    ] {
        assert_eq!(
            code(client.ask(&group.wake(&channel, 0, 1, Some(url))).await),
            ErrorCode::PushServiceRefused,
            "{url}"
        );
    }
    let past = Some((URL.parse().unwrap(), now_ms() - 1000));
    let past = SetGroupWake::sign(&group.key(0), &channel, group.log_id(), 0, [1; 16], past);
    assert_eq!(code(client.ask(&Request::SetGroupWake(past)).await), ErrorCode::Malformed);
    assert_eq!(handles(&test, group, 0).await, [0_u8; 0]);
    let far = Some((URL.parse().unwrap(), u64::MAX));
    let far = SetGroupWake::sign(&group.key(0), &channel, group.log_id(), 0, [1; 16], far);
    assert_eq!(client.ask(&Request::SetGroupWake(far)).await, Response::Done);
    let kept = test.storage.group_wakes(group.log_id(), 0).await.unwrap().remove(0);
    assert!(kept.expires_ms <= now_ms() + 30 * 24 * 3600 * 1000, "no longer than the server keeps any");
}

#[tokio::test]
async fn a_server_that_calls_nobody_says_so() {
    let test = TestServer::start().await;
    let client = Client::connect(test.address()).await;
    let group = Group::new(1).created(&client).await;
    let channel = client.channel();
    assert_eq!(code(client.ask(&group.wake(&channel, 0, 1, Some(URL))).await), ErrorCode::PushServiceRefused);
    assert_eq!(client.ask(&group.wake(&channel, 0, 1, None)).await, Response::Done);
}
