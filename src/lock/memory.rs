//! Age of an instance's memory, which decides whether its vote counts.
//!
//! An instance that lost its memory may grant a lock twice. The uptime proves little: it follows the
//! wall clock, FLUSHALL leaves it unchanged, and so does a move of the name to another server. So
//! redlock sets a mark beside the locks, which is lost with them. The vote of an instance counts
//! once the mark is older than the longest possible lease.

use super::{NoVoteReason, ServerReport, Time, Vote};
use std::time::Duration;

/// Least age of an instance's memory for its vote to count: at least the longest lease that any host
/// takes there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RestartGuard {
    /// No guard, for servers that lose nothing (`appendfsync always`).
    Off,
    /// This age.
    For(Duration),
}

/// The mark of an instance: `run_id` of the server and moment of the marking, by two clocks since
/// 1970.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Mark {
    run_id: String,
    by_server: Duration,
    by_host: Duration,
}

/// A mark as read from an instance, with the clocks at that moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MarkSeen {
    /// Stored text: `run_id`, then the server's clock and the marking host's clock, both in
    /// microseconds since 1970.
    pub text: String,
    /// Clock of the server at the response, since 1970.
    pub server_clock: Duration,
    /// Wall clock of this host at the request, since 1970.
    pub host_clock: Duration,
}

/// Report of a server on one connection (`INFO server`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Account {
    /// These fields of the response.
    Told {
        /// `run_id`, new at each start.
        run_id: String,
        /// `uptime_in_seconds`. Zero if negative, after the server's clock was set back.
        uptime: Duration,
    },
    /// The user may not run INFO (NOPERM), so this instance has no guard.
    NotPermitted,
    /// No response, or a response without these fields.
    Untold(NoVoteReason),
}

/// Response to the mark command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Marking {
    /// The mark, which this command may have set.
    Seen(MarkSeen),
    /// The mark cannot be set: a right is missing, or memory is full. The uptime counts instead.
    Unavailable,
}

/// Whether a key that was set counts as a vote.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
enum Standing {
    /// The vote counts.
    Votes,
    /// The vote does not count. [`NoVoteReason::Unproven`] counts if all instances are unproven.
    Abstains(NoVoteReason),
}

/// The memory of one instance, over all connections.
#[derive(Clone, Debug)]
pub struct Memory {
    account: Option<Account>,
    /// Latest possible start of the server, by the uptime.
    started: Time,
    marking: Option<Marking>,
    /// Moment at which the current mark was received first.
    first_seen: Time,
}

impl Mark {
    /// The longest text that is parsed, in bytes.
    const MAX: usize = 256;

    /// Parses a stored text. `None` if another program wrote the text.
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
    /// The age of the mark: the smaller one of two clocks, so that one wrong clock makes no mark
    /// older, less a second, the difference that hosts' clocks may have.
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
    /// The connection has ended. The next one may lead to another server, which has to report first.
    pub fn disconnected(&mut self) {
        (self.account, self.started) = (None, Time::NEVER);
    }

    /// Takes the report of a response that was received at `received`.
    pub fn learn(&mut self, report: &ServerReport, received: Time) {
        if let Some(account) = &report.account {
            self.account(account.clone(), received);
        }
        self.marking(report.marking.clone(), received);
    }

    /// Takes the `run_id` and the uptime. The server read the uptime at `received` at the latest, and
    /// the last of the whole seconds may have just begun.
    fn account(&mut self, account: Account, received: Time) {
        self.started = match &account {
            Account::Told { uptime, .. } => {
                received.minus(uptime.saturating_sub(Duration::from_secs(1)))
            }
            Account::NotPermitted | Account::Untold(_) => Time::NEVER,
        };
        self.account = Some(account);
    }

    /// Takes the mark. A mark that is the same as before proves that no memory was lost since the
    /// mark was received first.
    fn marking(&mut self, marking: Option<Marking>, received: Time) {
        let is_the_same = match (&self.marking, &marking) {
            (Some(Marking::Seen(before)), Some(Marking::Seen(seen))) => before.text == seen.text,
            _ => false,
        };
        if !is_the_same {
            self.first_seen = received;
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

    /// The worth of `vote`, the response to a request that was sent at `sent`. A denied vote counts,
    /// whatever the age of the memory.
    #[must_use]
    pub fn vote(&self, guard: RestartGuard, sent: Time, vote: Vote) -> Vote {
        match self.standing(guard, sent) {
            Standing::Abstains(reason) if vote == Vote::Granted => Vote::Unknown(reason),
            _ => vote,
        }
    }

    /// Whether a key counts as a vote. The request was sent at `sent`, before its execution, so the
    /// memory is at least as old as computed here.
    fn standing(&self, guard: RestartGuard, sent: Time) -> Standing {
        let RestartGuard::For(guard) = guard else { return Standing::Votes };
        let run_id = match &self.account {
            Some(Account::Told { run_id, .. }) => run_id,
            Some(Account::NotPermitted) => return Standing::Votes,
            Some(Account::Untold(reason)) => return Standing::Abstains(reason.clone()),
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
