//! Contacts of an account that has more of them than a grant can carry.

use super::device_sync::foreign_contact;
use super::linking::{add_home, link};
use super::world::World;
use crate::engine::{Event, key};
use crate::limits::LINKING_CONTACTS_LENGTH_MAX;

/// With a sibling that could be written to before the new device can: what was left out must wait for the new one.
#[test]
fn contacts_over_480_kib_come_with_the_grant_as_far_as_they_fit_and_the_rest_follows() {
    let mut world = World::new(&["claire"]);
    let sibling = world.join_device(0);
    let mut contacts: Vec<_> = (0..1400).map(|number| foreign_contact(number, "clinic.example", 1)).collect();
    let mut length = 0;
    for (place, contact) in contacts.iter_mut().enumerate() {
        contact.added = 1 + place as u64;
        length += contact.encode().len();
        let now = world.now;
        world.clients[0].put(&key::contact(&contact.address), contact, now);
    }
    assert!(length > LINKING_CONTACTS_LENGTH_MAX + (64 << 10), "{length} bytes would fit nearly");
    world.settle_in_step();
    let new = add_home(&mut world);
    link(&mut world, new);
    let linked = world.clients[new].events.iter().find_map(|event| match event {
        Event::Linked { contacts, contacts_left_out, .. } => Some((*contacts, *contacts_left_out)),
        _ => None,
    });
    let (came, left_out) = linked.expect("it is linked");
    assert!(left_out > 0 && came + left_out as usize == contacts.len(), "{came} and {left_out}");
    let now = world.now;
    let has = |world: &mut World, contact: &medipeps_core::wire::client_records::ContactRecord| {
        world.clients[new].get(&key::contact(&contact.address), now).is_some()
    };
    assert!(has(&mut world, contacts.last().unwrap()), "those who were added last come first");
    assert!(!has(&mut world, &contacts[0]), "the oldest did not fit");
    // The sibling can be written to at once, the new device only when it has published its prekeys.
    world.settle_in_step();
    world.connect(new);
    world.settle_in_step();
    world.settle_in_step();
    for device in [new, sibling] {
        for contact in &contacts {
            let kept = world.clients[device].get(&key::contact(&contact.address), world.now);
            assert_eq!(kept.as_ref(), Some(contact), "device {device}");
        }
    }
}
