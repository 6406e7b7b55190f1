//! What owns the one connection to one instance, and asks what it is told to ask, in that order.
//!
//! A time limit never closes the connection: the release must go behind a SET that the instance has not executed yet.
//! When it breaks all the same, what may still hold our key is released first on the next one. One that has answered and
//! then says nothing for several time limits may have been forgotten by a firewall on the way: it is set aside for the
//! release, and a second one is made beside it.

use super::cluster::Conduct;
use super::commands::{greeting, hello, info, quit};
use super::endpoint::Endpoint;
use super::errand::{Errand, Known, Place};
use super::link::{Ears, Incoming, Link};
use super::reply::{self, Asked, Part};
use super::wire::{Route, Wire};
use crate::lock::{Answer, Ask, Guard, Heard, Parting, Release, Time, Unknown};
use redis::Cmd;
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
    /// What may stand there, and the number of the newest request that may have set it; the oldest first.
    planted: VecDeque<(Plant, u64)>,
    asked: u64,
    known: Known,
    /// A connection that has become silent, for as long as it may still carry out what was sent on it.
    aside: Option<Link>,
    /// Whether the server was asked whether it evicts keys.
    has_looked: bool,
}

enum State {
    /// There is no connection.
    Apart(Route),
    Connecting(Connecting),
    Together(Route, Link),
}

/// Answers how it went, and what it has learned of the way.
type Connecting = Pin<Box<dyn Future<Output = (Route, Result<Wire, Unknown>)>>>;

/// What may stand on an instance.
#[derive(Clone, Debug)]
struct Plant {
    slot: u32,
    value: String,
}

