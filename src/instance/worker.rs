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
use crate::lock::{Answer, Ask, Heard, Parting, Release, Time, Unknown};
use redis::{Cmd, PushInfo, PushKind, Value};
use std::future::Future;
use std::net::SocketAddr;
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
    pinned: Option<SocketAddr>,
    /// The newest request that may have set our key, and its number.
    planted: Option<(Plant, u64)>,
    asked: u64,
    known: Arc<Known>,
    /// Whether the server was asked whether it evicts keys.
    has_looked: bool,
    /// A request for a place in line, until it is known whether the server can wake anybody.
    deferred: Option<(Time, Ask)>,
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
            pinned: None,
            planted: None,
            asked: 0,
            known: Arc::default(),
            has_looked: false,
            deferred: None,
        }
    }

    /// Asks until nobody has anything to ask any more.
    pub(super) async fn run(mut self, mut asks: UnboundedReceiver<(Time, Ask)>) {
        loop {
            let ears = self.link.as_ref().map(Link::ears).unwrap_or_default();
            tokio::select! {
                biased;
                ask = asks.recv() => match ask {
                    Some((sent, ask)) => self.take(sent, ask).await,
                    None => return,
                },
                () = ears.greeted(), if self.deferred.is_some() => self.catch_up(),
            }
        }
    }

    async fn take(&mut self, sent: Time, ask: Ask) {
        // Whoever asks for anything else stands no longer where it was to stand, or asks again.
        self.deferred = None;
        match ask {
            // Where nothing was ever sent there is nothing to release, and no reason to connect.
            Ask::Release { attempt, parting, .. } if !self.may_hold() && !self.is_queued(parting) => {
                self.tell(sent, Answer::Release(attempt, Release::Nothing));
            }
            ask => match self.ready().await {
                Ok(()) => self.ask_in_time(sent, ask),
                Err(unknown) => self.tell(sent, reply::without_reply(&ask, unknown)),
            },
        }
    }

    /// Asks now, or, for a place in line, once the server has said whether it can wake anybody: a slow one decides no
    /// attempt, so its first answer comes after that.
    fn ask_in_time(&mut self, sent: Time, ask: Ask) {
        match &self.link {
            Some(link) if matches!(ask, Ask::Watch(Some(_))) && !link.ears().is_greeted() => {
                if link.is_fresh() {
                    self.ask(sent, Ask::Watch(None));
                }
                self.deferred = Some((sent, ask));
            }
            _ => self.ask(sent, ask),
        }
    }

    /// The server has said it, or the connection broke.
    fn catch_up(&mut self) {
        let Some((sent, ask)) = self.deferred.take() else { return };
        if self.link.as_ref().is_some_and(Link::is_broken) {
            let unknown = Unknown::Unreachable("the connection broke".into());
            return self.tell(sent, reply::without_reply(&ask, unknown));
        }
        self.ask(sent, ask);
    }

    /// Makes sure that there is a connection.
    async fn ready(&mut self) -> Result<(), Unknown> {
        if self.link.as_ref().is_some_and(|link| !link.is_broken()) {
            return Ok(());
        }
        self.link = None;
        let hear = self.listener();
        let connecting = Link::connect(&self.endpoint, &mut self.pinned, self.conduct.ttl.length(), hear);
        match timeout(self.conduct.op_timeout, connecting).await {
            Ok(Ok(link)) => {
                self.link = Some(link);
                Ok(())
            }
            Ok(Err(error)) => Err(Unknown::Unreachable(plain(&error))),
            Err(_) => Err(Unknown::TimedOut),
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
        if link.take_fresh() {
            commands.extend(greeting(&self.endpoint).into_iter().map(|command| (Part::Greeting, command)));
            commands.push((Part::Hello, hello()));
            commands.push((Part::Account, info("server")));
            // What a broken connection may have left behind is released first. Without that it is our own value, which is
            // not there yet: a server that refuses this could be locked and neither held nor released.
            if let Ask::Acquire { slot, value, .. } = &ask {
                let plant = owed.map_or_else(|| Plant { slot: *slot, value: value.clone() }, |(plant, _)| plant);
                commands.push((Part::Probe, self.conduct.release(plant.slot, &plant.value, Parting::Stay)));
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
        let (parts, commands) = commands.into_iter().unzip();
        let sending = link.send(commands);
        let errand = Errand {
            instance: self.instance,
            sent,
            ask,
            number: self.asked,
            parts,
            conduct: Arc::clone(&self.conduct),
            heard: self.heard.clone(),
            known: Arc::clone(&self.known),
            ears,
        };
        let mut errand = Box::pin(errand.run(sending));
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
