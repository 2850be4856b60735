//! The process is killed between any two steps of making an account, of sending and of receiving. Whatever the disk has
//! then is what the next process goes on with: everything arrives, and once.

use medipeps_core::kind::ReceiptsWanted;
use medipeps_core::wire::client_records::RecipientState;

use super::world::{Client, Fuse, Killed, World, mail, tick};
use crate::engine::{Event, Input, SendMail};
use crate::limits::RECEIVED_DELAY_MAX_MS;

/// More steps than any of the scenarios has.
const STEPS_MAX: usize = 60;

/// Sends everything, or dies on the way.
fn send(world: &mut World, number: usize, fuse: &mut Fuse) -> Result<(), Killed> {
    for _ in 0..10 {
        let before = world.server.log.len();
        world.run_until(number, &tick(), fuse)?.unwrap();
        if world.server.log.len() == before {
            break;
        }
    }
    Ok(())
}

fn receive(world: &mut World, number: usize, fuse: &mut Fuse) -> Result<(), Killed> {
    let (incarnation, batch) = (world.server.incarnation, world.pushed(number));
    if !batch.is_empty() {
        world.run_until(number, &Input::Deliveries { incarnation, batch }, fuse)?.unwrap();
    }
    send(world, number, fuse)
}

/// Runs a scenario with the process killed after 0, 1, 2, ... steps, until it gets through unharmed.
fn kill_everywhere(scenario: impl Fn(&mut World, &mut Fuse) -> Result<(), Killed>, check: impl Fn(&mut World, usize)) {
    for steps in 0..STEPS_MAX {
        let mut world = World::new(&["claire", "paul"]);
        let killed = scenario(&mut world, &mut Some(steps)).is_err();
        check(&mut world, steps);
        if !killed {
            assert!(steps > 3, "the scenario has more steps than {steps}");
            return;
        }
    }
    panic!("the scenario has more than {STEPS_MAX} steps");
}

#[test]
fn killed_between_any_two_steps_of_sending() {
    kill_everywhere(
        |world, fuse| {
            let command = Input::SendMail(mail(&world.address(1), "hello"));
            world.run_until(0, &command, fuse)?.unwrap();
            send(world, 0, fuse)
        },
        |world, steps| {
            world.clients[0].restart();
            let now = world.now;
            let Some(sent) = world.clients[0].messages(now).pop() else {
                assert_eq!(steps, 0, "once the command is handled, the message is in the store");
                return;
            };
            world.settle();
            assert_eq!(world.texts(1), ["hello"], "after {steps} steps");
            assert_eq!(world.state(0, sent.id), (RecipientState::Accepted, None), "after {steps} steps");
            assert!(world.clients[1].undecryptable().is_empty(), "after {steps} steps");
            world.send(1, mail(&world.address(0), "answer"));
            world.settle();
            assert_eq!(world.texts(0), ["answer"], "after {steps} steps");
        },
    );
}

#[test]
fn killed_between_any_two_steps_of_receiving() {
    kill_everywhere(
        |world, fuse| {
            let wanted = ReceiptsWanted { delivered: true, ..ReceiptsWanted::default() };
            world.send(0, SendMail { receipts_wanted: wanted, ..mail(&world.address(1), "first") });
            world.later(1);
            world.send(0, mail(&world.address(1), "second"));
            receive(world, 1, fuse)
        },
        |world, steps| {
            world.clients[1].restart();
            world.settle();
            assert_eq!(world.texts(1), ["first", "second"], "after {steps} steps");
            assert!(world.clients[1].undecryptable().is_empty(), "after {steps} steps");
            let now = world.now;
            let sent = world.clients[0].messages(now).pop().unwrap();
            assert_eq!(world.state(0, sent.id), (RecipientState::Delivered, None), "after {steps} steps");
            world.later(1);
            world.send(0, mail(&world.address(1), "third"));
            world.settle();
            assert_eq!(world.texts(1), ["first", "second", "third"], "after {steps} steps");
        },
    );
}

/// A message that was damaged on the way: Paul asks, Claire sends again, Paul confirms. Whoever is killed in between, it
/// arrives once and is confirmed in the end.
#[test]
fn killed_between_any_two_steps_of_repair() {
    for killed in [0, 1] {
        kill_everywhere(
            |world, fuse| {
                world.send(0, mail(&world.address(1), "first"));
                world.settle();
                world.send(1, mail(&world.address(0), "answer"));
                world.settle();
                world.later(1);
                world.send(0, mail(&world.address(1), "damaged"));
                *world.device(1).queue.last_mut().unwrap().envelope.last_mut().unwrap() ^= 1;
                let mut unharmed = None;
                for number in [1, 0, 1, 1, 0] {
                    receive(world, number, if number == killed { &mut *fuse } else { &mut unharmed })?;
                    world.later(RECEIVED_DELAY_MAX_MS / 2);
                }
                Ok(())
            },
            |world, steps| {
                world.clients[killed].restart();
                for _ in 0..3 {
                    world.later(RECEIVED_DELAY_MAX_MS + 1);
                    world.settle();
                }
                assert_eq!(world.texts(1), ["first", "damaged"], "{killed} killed after {steps} steps");
                let waits = super::repair::waiting(world, 0);
                assert_eq!(waits, 0, "{killed} killed after {steps} steps");
            },
        );
    }
}

#[test]
fn killed_between_any_two_steps_of_making_an_account() {
    for steps in 0..10 {
        let mut world = World::new(&["claire"]);
        world.clients.push(Client::new("paul", 9, world.now));
        let input = world.creation(1);
        let killed = world.run_until(1, &input, &mut Some(steps)).is_err();
        world.clients[1].restart();
        let again = world.run(1, &input);
        let registered = world.clients[1].events.contains(&Event::Registered);
        assert!(registered, "after {steps} steps: {again:?}");
        // The recovery key was shown once, or twice if the first was never stored.
        let prepared =
            world.clients[1].events.iter().filter(|event| matches!(event, Event::AccountPrepared { .. })).count();
        assert_eq!(prepared, 1, "after {steps} steps");
        world.send(0, mail(&world.address(1), "welcome"));
        world.settle();
        assert_eq!(world.texts(1), ["welcome"], "after {steps} steps");
        if !killed {
            return;
        }
    }
    panic!("making an account has more than 10 steps");
}
