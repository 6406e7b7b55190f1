//! The task that owns the one connection to one instance, and asks what it is told to ask, in that order.
//!
//! A time limit never closes the connection: the release must go behind a SET that the instance has not executed yet.
//! When it breaks all the same, what may still hold our key is released first on the next one.

use super::cluster::Conduct;
use super::commands::{greeting, hello, info};
use super::endpoint::Endpoint;
use super::errand::{Errand, Known};
use super::link::Link;
use super::reply::{self, Part};
use super::tls::refusal_in_handshake;
use super::wire::Route;
use crate::lock::{Answer, Ask, Heard, Parting, Release, Time, Unknown};
use redis::{Cmd, PushInfo, PushKind, Value};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;

/// One instance's connection and what is known of the server behind it.
pub(super) struct Worker {
    instance: usize,
    endpoint: Endpoint,
    conduct: Arc<Conduct>,
    heard: UnboundedSender<Heard>,
    link: Option<Link>,
    route: Route,
    /// The newest request that may have set our key, and its number.
    planted: Option<(Plant, u64)>,
    asked: u64,
    known: Arc<Known>,
    /// Whether the server was asked whether it evicts keys.
    has_looked: bool,
}

/// What may stand on an instance.
#[derive(Clone, Debug)]
struct Plant {
    slot: u32,
    value: String,
}

impl Worker {
    pub(super) fn new(
        instance: usize,
        endpoint: Endpoint,
        conduct: Arc<Conduct>,
        heard: UnboundedSender<Heard>,
    ) -> Self {
        Self {
            instance,
            endpoint,
            conduct,
            heard,
            link: None,
            route: Route::default(),
            planted: None,
            asked: 0,
            known: Arc::default(),
            has_looked: false,
        }
    }

    /// Asks until nobody has anything to ask any more.
    pub(super) async fn run(mut self, mut asks: UnboundedReceiver<(Time, Ask)>) {
        let (mut waiting, mut held) = (VecDeque::new(), None);
        loop {
            match waiting.pop_front() {
                // Where nothing was ever sent there is nothing to release, and no reason to connect.
                Some((sent, Ask::Release { attempt, parting, .. })) if !self.may_hold() && !self.is_queued(parting) => {
                    self.take_back(held.take());
                    self.tell(sent, Answer::Release(attempt, Release::Nothing));
                }
                Some(next) => {
                    waiting.push_front(next);
                    let ready = self.ready_while(&mut asks, &mut waiting).await;
                    match (waiting.pop_front(), ready) {
                        (Some(next), Ok(())) if self.is_early(&next.1) => {
                            // A new connection has nothing that could be answered first.
                            if self.link.as_ref().is_some_and(Link::is_fresh) {
                                self.ask(next.0, Ask::Watch(None));
                            }
                            self.take_back(held.replace(next));
                        }
                        (Some((sent, ask)), Ok(())) => {
                            self.take_back(held.take());
                            self.ask(sent, ask);
                        }
                        (Some((sent, ask)), Err(unknown)) => self.tell(sent, reply::without_reply(&ask, unknown)),
                        (None, _) => {}
                    }
                }
                None => tokio::select! {
                    biased;
                    next = asks.recv() => match next {
                        Some(next) => waiting.push_back(next),
                        None => return,
                    },
                    () = self.known.answered(), if held.is_some() => waiting.extend(held.take()),
                },
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
            Ask::Extend { .. } => self.known.owes(),
            Ask::Watch(Some(_)) => self.link.as_ref().is_some_and(|link| !link.ears().is_greeted()),
            _ => false,
        }
    }

    /// Answers what was not sent.
    fn take_back(&self, held: Option<(Time, Ask)>) {
        if let Some((sent, ask)) = held {
            self.tell(sent, reply::without_reply(&ask, Unknown::TimedOut));
        }
    }

    /// Makes sure that there is a connection for what is `waiting`. A release that comes meanwhile, where nothing was
    /// ever sent, takes all of that back and need not wait for a server that hangs.
    async fn ready_while(
        &mut self,
        asks: &mut UnboundedReceiver<(Time, Ask)>,
        waiting: &mut VecDeque<(Time, Ask)>,
    ) -> Result<(), Unknown> {
        let (instance, heard, is_idle) = (self.instance, self.heard.clone(), !self.may_hold());
        let tell = |sent, answer| {
            let _ = heard.send(Heard { instance, sent, identity: None, clock: None, answer });
        };
        let mut ready = std::pin::pin!(self.ready());
        loop {
            tokio::select! {
                biased;
                ready = &mut ready => return ready,
                Some((sent, ask)) = asks.recv() => match ask {
                    Ask::Release { attempt, .. } if is_idle => {
                        for (sent, ask) in waiting.drain(..) {
                            tell(sent, reply::without_reply(&ask, Unknown::TimedOut));
                        }
                        tell(sent, Answer::Release(attempt, Release::Nothing));
                    }
                    ask => waiting.push_back((sent, ask)),
                },
            }
        }
    }

    /// Makes sure that there is a connection.
    async fn ready(&mut self) -> Result<(), Unknown> {
        if self.link.as_ref().is_some_and(|link| !link.is_broken()) {
            return Ok(());
        }
        self.link = None;
        let hear = self.listener();
        let connecting = Link::connect(&self.endpoint, &mut self.route, self.conduct.ttl.length(), hear);
        // A little less than those wait who asked, so that they still hear where it came to a stop.
        match timeout(self.conduct.op_timeout * 15 / 16, connecting).await {
            Ok(Ok(link)) => {
                self.link = Some(link);
                Ok(())
            }
            Ok(Err(error)) => Err(refusal_in_handshake(&error).unwrap_or_else(|| Unknown::Unreachable(plain(&error)))),
            Err(_) => Err(self.route.timed_out()),
        }
    }

    /// Passes wake-ups on.
    fn listener(&self) -> impl Fn(PushInfo) + Send + Sync + 'static {
        let (instance, conduct, heard) = (self.instance, Arc::clone(&self.conduct), self.heard.clone());
        move |push| {
            let (PushKind::Message, Some(Value::BulkString(key))) = (push.kind, push.data.last()) else { return };
            let slot = std::str::from_utf8(key).ok().and_then(|key| conduct.target.slot_of(key));
            if let Some(slot) = slot {
                let answer = Answer::Woken(slot);
                let _ = heard.send(Heard { instance, sent: Time::default(), identity: None, clock: None, answer });
            }
        }
    }

