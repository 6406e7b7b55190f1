//! One request on its way, and what its replies say.

use super::cluster::Conduct;
use super::errors::meaning;
use super::info::Info;
use super::link::{Ears, End};
use super::planted::Planted;
use super::reply::{self, Asked, Parsed, Part};
use crate::lock::{Account, Answer, Ask, Guard, Heard, Marking, Release, Remark, Report, Time, Unknown, Watched};
use redis::Value;
use std::collections::VecDeque;

/// What is known of the server behind a worker's connections.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Who answers on the connection there is, as far as it may be asked.
    identity: Identity,
    /// What people were told of it.
    remarked: Option<Remark>,
    /// Whether the server was asked whether it evicts keys or has replicas.
    was_asked_for_setup: bool,
}

/// Who answers on one connection.
#[derive(Debug, Default)]
pub(super) enum Identity {
    /// It is to be asked.
    #[default]
    Unknown,
    /// The `run_id`, which stays the same for as long as the connection lasts.
    Known(String),
    /// Our user may not ask.
    NotPermitted,
}

impl Known {
    /// Whether the server is to say of itself what it can, with a request that nothing else is to come with.
    pub(super) const fn is_stranger(&self) -> bool {
        matches!(self.identity, Identity::Unknown)
    }

    /// The `run_id`; `None` where it is not known, and to be asked.
    pub(super) fn run_id(&self) -> Option<&str> {
        if let Identity::Known(run_id) = &self.identity { Some(run_id) } else { None }
    }

    /// Whether to ask whether the server evicts keys or has replicas; once.
    pub(super) const fn asks_for_setup(&mut self) -> bool {
        !std::mem::replace(&mut self.was_asked_for_setup, true)
    }

    /// There is no connection any more: another server may be behind the next one.
    pub(super) fn disconnected(&mut self) {
        self.identity = Identity::Unknown;
    }

    /// The account of a server that was asked for it.
    fn learn(&mut self, account: &Account) {
        self.identity = match account {
            Account::Told { run_id, .. } => Identity::Known(run_id.clone()),
            Account::NotPermitted => Identity::NotPermitted,
            Account::Untold(_) => Identity::Unknown,
        };
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
    /// What a report was asked with.
    pub(super) asked: Asked,
    /// How many bytes the kernel has taken when it has these.
    pub(super) mark: u64,
    replies: Vec<Value>,
    is_written: bool,
}

impl Errand {
    pub(super) fn new(sent: Time, ask: Ask, number: u64, parts: Vec<Part>, asked: Asked, mark: u64) -> Self {
        let replies = Vec::with_capacity(parts.len());
        Self { sent, ask, number, parts, asked, may_lack_tls: false, mark, replies, is_written: false }
    }

    /// The same, as the first request on a connection that could have TLS and has none.
    pub(super) const fn lacking_tls(mut self, may_lack_tls: bool) -> Self {
        self.may_lack_tls = may_lack_tls;
        self
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
        let parsed = reply::sort(self.replies, &self.parts, self.asked);
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
    pub(super) planted: &'a mut Planted,
    pub(super) ears: &'a mut Ears,
    pub(super) heard: &'a mut VecDeque<Heard>,
}

impl Place<'_> {
    fn hear(&mut self, sent: Time, ask: &Ask, number: u64, parsed: Parsed) {
        let Parsed { info, hello, remarks, subscribed, mut reply } = parsed;
        self.ears.learn(hello.is_some(), subscribed);
        // What a replica refuses, it says itself.
        let replica = hello.filter(|_| reply.is_ok()).and_then(|hello| hello.misfit());
        if let Some(misfit) = info.as_ref().and_then(Info::misfit).or(replica) {
            reply = Err(misfit);
        }
        remarks.into_iter().for_each(|remark| self.remark(sent, Some(remark)));
        let mut clock = info.as_ref().and_then(|info| info.clock);
        let report = info.map(|info| self.report(sent, info));
        let answer = match ask {
            Ask::Acquire { attempt, .. } => {
                if reply.is_ok() {
                    // The releases of all earlier attempts went before it.
                    self.planted.clear(number.saturating_sub(1));
                }
                Answer::Vote(*attempt, reply::vote(reply))
            }
            Ask::Extend { .. } => {
                let (extension, time) = reply::extension(reply);
                clock = time.or(clock);
                Answer::Extension(extension)
            }
            Ask::Release { attempt, .. } => {
                let release = reply::release(reply);
                if matches!(release, Release::Done(_)) {
                    self.planted.clear(number);
                }
                Answer::Release(*attempt, release)
            }
            Ask::Watch(_) => Answer::Watch(self.heeded(reply::watched(reply, &self.conduct.target))),
        };
        self.heard.push_back(Heard { instance: self.instance, sent, report, clock, answer });
    }

    fn remark(&mut self, sent: Time, remark: Option<Remark>) {
        if let Some(remark) = remark {
            let answer = Answer::Remark(remark);
            self.heard.push_back(Heard { instance: self.instance, sent, report: None, clock: None, answer });
        }
    }

    /// What the server said of itself; what it may not say, people should know. Without a guard nothing depends on it.
    fn report(&mut self, sent: Time, info: Info) -> Report {
        let is_guarded = self.conduct.guard != Guard::Off;
        if let Some(account) = &info.account {
            self.known.learn(account);
            let is_refused = matches!(account, Account::NotPermitted);
            let is_unmarked = matches!(info.marking, Some(Marking::Unavailable));
            let remark = match (is_refused, is_unmarked) {
                (true, _) => Some(Remark::Unaccounted),
                (false, true) => Some(Remark::Unmarked),
                (false, false) => None,
            };
            let is_news = remark != self.known.remarked;
            self.known.remarked = remark.or(self.known.remarked);
            self.remark(sent, remark.filter(|_| is_guarded && is_news));
        }
        Report { account: info.account, marking: info.marking }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Refusal;

    fn release(parts: &[Part], replies: &[&str], may_lack_tls: bool) -> Errand {
        let parting = crate::lock::Parting::Stay;
        let ask = Ask::Release { attempt: 1, slot: 0, value: "v".into(), parting };
        let errand = Errand::new(Time::default(), ask, 1, parts.to_vec(), Asked::default(), 10);
        let mut errand = errand.lacking_tls(may_lack_tls);
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
