//! How long an instance is known to have kept its memory, and whether it may vote on the strength
//! of that.
//!
//! An instance that lost its memory grants a lock that it has granted before. Its uptime says
//! little of that: it follows a wall clock, and FLUSHALL or another server behind the same name
//! leave it as it is. So redlock leaves a mark beside the locks, which is lost with them, and an
//! instance votes once its mark is older than every lease can be.

use super::{NoVoteReason, ServerReport, Time, Vote};
use std::time::Duration;

/// For how long an instance must have kept its memory before it votes: at least the longest lease
/// that any host takes there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RestartGuard {
    /// The servers lose nothing (`appendfsync always`).
    Off,
    /// For this long.
    For(Duration),
}

/// The mark on an instance: which start of the server it was made under, and when, by two clocks.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Mark {
    run_id: String,
    by_server: Duration,
    by_host: Duration,
}

/// The mark that an instance has, and what its clock showed then.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MarkSeen {
    /// The stored text: `run_id`, the server's clock and the marking host's clock in microseconds
    /// since 1970.
    pub text: String,
    /// The server's clock at the answer, since 1970.
    pub server_clock: Duration,
    /// Our wall clock at the request, since 1970.
    pub host_clock: Duration,
}

/// What an instance says of itself on one connection (`INFO server`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Account {
    /// It answered with these fields.
    Told {
        /// The `run_id`, new at each start.
        run_id: String,
        /// `uptime_in_seconds`; zero where it is negative, since the server's clock was set back.
        uptime: Duration,
    },
    /// Our user may not ask (NOPERM): there is no guard on this instance.
    NotPermitted,
    /// It did not answer, or without these fields.
    Untold(NoVoteReason),
}

/// What the mark command found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Marking {
    /// This mark, which may be one of this moment.
    Seen(MarkSeen),
    /// There can be none: a missing right, or no memory left. The uptime stands for it.
    Unavailable,
}

/// Whether the key that an instance has set for us counts as its vote.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
enum Standing {
    /// It does.
    Votes,
    /// It does not, and this is why. [`NoVoteReason::Unproven`] counts where all instances say so.
    Abstains(NoVoteReason),
}

/// What is known of the memory of one instance, over all connections to it.
#[derive(Clone, Debug)]
pub struct Memory {
    account: Option<Account>,
    /// The latest moment at which the server can have started, by its uptime.
    started: Time,
    marking: Option<Marking>,
    /// When the mark that is there was seen first.
    first_seen: Time,
}

impl Mark {
    /// The longest that an accepted text can be.
    const MAX: usize = 256;

    /// The mark in a stored text; `None` where redlock did not write it.
    fn parse(text: &str) -> Option<Self> {
        let text = Some(text).filter(|text| text.len() <= Self::MAX)?;
        let mut words = text.split(' ');
        let mark = Self {
            run_id: words.next().filter(|word| !word.is_empty())?.to_owned(),
            by_server: Duration::from_micros(words.next()?.parse().ok()?),
            by_host: Duration::from_micros(words.next()?.parse().ok()?),
        };
        words.next().is_none().then_some(mark)
    }
}

impl MarkSeen {
    /// How old the mark is by both clocks: one that was set wrong alone makes it no older. A second
    /// is taken off, since the hosts' clocks agree only so far.
    fn age(&self, mark: &Mark) -> Duration {
        let by_server = self.server_clock.saturating_sub(mark.by_server);
        let by_host = self.host_clock.saturating_sub(mark.by_host);
        by_server.min(by_host).saturating_sub(Duration::from_secs(1))
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self { account: None, started: Time::NEVER, marking: None, first_seen: Time::NEVER }
    }
}

impl Memory {
    /// The connection has ended: the server behind the next one has to say again who it is.
    pub fn disconnected(&mut self) {
        (self.account, self.started) = (None, Time::NEVER);
    }

    /// What the server said of itself in an answer that came at `heard`.
    pub fn learn(&mut self, report: &ServerReport, heard: Time) {
        if let Some(account) = &report.account {
            self.account(account.clone(), heard);
        }
        self.marking(report.marking.clone(), heard);
    }

    /// The server's account came at `heard`. Its uptime is taken for the one of that moment, the
    /// last at which the server can have read it, and counts whole seconds, of which the last may
    /// not be over.
    fn account(&mut self, account: Account, heard: Time) {
        self.started = match &account {
            Account::Told { uptime, .. } => {
                heard.minus(uptime.saturating_sub(Duration::from_secs(1)))
            }
            Account::NotPermitted | Account::Untold(_) => Time::NEVER,
        };
        self.account = Some(account);
    }

    /// A mark that was there before proves that nothing was lost since it was seen first.
    fn marking(&mut self, marking: Option<Marking>, heard: Time) {
        let is_the_same = match (&self.marking, &marking) {
            (Some(Marking::Seen(before)), Some(Marking::Seen(seen))) => before.text == seen.text,
            _ => false,
        };
        if !is_the_same {
            self.first_seen = heard;
        }
        self.marking = marking;
    }

    /// The `run_id` of the server behind the connection.
    #[must_use]
    pub fn run_id(&self) -> Option<&str> {
        match &self.account {
            Some(Account::Told { run_id, .. }) => Some(run_id),
            _ => None,
        }
    }

    /// What `vote` is worth, which was given to a request sent at `sent`: a refusal is true
    /// whatever was forgotten.
    #[must_use]
    pub fn vote(&self, guard: RestartGuard, sent: Time, vote: Vote) -> Vote {
        match self.standing(guard, sent) {
            Standing::Abstains(why) if vote == Vote::Granted => Vote::Unknown(why),
            _ => vote,
        }
    }

    /// Whether a key that was set by a request sent at `sent` counts as a vote. `sent` is before
    /// its execution, so the memory is at least as old as is said here.
    fn standing(&self, guard: RestartGuard, sent: Time) -> Standing {
        let RestartGuard::For(guard) = guard else { return Standing::Votes };
        let run_id = match &self.account {
            Some(Account::Told { run_id, .. }) => run_id,
            Some(Account::NotPermitted) => return Standing::Votes,
            Some(Account::Untold(why)) => return Standing::Abstains(why.clone()),
            None => {
                return Standing::Abstains(NoVoteReason::Transient(
                    "the server did not say how long it has been up".into(),
                ));
            }
        };
        let up = sent.since(self.started);
        let proven = match &self.marking {
            Some(Marking::Seen(seen)) => {
                match Mark::parse(&seen.text).filter(|mark| mark.run_id == *run_id) {
                    Some(mark) => sent.since(self.first_seen).max(seen.age(&mark)),
                    None => Duration::ZERO,
                }
            }
            Some(Marking::Unavailable) => up,
            None => Duration::ZERO,
        };
        if proven >= guard {
            Standing::Votes
        } else if up >= guard {
            Standing::Abstains(NoVoteReason::Unproven { votes_in: guard.saturating_sub(proven) })
        } else {
            Standing::Abstains(NoVoteReason::Restarted { up, votes_in: guard.saturating_sub(up) })
        }
    }
}

#[cfg(test)]
mod tests;
