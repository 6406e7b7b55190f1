//! What owns the one connection to one instance, and asks what it is told to ask, in that order.
//!
//! A time limit never closes the connection: the release must go behind a SET that the instance has not executed yet.
//! When it breaks all the same, what may still hold our key is released first on the next one. One that has answered and
//! then says nothing for several time limits may have been forgotten by a firewall on the way: it is set aside for the
//! release, and a second one is made beside it.

mod requests;

use super::aside::Aside;
use super::batch::Batch;
use super::cluster::Conduct;
use super::commands::quit;
use super::endpoint::Endpoint;
use super::errand::{Errand, Known, Place};
use super::link::{Ears, End, Incoming, Link};
use super::planted::Planted;
use super::reply;
use super::wire::{Route, Wire};
use crate::lock::{Answer, Ask, Heard, Parting, Time, Unknown};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// One instance's connection and what is known of the server behind it.
pub(super) struct Worker {
    instance: usize,
    endpoint: Arc<Endpoint>,
    conduct: Arc<Conduct>,
    state: State,
    /// What was not sent yet.
    waiting: VecDeque<(Time, Ask)>,
    /// What has to wait for an answer to what was sent before it.
    held: Option<(Time, Ask)>,
    /// What was sent and not answered, in that order.
    under_way: VecDeque<Errand>,
    planted: Planted,
    asked: u64,
    known: Known,
    aside: Aside,
}

enum State {
    /// There is no connection.
    Apart(Route),
    Connecting(Connecting),
    Together(Route, Link),
}

/// Answers how it went, and what it has learned of the way.
type Connecting = Pin<Box<dyn Future<Output = (Route, Result<Wire, Unknown>)>>>;

impl Worker {
    /// A worker that does not connect before it is asked.
    pub(super) fn new(instance: usize, endpoint: Endpoint, conduct: Arc<Conduct>) -> Self {
        Self {
            instance,
            endpoint: Arc::new(endpoint),
            conduct,
            state: State::Apart(Route::default()),
            waiting: VecDeque::new(),
            held: None,
            under_way: VecDeque::new(),
            planted: Planted::default(),
            asked: 0,
            known: Known::default(),
            aside: Aside::default(),
        }
    }

    /// Does whatever can be done now; wakes the task of `cx` when there is more to do.
    pub(super) fn work(&mut self, cx: &mut Context<'_>, heard: &mut VecDeque<Heard>) {
        self.aside.work(cx);
        if let State::Together(_, link) = &mut self.state {
            link.begin_turn();
        }
        loop {
            match &mut self.state {
                State::Apart(_) if self.waiting.is_empty() => return,
                State::Apart(_) => self.send_waiting(heard),
                State::Connecting(connecting) => match connecting.as_mut().poll(cx) {
                    Poll::Ready((route, wire)) => self.connected(route, wire, heard),
                    Poll::Pending => return,
                },
                State::Together(_, link)
                    if link.is_last_sent() && self.under_way.is_empty() && self.waiting.is_empty() =>
                {
                    return;
                }
                State::Together(_, link) => {
                    link.flush(cx);
                    // What has come goes first: a connection that has ended takes no more requests.
                    if let Poll::Ready(incoming) = link.poll_next(cx) {
                        self.take(incoming, heard);
                    } else if self.waiting.is_empty() {
                        let written = link.written();
                        if self.aside.is_flushed() {
                            self.tell_written(written, heard);
                        }
                        return;
                    } else {
                        self.send_waiting(heard);
                    }
                }
            }
        }
    }

    /// Makes room for a second connection.
    fn set_aside(&mut self, heard: &mut VecDeque<Heard>) {
        let State::Together(route, _) = &mut self.state else { return };
        let route = std::mem::take(route);
        let State::Together(_, link) = std::mem::replace(&mut self.state, State::Apart(route)) else { return };
        self.aside.keep(link);
        self.known.disconnected();
        for errand in std::mem::take(&mut self.under_way) {
            self.tell(errand.sent, reply::without_reply(&errand.ask, Unknown::TimedOut), heard);
        }
        let held = self.held.take();
        self.take_back(held, heard);
        self.tell(Time::default(), Answer::Disconnected, heard);
    }

    /// Sends what is waiting as far as that can be done without waiting, and connects if need be.
    fn send_waiting(&mut self, heard: &mut VecDeque<Heard>) {
        while let Some((sent, ask)) = self.waiting.pop_front() {
            if self.is_silent(sent, &ask) {
                self.set_aside(heard);
            }
            if let State::Apart(route) = &mut self.state {
                let route = std::mem::take(route);
                // A little less than those wait who asked, so that they still hear where it came to a stop.
                let limit = self.conduct.op_timeout * 15 / 16;
                let reached = Wire::reach(Arc::clone(&self.endpoint), route, limit, self.conduct.ttl.length());
                self.state = State::Connecting(Box::pin(reached));
            }
            let State::Together(_, link) = &self.state else { return self.waiting.push_front((sent, ask)) };
            if self.is_early(&ask) {
                // A new connection has nothing that could be answered first.
                if link.is_fresh() {
                    self.send(sent, Ask::Watch(None));
                }
                let before = self.held.replace((sent, ask));
                self.take_back(before, heard);
            } else {
                let before = self.held.take();
                self.take_back(before, heard);
                self.send(sent, ask);
            }
        }
    }

