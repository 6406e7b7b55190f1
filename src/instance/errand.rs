//! One request that is on its way, and what its replies say.

use super::cluster::Conduct;
use super::errors::meaning;
use super::info::{Guard, Info};
use super::link::{Ears, Sent};
use super::reply::{self, Parsed, Part};
use super::wire::Gauge;
use crate::lock::{Answer, Ask, Heard, Identity, Release, Time, Unknown, Vote, Watched};
use redis::{RedisError, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

/// What is known of the server behind a worker's connections.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The number of the newest release that was answered.
    cleared: AtomicU64,
    /// Nanoseconds of the moment from which on the votes count, and the uptime that says so in seconds.
    votes_from: AtomicU64,
    uptime: AtomicU64,
    /// How many requests are unanswered.
    owed: AtomicU64,
    answered: Notify,
}

impl Known {
    /// A request is sent.
    pub(super) fn asked(&self) {
        self.owed.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a request is unanswered.
    pub(super) fn owes(&self) -> bool {
        self.owed.load(Ordering::Relaxed) > 0
    }

    /// Returns once a request was answered, or can no longer be.
    pub(super) async fn answered(&self) {
        self.answered.notified().await;
    }

    /// Whether the request with this number was followed by a release that was answered.
    pub(super) fn is_cleared(&self, number: u64) -> bool {
        number <= self.cleared.load(Ordering::Relaxed)
    }
}

pub(super) struct Errand {
    pub(super) instance: usize,
    pub(super) sent: Time,
    pub(super) ask: Ask,
    /// Its number among the requests to this instance.
    pub(super) number: u64,
    /// What each of its commands is for.
    pub(super) parts: Vec<Part>,
    /// Whether it is the first on a connection without TLS that could have one.
    pub(super) may_lack_tls: bool,
    pub(super) conduct: Arc<Conduct>,
    pub(super) heard: UnboundedSender<Heard>,
    pub(super) known: Arc<Known>,
    pub(super) ears: Arc<Ears>,
}

impl Errand {
    /// Waits for the replies to `sending`, and to the first command on a new connection, which was sent before it.
    pub(super) async fn run(self, opening: Option<Sent>, sending: Sent) {
        let Sent { replies, gauge, mark } = sending;
        let replies = async {
            let opening = async {
                match opening {
                    Some(opening) => Some(opening.replies.await),
                    None => None,
                }
            };
            // In this order: the first poll of each is what queues it.
            let (opened, rest) = tokio::join!(biased; opening, replies);
            joined(opened, rest, |error| self.broken(error, &gauge))
        };
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

    fn finish(&self, result: Result<Vec<Value>, Unknown>) {
        self.known.owed.fetch_sub(1, Ordering::Relaxed);
        self.known.answered.notify_one();
        let parsed = match result {
            Ok(replies) => reply::sort(replies, &self.parts),
            Err(unknown) => Parsed::nothing(unknown),
        };
        let Parsed { info, hello, evicts, subscribed, mut reply } = parsed;
        if let Some(info) = &info {
            let from = info.votes_from(self.conduct.guard, self.sent, self.conduct.op_timeout);
            self.known.votes_from.store(from.as_nanos(), Ordering::Relaxed);
            self.known.uptime.store(info.uptime().as_secs(), Ordering::Relaxed);
        }
        self.ears.learn(hello.is_some(), subscribed);
        let misfit = info.as_ref().and_then(Info::misfit);
        // What a replica refuses, it says itself.
        let replica = hello.filter(|_| reply.is_ok()).and_then(|hello| hello.misfit());
        if let Some(misfit) = misfit.or(replica) {
            reply = Err(misfit);
        }
        if evicts {
            self.tell(None, None, Answer::Evicts);
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
                    self.known.cleared.fetch_max(self.number, Ordering::Relaxed);
                }
                Answer::Release(*attempt, release)
            }
            Ask::Watch(_) => Answer::Watch(self.heeded(reply::watched(reply, &self.conduct.target))),
        };
        self.tell(info.map(|info| info.identity(self.conduct.guard)), clock, answer);
    }

    /// What it means that the connection ended before the reply.
    fn broken(&self, error: &RedisError, gauge: &Gauge) -> Unknown {
        gauge.refusal().unwrap_or_else(|| {
            Unknown::Unreachable(match (error.is_io_error(), self.may_lack_tls) {
                (false, _) => error.to_string(),
                (true, false) => "the connection broke".into(),
                // What a port for TLS does with what it does not understand.
                (true, true) => "the connection broke at the first request; does it expect rediss://?".into(),
            })
        })
    }

    /// What was seen; a place in a queue is none where nobody listens.
    fn heeded(&self, watched: Watched) -> Watched {
        match watched {
            Watched::Seen(mut view) => {
                view.place = view.place.filter(|_| self.ears.can_listen());
                Watched::Seen(view)
            }
            unknown @ Watched::Unknown(_) => unknown,
        }
    }

    /// The vote, unless the server has not been up for long enough to cast one.
    fn guarded(&self, vote: Vote) -> Vote {
        let from = Time::from_nanos(self.known.votes_from.load(Ordering::Relaxed));
        if vote == Vote::Granted && self.conduct.guard != Guard::Off && self.sent < from {
            return Vote::Unknown(Unknown::Restarted {
                up: Duration::from_secs(self.known.uptime.load(Ordering::Relaxed)),
                votes_in: from.since(self.sent),
            });
        }
        vote
    }

    fn tell(&self, identity: Option<Identity>, clock: Option<Duration>, answer: Answer) {
        // Nobody listens any more only when the run is over.
        let _ = self.heard.send(Heard { instance: self.instance, sent: self.sent, identity, clock, answer });
    }
}

/// The replies to both. A server that turns a connection away says why in place of its first reply, and closes it.
fn joined(
    opened: Option<Result<Vec<Value>, RedisError>>,
    rest: Result<Vec<Value>, RedisError>,
    unreachable: impl Fn(&RedisError) -> Unknown,
) -> Result<Vec<Value>, Unknown> {
    match (opened, rest) {
        (None, rest) => rest.map_err(|error| unreachable(&error)),
        (Some(Ok(first)), Ok(rest)) => Ok(first.into_iter().chain(rest).collect()),
        (Some(Ok(first)), Err(error)) => Err(match first.first() {
            Some(Value::ServerError(said)) => meaning(said),
            _ => unreachable(&error),
        }),
        (Some(Err(error)), _) => Err(unreachable(&error)),
    }
}
