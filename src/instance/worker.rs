//! The task that owns the one connection to one instance, and asks what it is told to ask, in that order.
//!
//! A time limit never closes the connection: the release must go behind a SET that the instance has not executed yet.
//! When it breaks all the same, what may still hold our key is released first on the next one.

use super::cluster::Conduct;
use super::endpoint::Endpoint;
use super::info::{Guard, Info};
use super::link::{Link, Sent, greeting};
use super::reply::{self, Parsed};
use super::scripts::{EXTEND, RELEASE};
use super::tls::{refusal_at_connect, refusal_at_reply};
use super::wire::Route;
use crate::lock::{Answer, Ask, Heard, Identity, Release, Time, Unknown, Vote};
use redis::Cmd;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Context;
use std::time::Duration;
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
    /// The value of the newest request that may have set our key, and that request's number.
    planted: Option<(String, u64)>,
    asked: u64,
    /// The number of the newest release that was answered.
    cleared: Arc<AtomicU64>,
    /// Nanoseconds of the moment from which on the votes count, and the uptime that says so in seconds.
    votes_from: Arc<AtomicU64>,
    uptime: Arc<AtomicU64>,
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
            cleared: Arc::default(),
            votes_from: Arc::default(),
            uptime: Arc::default(),
        }
    }

    /// Asks until nobody has anything to ask any more.
    pub(super) async fn run(mut self, mut asks: UnboundedReceiver<(Time, Ask)>) {
        while let Some((sent, ask)) = asks.recv().await {
            match ask {
                // Where nothing was ever sent there is nothing to release, and no reason to connect.
                Ask::Release { attempt, .. } if !self.may_hold() => {
                    self.tell(sent, Answer::Release(attempt, Release::Nothing));
                }
                ask => match self.ready().await {
                    Ok(()) => self.ask(sent, ask),
                    Err(unknown) => self.tell(sent, reply::without_reply(&ask, unknown)),
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
        let connecting = Link::connect(&self.endpoint, &mut self.route, self.conduct.ttl.length());
        match timeout(self.conduct.op_timeout, connecting).await {
            Ok(Ok(link)) => {
                self.link = Some(link);
                Ok(())
            }
            Ok(Err(error)) => Err(refusal_at_connect(&error).unwrap_or_else(|| Unknown::Unreachable(plain(&error)))),
            Err(_) => Err(self.route.timed_out()),
        }
    }

    /// Whether the instance may hold a key of ours.
    fn may_hold(&self) -> bool {
        self.planted.as_ref().is_some_and(|(_, number)| *number > self.cleared.load(Ordering::Relaxed))
    }

    /// Queues the request, and leaves a task behind that waits for its replies.
    fn ask(&mut self, sent: Time, ask: Ask) {
        let owed = self.planted.clone().filter(|_| self.may_hold());
        let Some(link) = self.link.as_mut() else { return };
        let (mut commands, mut greeted) = (Vec::new(), None);
        if link.take_fresh() {
            commands = greeting(&self.endpoint);
            greeted = Some(commands.len());
            commands.push(info_command());
            // What a broken connection may have left behind is released first. Without that it is our own value, which is
            // not there yet: a server that refuses this could be locked and neither held nor released.
            if let Ask::Acquire { value, .. } = &ask {
                commands.push(self.conduct.release(owed.as_ref().map_or(value, |(value, _)| value)));
            }
        }
        commands.push(self.conduct.command(&ask));
        self.asked += 1;
        if let Ask::Acquire { value, .. } | Ask::Extend { value, .. } = &ask {
            self.planted = Some((value.clone(), self.asked));
        }
        let sending = link.send(commands);
        let errand = Errand {
            instance: self.instance,
            sent,
            ask,
            number: self.asked,
            greeted,
            conduct: Arc::clone(&self.conduct),
            heard: self.heard.clone(),
            cleared: Arc::clone(&self.cleared),
            votes_from: Arc::clone(&self.votes_from),
            uptime: Arc::clone(&self.uptime),
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

/// One request that is on its way.
struct Errand {
    instance: usize,
    sent: Time,
    ask: Ask,
    number: u64,
    greeted: Option<usize>,
    conduct: Arc<Conduct>,
    heard: UnboundedSender<Heard>,
    cleared: Arc<AtomicU64>,
    votes_from: Arc<AtomicU64>,
    uptime: Arc<AtomicU64>,
}

impl Errand {
    async fn run<F>(self, sending: Sent<F>)
    where
        F: Future<Output = Result<Vec<redis::Value>, redis::RedisError>> + Send,
    {
        let Sent { replies, gauge, mark } = sending;
        tokio::pin!(replies);
        if let Ask::Release { attempt, .. } = &self.ask {
            tokio::select! {
                biased;
                result = &mut replies => return self.finish(result),
                () = gauge.reaches(mark) => self.tell(None, None, Answer::Release(*attempt, Release::Written)),
            }
        }
        self.finish(replies.await);
    }

    fn finish(&self, result: Result<Vec<redis::Value>, redis::RedisError>) {
        let Parsed { info, mut reply } = match result {
            Ok(replies) => reply::sort(replies, self.greeted),
            Err(error) => Parsed { info: None, reply: Err(self.broken(&error)) },
        };
        if let Some(info) = &info {
            let from = info.votes_from(self.conduct.guard, self.sent, self.conduct.op_timeout);
            self.votes_from.store(from.as_nanos(), Ordering::Relaxed);
            self.uptime.store(info.uptime().as_secs(), Ordering::Relaxed);
        }
        if let Some(misfit) = info.as_ref().and_then(Info::misfit) {
            reply = Err(misfit);
        }
        let mut clock = info.as_ref().and_then(|info| info.clock);
        let answer = match &self.ask {
            Ask::Acquire { attempt, .. } => Answer::Vote(*attempt, self.guarded(reply::vote(reply))),
            Ask::Extend { round, .. } => {
                let (extension, time) = reply::extension(reply);
                clock = time.or(clock);
                Answer::Extension(*round, extension)
            }
            Ask::Release { attempt, .. } => {
                let release = reply::release(reply);
                if matches!(release, Release::Done(_)) {
                    self.cleared.fetch_max(self.number, Ordering::Relaxed);
                }
                Answer::Release(*attempt, release)
            }
        };
        self.tell(info.map(|info| info.identity(self.conduct.guard)), clock, answer);
    }

    /// What it means that the connection ended before the reply.
    fn broken(&self, error: &redis::RedisError) -> Unknown {
        refusal_at_reply(error).unwrap_or_else(|| {
            Unknown::Unreachable(match (error.is_io_error(), self.greeted) {
                (false, _) => error.to_string(),
                (true, None) => "the connection broke".into(),
                // What a port for TLS does with what it does not understand.
                (true, Some(_)) => "the connection broke at the first request; does it expect rediss://?".into(),
            })
        })
    }

    /// The vote, unless the server has not been up for long enough to cast one.
    fn guarded(&self, vote: Vote) -> Vote {
        let from = Time::from_nanos(self.votes_from.load(Ordering::Relaxed));
        if vote == Vote::Granted && self.conduct.guard != Guard::Off && self.sent < from {
            return Vote::Unknown(Unknown::Restarted {
                up: Duration::from_secs(self.uptime.load(Ordering::Relaxed)),
                votes_in: from.since(self.sent),
            });
        }
        vote
    }

    fn tell(&self, identity: Option<Identity>, clock: Option<Duration>, answer: Answer) {
        let _ = self.heard.send(Heard { instance: self.instance, sent: self.sent, identity, clock, answer });
    }
}

impl Conduct {
    fn command(&self, ask: &Ask) -> Cmd {
        match ask {
            Ask::Acquire { value, .. } => {
                let mut set = redis::cmd("SET");
                set.arg(self.key.as_str()).arg(value).arg("NX").arg("PX").arg(self.ttl.millis());
                set
            }
            Ask::Extend { value, .. } => {
                let mut eval = self.eval(EXTEND, value);
                eval.arg(self.ttl.millis());
                eval
            }
            Ask::Release { value, .. } => self.release(value),
        }
    }

    fn release(&self, value: &str) -> Cmd {
        self.eval(RELEASE, value)
    }

    fn eval(&self, script: &str, value: &str) -> Cmd {
        let mut eval = redis::cmd("EVAL");
        eval.arg(script).arg(1).arg(self.key.as_str()).arg(value);
        eval
    }
}

fn info_command() -> Cmd {
    let mut info = redis::cmd("INFO");
    info.arg("server");
    info
}

/// The words of an error of the system, without its number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
