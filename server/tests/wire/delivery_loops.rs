//! A device that gets the same envelope first again and again and never acknowledges anything.

use medipeps_core::wire::transport::{Response, SubscriptionEvent};
use medipeps_server::limits::{DELIVERY_LOOP_MOVE, DELIVERY_LOOP_WARNING};
use medipeps_server::storage::Storage;

use crate::account::submit;
use crate::admin_port::{metrics, start, value};
use crate::client::Client;

#[tokio::test]
async fn an_envelope_that_a_device_fails_at_goes_behind_the_others_and_is_not_lost() {
    let (test, admin) = start().await;
    let account = test.account("claire@clinic.example").await;
    let sender = Client::connect(test.address()).await;
    for mark in 1..=3 {
        assert!(matches!(sender.ask(&submit(&account.address, &[1], mark)).await, Response::Submit(_)));
    }
    let stored = test.storage.fetch(&account.address, 1, 0, 9).await.unwrap();
    for time in 1..DELIVERY_LOOP_MOVE {
        let device = Client::prove(test.address(), &account).await;
        assert_eq!(device.subscribe().await.delivery().await.sequence, 1, "the {time}. time");
        let loops = value(&metrics(admin).await, "medipeps_delivery_loops_total");
        assert_eq!(loops > 0.0, time >= DELIVERY_LOOP_WARNING, "the {time}. time");
    }
    let device = Client::prove(test.address(), &account).await;
    let mut subscription = device.subscribe().await;
    let pushed = [subscription.delivery().await, subscription.delivery().await, subscription.delivery().await];
    assert_eq!(pushed.each_ref().map(|one| one.sequence), [2, 3, 4]);
    assert_eq!(pushed[2].envelope, stored[0].envelope, "the first is the last now");
    assert_eq!(pushed[2].received, stored[0].received_ms);
    assert_eq!(device.acknowledge(subscription.incarnation, 3).await, Response::Done);
    let left = test.storage.fetch(&account.address, 1, 0, 9).await.unwrap();
    assert_eq!(
        left.iter().map(|one| one.sequence).collect::<Vec<_>>(),
        [4],
        "it waits until it is acknowledged itself"
    );
    let text = metrics(admin).await;
    for (sample, expected) in [("medipeps_delivery_loops_total", 1.0), ("medipeps_envelopes_moved_total", 1.0)] {
        assert!((value(&text, sample) - expected).abs() < f64::EPSILON, "{sample} in\n{text}");
    }
    assert_eq!(device.acknowledge(subscription.incarnation, 4).await, Response::Done);
    assert_eq!(subscription.next().await, SubscriptionEvent::QueueEmpty);
}
