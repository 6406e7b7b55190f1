//! One request on its way, and what its replies say.

use super::cluster::Conduct;
use super::errors::meaning;
use super::info::{Guard, Info};
use super::link::{Ears, End};
use super::reply::{self, Parsed, Part};
use crate::lock::{Answer, Ask, Heard, Release, Remark, Time, Unknown, Vote, Watched};
use redis::Value;
use std::collections::VecDeque;
use std::time::Duration;

/// What is known of the server behind a worker's connections.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The number of the newest release that was answered.
    cleared: u64,
    /// From when on the votes count, and the uptime that says so.
    votes_from: Time,
    uptime: Duration,
}

impl Known {
    /// Whether the request with this number was followed by a release that was answered.
    pub(super) const fn is_cleared(&self, number: u64) -> bool {
        number <= self.cleared
    }

    /// Why the server cannot vote on what was sent at `sent`, where it has not been up for long enough.
    fn doubt(&self, guard: Guard, sent: Time) -> Option<Unknown> {
        (guard != Guard::Off && sent < self.votes_from)
            .then(|| Unknown::Restarted { up: self.uptime, votes_in: self.votes_from.since(sent) })
    }

    /// The vote of a request that was sent at `sent`, if it can vote by then.
    fn guarded(&self, vote: Vote, guard: Guard, sent: Time) -> Vote {
        match self.doubt(guard, sent) {
            Some(why) if vote == Vote::Granted => Vote::Unknown(why),
            _ => vote,
        }
    }
}

/// A request that was sent, and the replies to it that have come.
pub(super) struct Errand {
    pub(super) sent: Time,
    pub(super) ask: Ask,
    /// Its number among the requests to this instance.
    pub(super) number: u64,
    /// What each of its commands is for.
    pub(super) parts: Vec<Part>,
    /// Whether it is the first on a connection without TLS that could have one.
    pub(super) may_lack_tls: bool,
    /// How many bytes the kernel has taken when it has these.
    pub(super) mark: u64,
    replies: Vec<Value>,
    is_written: bool,
}

impl Errand {
    pub(super) fn new(sent: Time, ask: Ask, number: u64, parts: Vec<Part>, may_lack_tls: bool, mark: u64) -> Self {
        let replies = Vec::with_capacity(parts.len());
        Self { sent, ask, number, parts, may_lack_tls, mark, replies, is_written: false }
    }

    /// Takes the next reply; whether that was the last.
    pub(super) fn take(&mut self, reply: Value) -> bool {
        self.replies.push(reply);
        self.replies.len() >= self.parts.len()
    }

    /// What to answer to a release once the kernel has taken `written` bytes: it may never be answered, and reaches the
    /// server all the same.
    pub(super) fn written(&mut self, written: u64) -> Option<Answer> {
        let Ask::Release { attempt, .. } = &self.ask else { return None };
        let is_news = written >= self.mark && !std::mem::replace(&mut self.is_written, written >= self.mark);
        is_news.then_some(Answer::Release(*attempt, Release::Written))
    }

    /// What its replies say, and what is learned from them.
    pub(super) fn finish(self, at: &mut Place<'_>) {
        let parsed = reply::sort(self.replies, &self.parts);
        at.hear(self.sent, &self.ask, self.number, parsed);
    }

    /// What it means that the connection ended before the last reply.
    pub(super) fn fail(self, end: &End, at: &mut Place<'_>) {
        at.hear(self.sent, &self.ask, self.number, Parsed::nothing(self.why(end)));
    }

    fn why(&self, end: &End) -> Unknown {
        let is_first = matches!(self.parts.first(), Some(Part::Greeting | Part::Hello));
        match (self.replies.first(), end) {
            // A server that turns a connection away says why in place of its first reply.
            (Some(Value::ServerError(said)), _) if is_first => meaning(said),
            (_, End::Refused(unknown)) => unknown.clone(),
            (_, End::Malformed) => Unknown::Unreachable("what answers is no Redis server".into()),
            (_, End::Broken) if self.may_lack_tls => {
                // What a port for TLS does with what it does not understand.
                Unknown::Unreachable("the connection broke at the first request; does it expect rediss://?".into())
            }
            (_, End::Broken) => Unknown::Unreachable("the connection broke".into()),
        }
    }
}

/// Where an answer comes from, and where it goes to.
pub(super) struct Place<'a> {
    pub(super) instance: usize,
    pub(super) conduct: &'a Conduct,
    pub(super) known: &'a mut Known,
    pub(super) ears: &'a mut Ears,
    pub(super) heard: &'a mut VecDeque<Heard>,
}