    fn ears(&self) -> Option<Ears> {
        if let State::Together(_, link) = &self.state { Some(link.ears()) } else { None }
    }

    fn send(&mut self, sent: Time, ask: Ask) {
        let State::Together(_, link) = &mut self.state else { return };
        let batch = Batch::new((&ask, link), &self.conduct, &self.endpoint, (&mut self.known, &self.planted));
        self.asked += 1;
        if let Ask::Acquire { slot, value, .. } | Ask::Extend { slot, value, .. } = &ask {
            self.planted.note(*slot, value, self.asked);
        }
        let mut mark = link.send(&batch.commands);
        // The last request of a run.
        if matches!(&ask, Ask::Release { parting: Parting::Leave { .. }, .. }) {
            mark = link.send_last(&quit());
        }
        let may_lack_tls = batch.is_first && self.endpoint.may_lack_tls();
        let errand = Errand::new(sent, ask, self.asked, batch.parts, batch.asked, mark);
        self.under_way.push_back(errand.lacking_tls(may_lack_tls));
    }

    /// The way to the instance was open, or was not.
    fn connected(&mut self, route: Route, wire: Result<Wire, Unknown>, heard: &mut VecDeque<Heard>) {
        match wire {
            Ok(wire) => self.state = State::Together(route, Link::new(wire)),
            Err(unknown) => {
                self.state = State::Apart(route);
                if let Some((sent, ask)) = self.waiting.pop_front() {
                    self.tell(sent, reply::without_reply(&ask, unknown), heard);
                }
            }
        }
    }

    fn take(&mut self, incoming: Incoming, heard: &mut VecDeque<Heard>) {
        match incoming {
            Incoming::Wake(key) => {
                let slot = std::str::from_utf8(&key).ok().and_then(|key| self.conduct.target.slot_of(key));
                if let Some(slot) = slot {
                    self.tell(Time::default(), Answer::Woken(slot), heard);
                }
            }
            Incoming::Reply(reply) => {
                // After a reply to nothing, no reply can be told from another.
                let Some(errand) = self.under_way.front_mut() else { return self.end(&End::Malformed, heard) };
                if let State::Together(_, link) = &mut self.state {
                    link.was_asked();
                }
                if errand.take(reply)
                    && let Some(errand) = self.under_way.pop_front()
                {
                    self.settle(heard, |place| errand.finish(place));
                }
            }
            Incoming::End(end) => self.end(&end, heard),
        }
    }

    /// The connection has ended, or is given up.
    fn end(&mut self, end: &End, heard: &mut VecDeque<Heard>) {
        // A place is not worth another connection, which might end in the same way.
        let place = self.held.take_if(|(_, ask)| matches!(ask, Ask::Watch(_)));
        self.take_back(place, heard);
        for errand in std::mem::take(&mut self.under_way) {
            self.settle(heard, |place| errand.fail(end, place));
        }
        if let State::Together(route, _) = &mut self.state {
            self.state = State::Apart(std::mem::take(route));
        }
        self.known.disconnected();
        self.tell(Time::default(), Answer::Disconnected, heard);
    }

    /// A request has come to its end; what had to wait for that goes on.
    fn settle(&mut self, heard: &mut VecDeque<Heard>, how: impl FnOnce(&mut Place<'_>)) {
        let State::Together(_, link) = &mut self.state else { return };
        let (instance, conduct, ears) = (self.instance, &*self.conduct, link.ears_mut());
        how(&mut Place { instance, conduct, known: &mut self.known, planted: &mut self.planted, ears, heard });
        if let Some(held) = self.held.take() {
            // It was asked before whatever is waiting, such as the release.
            self.waiting.push_front(held);
        }
    }

    /// Tells of the releases that the kernel has.
    fn tell_written(&mut self, written: u64, heard: &mut VecDeque<Heard>) {
        for errand in &mut self.under_way {
            if let Some(answer) = errand.written(written) {
                heard.push_back(Heard {
                    instance: self.instance,
                    sent: errand.sent,
                    report: None,
                    clock: None,
                    answer,
                });
            }
        }
    }

    fn tell(&self, sent: Time, answer: Answer, heard: &mut VecDeque<Heard>) {
        heard.push_back(Heard { instance: self.instance, sent, report: None, clock: None, answer });
    }
}
