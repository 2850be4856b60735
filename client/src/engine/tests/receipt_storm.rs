//! Receipts by the hundred: each leaves once for each device and event, and none of them is answered.

use medipeps_core::kind::{Body, MessageId, Receipt, ReceiptEvent, ReceiptsWanted};
use medipeps_core::wire::client_records::RecipientState;
use medipeps_core::wire::transport::Request;

use super::device_sync::{bare, send_raw};
use super::repair::{HOUR, pass};
use super::world::{World, mail};
use crate::engine::{Event, Input, SendMail};

const MAILS: usize = 12;
const WANTED: ReceiptsWanted = ReceiptsWanted { delivered: true, displayed: true, processed: false };

fn submitted_by(world: &World, number: usize, to: usize) -> usize {
    let address = world.address(to);
    let is_one = |request: &Request| matches!(request, Request::Submit(submit) if submit.address == address);
    world.sent_over.iter().filter(|(by, _, request)| *by == number && is_one(request)).count()
}

/// Three devices on either side, and everybody reads everything on every device.
#[test]
fn every_device_reads_everything_and_the_receipts_come_to_rest() {
    let mut world = World::new(&["claire", "paul"]);
    let claires = [0, world.join_device(0), world.join_device(0)];
    let pauls = [1, world.join_device(1), world.join_device(1)];
    let (claire, paul) = (world.address(0), world.address(1));
    for device in claires {
        world.send(device, mail(&paul, "before"));
        world.settle_in_step();
    }
    for device in pauls {
        world.send(device, mail(&claire, "before"));
        world.settle_in_step();
    }
    let all: Vec<usize> = (0..world.clients.len()).collect();
    pass(&mut world, &all, 50 * HOUR, HOUR);
    let before: Vec<usize> = pauls.iter().map(|device| submitted_by(&world, *device, 0)).collect();
    let ids: Vec<_> = (0..MAILS)
        .map(|number| world.send(0, SendMail { receipts_wanted: WANTED, ..mail(&paul, &format!("number {number}")) }))
        .collect();
    // All three have it before any of them has said so.
    for device in pauls {
        let batch = world.pushed(device);
        world.deliver(device, batch);
        for id in &ids {
            world.run(device, &Input::MarkDisplayed(*id)).unwrap();
        }
    }
    world.settle_in_step();
    for (device, before) in pauls.iter().zip(before) {
        let receipts = submitted_by(&world, *device, 0) - before;
        assert_eq!(receipts, 2 * MAILS, "one of each sort for each mail, of which device {device} did both itself");
    }
    for device in claires {
        for id in &ids {
            assert_eq!(world.state(device, *id), (RecipientState::Displayed, None), "device {device}");
        }
    }
    // What follows is one confirmation for each device, what each tells its siblings, and an empty message: then silence.
    pass(&mut world, &all, 60 * HOUR, HOUR);
    let rest = world.server.submitted().len();
    pass(&mut world, &all, 300 * HOUR, HOUR);
    assert_eq!(world.server.submitted().len(), rest);
    assert!(world.clients.iter().all(|client| client.undecryptable().is_empty()));
}

/// A contact who sends receipts for messages that there are not, and the same ones again.
#[test]
fn hundreds_of_receipts_for_nothing_change_nothing_and_are_not_answered() {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    world.send(0, mail(&paul, "hello"));
    world.settle();
    world.send(1, mail(&claire, "hello, too"));
    world.settle();
    pass(&mut world, &[0, 1], 50 * HOUR, HOUR);
    let (sent, messages) = (submitted_by(&world, 0, 1), world.sent(0));
    for number in 0..300u16 {
        let about = if number % 3 == 0 { [7; 16] } else { [number as u8; 16] };
        let receipt = Receipt { message_id: MessageId(about), event: ReceiptEvent::Displayed, at: u64::from(number) };
        let mut content = bare(Body::Receipt(receipt));
        // Every other one is the same content once more.
        content.id = MessageId([(number / 2 % 256) as u8; 16]);
        send_raw(&mut world, 1, 0, &content);
    }
    while !world.pushed(0).is_empty() {
        let batch: Vec<_> = world.pushed(0).into_iter().take(32).collect();
        world.deliver(0, batch);
    }
    world.settle();
    assert_eq!(submitted_by(&world, 0, 1), sent, "nothing is said to it");
    assert_eq!(world.sent(0), messages);
    assert!(world.clients[0].events.contains(&Event::Duplicate));
    pass(&mut world, &[0, 1], 50 * HOUR, HOUR);
    assert_eq!(submitted_by(&world, 0, 1), sent + 1, "one empty message for all of them");
    assert!(world.clients[0].undecryptable().is_empty());
}