impl Place<'_> {
    fn hear(&mut self, sent: Time, ask: &Ask, number: u64, parsed: Parsed) {
        let Parsed { info, hello, remark, subscribed, mut reply } = parsed;
        let guard = self.conduct.guard;
        if let Some(info) = &info {
            self.known.votes_from = info.votes_from(guard, sent, self.conduct.op_timeout);
            self.known.uptime = info.uptime();
        }
        self.ears.learn(hello.is_some(), subscribed);
        let misfit = info.as_ref().and_then(Info::misfit);
        // What a replica refuses, it says itself.
        let replica = hello.filter(|_| reply.is_ok()).and_then(|hello| hello.misfit());
        if let Some(misfit) = misfit.or(replica) {
            reply = Err(misfit);
        }
        // Where there is no guard, nobody needs to know for how long a server has been up.
        if let Some(remark) = remark.filter(|remark| *remark != Remark::Unaccounted || guard != Guard::Off) {
            let answer = Answer::Remark(remark);
            self.heard.push_back(Heard { instance: self.instance, sent, identity: None, clock: None, answer });
        }
        let mut clock = info.as_ref().and_then(|info| info.clock);
        let answer = match ask {
            Ask::Acquire { attempt, .. } => Answer::Vote(*attempt, self.known.guarded(reply::vote(reply), guard, sent)),
            Ask::Extend { round, .. } => {
                let (extension, time) = reply::extension(reply);
                clock = time.or(clock);
                Answer::Extension(*round, extension)
            }
            Ask::Release { attempt, .. } => {
                let release = reply::release(reply);
                if matches!(release, Release::Done(_)) {
                    self.known.cleared = self.known.cleared.max(number);
                }
                Answer::Release(*attempt, release)
            }
            Ask::Watch(_) => Answer::Watch(self.heeded(sent, reply::watched(reply, &self.conduct.target))),
        };
        let identity = info.map(|info| info.identity(guard));
        self.heard.push_back(Heard { instance: self.instance, sent, identity, clock, answer });
    }

    /// What was seen, and whether it can be believed; a place in a queue is none where nobody listens.
    fn heeded(&self, sent: Time, watched: Watched) -> Watched {
        match watched {
            Watched::Seen(mut view) => {
                view.place = view.place.filter(|_| self.ears.can_listen());
                view.doubt = self.known.doubt(self.conduct.guard, sent);
                Watched::Seen(view)
            }
            unknown @ Watched::Unknown(_) => unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Refusal;

    fn release(parts: &[Part], replies: &[&str], may_lack_tls: bool) -> Errand {
        let parting = crate::lock::Parting::Stay;
        let ask = Ask::Release { attempt: 1, slot: 0, value: "v".into(), parting };
        let mut errand = Errand::new(Time::default(), ask, 1, parts.to_vec(), may_lack_tls, 10);
        for reply in replies {
            assert!(!errand.take(redis::parse_redis_value(format!("{reply}\r\n").as_bytes()).unwrap()));
        }
        errand
    }

    #[test]
    fn the_first_reply_on_a_connection_says_why_it_ended_and_no_other_does() {
        let first = [Part::Hello, Part::Request];
        let later = [Part::Subscription, Part::Request];
        for (label, errand, end, expected) in [
            ("turned away", release(&first, &["-NOAUTH no"], true), End::Broken, "NOAUTH no"),
            ("refused a subscription", release(&later, &["-NOPERM no"], false), End::Broken, "the connection broke"),
            ("another protocol", release(&first, &[], true), End::Malformed, "what answers is no Redis server"),
            (
                "TLS",
                release(&first, &[], true),
                End::Broken,
                "the connection broke at the first request; does it expect rediss://?",
            ),
            ("later", release(&first, &["+OK"], false), End::Broken, "the connection broke"),
        ] {
            let (Unknown::Unreachable(said) | Unknown::Refused(Refusal::Access, said)) = errand.why(&end) else {
                panic!("{label}");
            };
            assert_eq!(said, expected, "{label}");
        }
        let refused = End::Refused(Unknown::TimedOut);
        assert_eq!(release(&first, &[], false).why(&refused), Unknown::TimedOut, "what TLS said");
    }

    #[test]
    fn a_release_is_told_once_when_the_kernel_has_all_of_it() {
        let mut errand = release(&[Part::Request], &[], false);
        assert_eq!(errand.written(9), None);
        assert_eq!(errand.written(10), Some(Answer::Release(1, Release::Written)));
        assert_eq!(errand.written(11), None);
    }
}