impl Worker {
    /// For how many time limits a connection owes an answer before a second one is made.
    const SILENT_LIMITS: u32 = 2;
    /// How many values of attempts are released on a new connection, where none of their releases was answered on the old.
    const PLANTED_MAX: usize = 16;

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
            planted: VecDeque::new(),
            asked: 0,
            known: Known::default(),
            aside: None,
            has_looked: false,
        }
    }

    /// Takes a request; [`Worker::work`] sends it.
    pub(super) fn ask(&mut self, sent: Time, ask: Ask, heard: &mut VecDeque<Heard>) {
        if let Ask::Release { attempt, parting, .. } = &ask
            && !self.may_hold()
            && !self.is_queued(*parting)
        {
            // Where nothing was ever sent there is nothing to release: that takes back what has not been sent, and need
            // not wait for a server that hangs.
            for (sent, ask) in std::mem::take(&mut self.waiting).into_iter().chain(self.held.take()) {
                self.tell(sent, reply::without_reply(&ask, Unknown::TimedOut), heard);
            }
            return self.tell(sent, Answer::Release(*attempt, Release::Nothing), heard);
        }
        self.waiting.push_back((sent, ask));
    }

    /// Does whatever can be done now; wakes the task of `cx` when there is more to do.
    pub(super) fn work(&mut self, cx: &mut Context<'_>, heard: &mut VecDeque<Heard>) {
        self.work_aside(cx);
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
                        if self.aside.as_ref().is_none_or(Link::is_flushed) {
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

    /// Writes what is to be written on the connection that was set aside. What it answers has been given up.
    fn work_aside(&mut self, cx: &mut Context<'_>) {
        let Some(link) = &mut self.aside else { return };
        link.flush(cx);
        loop {
            match link.poll_next(cx) {
                Poll::Ready(Incoming::End(_)) => return self.aside = None,
                Poll::Ready(Incoming::Reply(_) | Incoming::Wake(_)) => {}
                Poll::Pending => return,
            }
        }
    }

    /// Whether the connection has answered once, and has owed an answer for so long that `ask`, decided at `sent`, is not to
    /// wait for it. A release waits: it belongs behind what was sent before it.
    fn is_silent(&self, sent: Time, ask: &Ask) -> bool {
        let State::Together(_, link) = &self.state else { return false };
        let limit = self.conduct.op_timeout * Self::SILENT_LIMITS;
        link.has_answered()
            && !matches!(ask, Ask::Release { .. })
            && self.under_way.front().is_some_and(|oldest| sent.since(oldest.sent) >= limit)
    }

    /// Makes room for a second connection. Of two that are silent the first is kept: the key was set there.
    fn set_aside(&mut self, heard: &mut VecDeque<Heard>) {
        let State::Together(route, _) = &mut self.state else { return };
        let route = std::mem::take(route);
        let State::Together(_, link) = std::mem::replace(&mut self.state, State::Apart(route)) else { return };
        self.aside.get_or_insert(link);
        self.known.disconnected();
        for errand in std::mem::take(&mut self.under_way) {
            self.tell(errand.sent, reply::without_reply(&errand.ask, Unknown::TimedOut), heard);
        }
        let held = self.held.take();
        self.take_back(held, heard);
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

    /// Whether `ask` has to be held back until something else on this connection was answered.
    ///
    /// An extension is not sent behind an unanswered request but after it, so that only a release ever is: a server that
    /// wakes up when redlock is gone reads no further than to the second record of TLS, since what it answers to the first
    /// one comes back refused. A place in line is asked for once the server has said whether it can wake anybody.
    fn is_early(&self, ask: &Ask) -> bool {
        match ask {
            Ask::Extend { .. } => !self.under_way.is_empty(),
            Ask::Watch(Some(_)) => self.ears().is_some_and(|ears| !ears.is_greeted()),
            _ => false,
        }
    }

    /// Answers what was not sent.
    fn take_back(&self, held: Option<(Time, Ask)>, heard: &mut VecDeque<Heard>) {
        if let Some((sent, ask)) = held {
            self.tell(sent, reply::without_reply(&ask, Unknown::TimedOut), heard);
        }
    }

    fn ears(&self) -> Option<Ears> {
        if let State::Together(_, link) = &self.state { Some(link.ears()) } else { None }
    }

    /// Whether the instance may hold a key of ours.
    fn may_hold(&self) -> bool {
        self.planted.back().is_some_and(|(_, number)| !self.known.is_cleared(*number))
    }

    /// Whether there is a place in a queue to leave. With the connection it is lost by itself.
    fn is_queued(&self, parting: Parting) -> bool {
        matches!(parting, Parting::Leave { .. }) && self.ears().is_some_and(Ears::has_asked)
    }

    fn send(&mut self, sent: Time, ask: Ask) {
        self.planted.retain(|(_, number)| !self.known.is_cleared(*number));
        let State::Together(_, link) = &mut self.state else { return };
        let mut commands: Vec<(Part, Cmd)> = Vec::with_capacity(4);
        let is_fresh = link.take_fresh();
        if is_fresh {
            commands.extend(greeting(&self.endpoint).into_iter().map(|command| (Part::Greeting, command)));
            commands.push((Part::Hello, hello()));
            // A server that refuses the rights to release could be locked and neither held nor released.
            if let Ask::Acquire { slot, .. } = &ask {
                commands.push((Part::Probe, self.conduct.probe(*slot)));
            }
            // What a broken connection may have left behind is released first, but for what is asked about now.
            let own = match &ask {
                Ask::Acquire { value, .. } | Ask::Extend { value, .. } | Ask::Release { value, .. } => Some(value),
                Ask::Watch(_) => None,
            };
            let owed = self.planted.iter().map(|(plant, _)| plant).filter(|plant| Some(&plant.value) != own);
            let release = |plant: &Plant| self.conduct.release(plant.slot, &plant.value, Parting::Stay);
            commands.extend(owed.map(|plant| (Part::Probe, release(plant))));
        }
        match &ask {
            // Who holds a lock for long wants to know; who does not need not pay for it.
            Ask::Extend { .. } if !std::mem::replace(&mut self.has_looked, true) => {
                commands.push((Part::Memory, info("memory")));
            }
            Ask::Watch(Some(_)) if link.ears_mut().ask() => {
                commands.push((Part::Subscription, self.conduct.subscribe()));
            }
            _ => {}
        }
        commands.push((Part::Request, self.conduct.command(&ask, link.ears())));
        // Behind the request: a memory that is lost in between takes the key with it.
        let depends_on_memory = matches!(ask, Ask::Acquire { .. } | Ask::Watch(None));
        let asked = Asked { wall: (self.conduct.wall_clock)(), marks: self.conduct.guard != Guard::Off };
        if self.known.is_stranger() || (depends_on_memory && asked.marks && self.known.can_be_marked()) {
            commands.push((Part::Report, self.conduct.report(asked.wall, self.known.run_id())));
        }
        self.asked += 1;
        if let Ask::Acquire { slot, value, .. } | Ask::Extend { slot, value, .. } = &ask {
            self.planted.retain(|(plant, _)| plant.value != *value);
            if self.planted.len() >= Self::PLANTED_MAX {
                self.planted.pop_front();
            }
            self.planted.push_back((Plant { slot: *slot, value: value.clone() }, self.asked));
        }
        let mut mark = link.send(commands.iter().map(|(_, command)| command));
        // The last request of a run.
        if let Ask::Release { slot, value, parting: Parting::Leave { .. }, .. } = &ask {
            mark = link.send_last(&quit());
            if let Some(aside) = &mut self.aside {
                aside.send([&self.conduct.release(*slot, value, Parting::Stay), &quit()]);
            }
        }
        let parts = commands.iter().map(|(part, _)| *part).collect();
        let may_lack_tls = is_fresh && self.endpoint.may_lack_tls();
        let errand = Errand::new(sent, ask, self.asked, parts, asked, mark);
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
                // What nobody asked for is nobody's answer.
                let Some(errand) = self.under_way.front_mut() else { return };
                if errand.take(reply)
                    && let Some(errand) = self.under_way.pop_front()
                {
                    self.settle(heard, |place| errand.finish(place));
                }
            }
            Incoming::End(end) => {
                // A place is not worth another connection, which might end in the same way.
                let place = self.held.take_if(|(_, ask)| matches!(ask, Ask::Watch(_)));
                self.take_back(place, heard);
                for errand in std::mem::take(&mut self.under_way) {
                    self.settle(heard, |place| errand.fail(&end, place));
                }
                if let State::Together(route, _) = &mut self.state {
                    self.state = State::Apart(std::mem::take(route));
                }
                self.known.disconnected();
                self.tell(Time::default(), Answer::Disconnected, heard);
            }
        }
    }

    /// A request has come to its end; what had to wait for that goes on.
    fn settle(&mut self, heard: &mut VecDeque<Heard>, how: impl FnOnce(&mut Place<'_>)) {
        let State::Together(_, link) = &mut self.state else { return };
        let (conduct, known) = (&self.conduct, &mut self.known);
        how(&mut Place { instance: self.instance, conduct, known, ears: link.ears_mut(), heard });
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