    /// Whether the instance may hold a key of ours.
    fn may_hold(&self) -> bool {
        self.planted.as_ref().is_some_and(|(_, number)| !self.known.is_cleared(*number))
    }

    /// Whether there is a place in a queue to leave. With the connection it is lost by itself.
    fn is_queued(&self, parting: Parting) -> bool {
        let stands = |link: &Link| !link.is_broken() && link.ears().has_asked();
        matches!(parting, Parting::Leave { .. }) && self.link.as_ref().is_some_and(stands)
    }

    /// Queues the request, and leaves a task behind that waits for its replies.
    fn ask(&mut self, sent: Time, ask: Ask) {
        let owed = self.planted.clone().filter(|_| self.may_hold());
        let Some(link) = self.link.as_mut() else { return };
        let mut commands: Vec<(Part, Cmd)> = Vec::new();
        let is_fresh = link.take_fresh();
        if is_fresh {
            commands.extend(greeting(&self.endpoint).into_iter().map(|command| (Part::Greeting, command)));
            commands.push((Part::Hello, hello()));
            commands.push((Part::Account, info("server")));
            // What a broken connection may have left behind is released first. A server that refuses that, or the rights to
            // it, could be locked and neither held nor released.
            if let Ask::Acquire { slot, .. } = &ask {
                commands.push((
                    Part::Probe,
                    match owed {
                        Some((plant, _)) => self.conduct.release(plant.slot, &plant.value, Parting::Stay),
                        None => self.conduct.probe(*slot),
                    },
                ));
            }
        }
        let ears = link.ears();
        match &ask {
            // Who holds a lock for long wants to know; who does not need not pay for it.
            Ask::Extend { .. } if !std::mem::replace(&mut self.has_looked, true) => {
                commands.push((Part::Memory, info("memory")));
            }
            Ask::Watch(Some(_)) if ears.ask() => commands.push((Part::Subscription, self.conduct.subscribe())),
            _ => {}
        }
        commands.push((Part::Request, self.conduct.command(&ask, &ears)));
        self.asked += 1;
        if let Ask::Acquire { slot, value, .. } | Ask::Extend { slot, value, .. } = &ask {
            self.planted = Some((Plant { slot: *slot, value: value.clone() }, self.asked));
        }
        self.known.asked();
        let (parts, mut commands): (Vec<Part>, Vec<Cmd>) = commands.into_iter().unzip();
        let opening = is_fresh.then(|| link.send(commands.drain(..1).collect()));
        let sending = link.send(commands);
        let errand = Errand {
            instance: self.instance,
            sent,
            ask,
            number: self.asked,
            parts,
            may_lack_tls: is_fresh && self.endpoint.may_lack_tls(),
            conduct: Arc::clone(&self.conduct),
            heard: self.heard.clone(),
            known: Arc::clone(&self.known),
            ears,
        };
        let mut errand = Box::pin(errand.run(opening, sending));
        // The first poll queues the write: the order of the requests is the order of these polls.
        let mut context = Context::from_waker(std::task::Waker::noop());
        if Pin::new(&mut errand).poll(&mut context).is_pending() {
            tokio::spawn(errand);
        }
    }

    fn tell(&self, sent: Time, answer: Answer) {
        // Nobody listens any more only when the run is over.
        let _ = self.heard.send(Heard { instance: self.instance, sent, identity: None, clock: None, answer });
    }
}

/// The words of an error of the system, without its number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
