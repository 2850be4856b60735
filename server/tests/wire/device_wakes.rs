//! Where a device is woken: who may say so, which push services are taken, and when one is called.

use medipeps_core::wire::transport::{
    ErrorCode, FetchOwnData, FetchPushServicesReply, Request, Response, SubscriptionEvent,
};

use crate::account::submit;
use crate::client::{Client, code};
use crate::push_service::PushService;
use crate::server::TestServer;

async fn start(service: &PushService) -> TestServer {
    let (host, certificates) = (service.host.clone(), service.certificates());
    TestServer::start_with(|config| {
        config.push.hosts = vec![host];
        config.push.private_addresses = true;
        config.push.certificates = Some(certificates);
        config.push.contact = Some("mailto:it@clinic.example".to_owned());
    })
    .await
}

fn wake(endpoint: &str) -> Request {
    Request::SetDeviceWake(Some(endpoint.parse().unwrap()))
}

#[tokio::test]
async fn a_device_says_where_it_is_woken_and_its_account_is_shown_it() {
    let service = PushService::start().await;
    let test = start(&service).await;
    let claire = test.account("claire@clinic.example").await;
    let device = Client::prove(test.address(), &claire).await;
    for endpoint in ["https://push.example/1", "https://localhost/1", "apns:example.clinic.App/00", "fcm:clinic-7/t"] {
        assert_eq!(code(device.ask(&wake(endpoint)).await), ErrorCode::PushServiceRefused, "{endpoint}");
    }
    let shown = async || match device.ask(&Request::FetchOwnData(FetchOwnData { device_id: 1, after: 0 })).await {
        Response::FetchOwnData(data) => data.devices[0].wake.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(shown().await, None);
    let endpoint = format!("https://{}/up/claire", service.host);
    assert_eq!(device.ask(&wake(&endpoint)).await, Response::Done);
    assert_eq!(shown().await.map(|wake| wake.as_str().to_owned()), Some(endpoint));
    assert_eq!(device.ask(&Request::SetDeviceWake(None)).await, Response::Done);
    assert_eq!(device.ask(&Request::SetDeviceWake(None)).await, Response::Done, "again");
    assert_eq!(shown().await, None);
}

#[tokio::test]
async fn everybody_is_told_which_push_services_there_are() {
    let service = PushService::start().await;
    let test = start(&service).await;
    let claire = test.account("claire@clinic.example").await;
    let proved = Client::prove(test.address(), &claire).await.ask(&Request::FetchPushServices).await;
    let anonymous = Client::connect(test.address()).await.ask(&Request::FetchPushServices).await;
    assert_eq!(proved, anonymous);
    let Response::FetchPushServices(FetchPushServicesReply { vapid_key: Some(key), apns, fcm }) = proved else {
        panic!("{proved:?}")
    };
    assert_eq!((key[0], apns.len(), fcm.len()), (4, 0, 0));
    let plain = TestServer::start().await;
    let reply = Client::connect(plain.address()).await.ask(&Request::FetchPushServices).await;
    assert_eq!(reply, Response::FetchPushServices(FetchPushServicesReply::default()));
}

#[tokio::test]
async fn who_is_connected_is_not_woken_and_who_leaves_without_having_fetched_is() {
    let mut service = PushService::start().await;
    let test = start(&service).await;
    let claire = test.account("claire@clinic.example").await;
    let paul = test.account("paul@clinic.example").await;
    let sender = Client::connect(test.address()).await;
    let write = async |account: &crate::account::Account, mark| {
        let written = sender.ask(&submit(&account.address, &[1], mark)).await;
        assert!(matches!(written, Response::Submit(_)), "{written:?}");
    };
    for (account, name) in [(&claire, "claire"), (&paul, "paul")] {
        let device = Client::prove(test.address(), account).await;
        assert_eq!(device.ask(&wake(&format!("https://{}/up/{name}", service.host))).await, Response::Done);
    }
    // Claire is connected: she is told there, fetches, and leaves.
    let device = Client::prove(test.address(), &claire).await;
    let mut subscription = device.subscribe().await;
    assert_eq!(subscription.next().await, SubscriptionEvent::QueueEmpty);
    write(&claire, 1).await;
    assert_eq!(subscription.delivery().await.sequence, 1);
    assert_eq!(device.acknowledge(subscription.incarnation, 1).await, Response::Done);
    drop(subscription);
    device.quic.close(0_u32.into(), b"");
    service.is_quiet().await;
    // Paul is not.
    write(&paul, 2).await;
    assert_eq!(service.call().await.path, "/up/paul");
    write(&paul, 3).await;
    service.is_quiet().await;
    // Claire gets something and leaves before she has it on her disk.
    let device = Client::prove(test.address(), &claire).await;
    let mut subscription = device.subscribe().await;
    assert_eq!(subscription.next().await, SubscriptionEvent::QueueEmpty);
    write(&claire, 4).await;
    assert_eq!(subscription.delivery().await.sequence, 2);
    service.is_quiet().await;
    device.quic.close(0_u32.into(), b"");
    assert_eq!(service.call().await.path, "/up/claire");
}
