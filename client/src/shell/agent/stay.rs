//! Receives for as long as somebody wants it: an app on the screen, a page that is open.

use std::cell::RefCell;

use super::reception::Link;
use super::{AccountAgent, AgentError, NetworkError, Platform};
use crate::engine::Event;
use crate::limits::{STAY_PAUSE_MAX, STAY_ROUND};

/// What whoever stays is told.
#[derive(Debug)]
pub enum Stay<'a> {
    /// Something happened; it is kept already.
    Event(&'a Event),
    /// Connected, and everything that was at the server is here.
    Ready,
    /// The server is not reached. It is tried again.
    Offline(&'a NetworkError),
}

impl<P: Platform> AccountAgent<P> {
    /// Stays connected, and connects again where the connection is lost, until a person has to do something first; gives back what.
    /// Every event is committed before anything else, so whoever drops the future loses nothing.
    pub async fn stay(&mut self, tell: &mut dyn FnMut(Stay<'_>)) -> AgentError {
        let tell = RefCell::new(tell);
        let mut show = |event: &Event| tell.borrow_mut()(Stay::Event(event));
        let mut hear = |link: Link<'_>| match link {
            Link::Ready => tell.borrow_mut()(Stay::Ready),
            Link::Lost(failure) => tell.borrow_mut()(Stay::Offline(failure)),
        };
        loop {
            if let Err(error) = self.receive_for(STAY_ROUND, STAY_PAUSE_MAX, &mut show, &mut hear).await {
                return error;
            }
        }
    }
}
