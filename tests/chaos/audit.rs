//! Finds losses that were not noticed. A command must not outlive the lease of its lock on the
//! servers. If it does so by any length, its holder must not end with 0.
//!
//! An overlap needs another run that gets in; this check needs none.

use crate::crowd::Crowd;
use crate::history::Section;
use crate::promise::{Promise, QUORUM, SERVERS};
use crate::support::{Cluster, clock};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The polls of all servers, and their findings.
pub(crate) struct Audit {
    keys: Vec<String>,
    next: Duration,
    /// By contender: its lease on each server.
    leases: BTreeMap<u32, [Lease; SERVERS]>,
    /// By contender: the moment at which a poll first found that its lease had ended.
    over: BTreeMap<u32, Duration>,
}

/// A command that was alive after its lease was over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unnoticed {
    pub(crate) id: u32,
    pub(crate) over: Duration,
    pub(crate) last: Duration,
}

/// The lease of one contender on one server.
#[derive(Clone, Copy, Debug)]
struct Lease {
    /// End of the lease, if no fault ends it earlier.
    until: Duration,
    /// Whether the key may have been there at the last poll.
    was_there: bool,
}

/// The answer of a server about the key of one contender.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answer {
    /// The key is kept for so many milliseconds.
    Kept(u64),
    Gone,
    /// The server did not answer.
    Unknown,
}

impl Lease {
    fn learn(&mut self, answer: Answer, ttl: Duration, now: Duration) {
        match answer {
            Answer::Kept(millis) => {
                *self = Self { until: now + Duration::from_millis(millis), was_there: true }
            }
            // The key was deleted, and may have been extended until this moment. A key that was not
            // deleted has expired in time.
            Answer::Gone if self.was_there && self.until > now => {
                *self = Self { until: now + ttl, was_there: false }
            }
            Answer::Gone => self.was_there = false,
            Answer::Unknown => *self = Self { until: now + ttl, was_there: true },
        }
    }
}

/// The value of each of KEYS and its PTTL.
const LOOK: &str = "\
local r = {} \
for i = 1, #KEYS do r[i] = {redis.call('GET', KEYS[i]) or '', redis.call('PTTL', KEYS[i])} end \
return r";

impl Audit {
    const EVERY: Duration = Duration::from_millis(60);
    /// Longest time of a kill on a busy machine.
    const SLACK: Duration = Duration::from_millis(400);
    /// Longest delay of the line that a command writes.
    const LATE: Duration = Duration::from_millis(100);

    /// An audit of these keys.
    pub(crate) fn of(keys: Vec<String>) -> Self {
        Self { keys, next: Duration::ZERO, leases: BTreeMap::new(), over: BTreeMap::new() }
    }

    /// Polls the servers if a poll is due.
    pub(crate) fn go_on(&mut self, cluster: &Cluster, promise: &Promise, crowd: &Crowd) {
        if clock::now() < self.next {
            return;
        }
        self.next = clock::now() + Self::EVERY;
        let well = promise.well();
        let seen: Vec<_> =
            (0..SERVERS).map(|i| well.contains(&i).then(|| self.look(cluster, i))).collect();
        let now = clock::now();
        for member in crowd.members().iter().filter(|member| member.has_begun) {
            let Some(pid) = member.holder(cluster.dir()) else { continue };
            let answer = |i: usize| match &seen[i] {
                Some(kept) => kept.get(&pid).map_or(Answer::Gone, |millis| Answer::Kept(*millis)),
                None => Answer::Unknown,
            };
            self.saw(member.id, member.plan.ttl, std::array::from_fn(answer), now);
        }
    }

    /// Notes the answers of the servers at `now` about the key of this contender.
    fn saw(&mut self, id: u32, ttl: Duration, answers: [Answer; SERVERS], now: Duration) {
        // Before the first poll, any server may have had the key.
        let unseen = Lease { until: now + ttl, was_there: true };
        let leases = self.leases.entry(id).or_insert([unseen; SERVERS]);
        for (lease, answer) in leases.iter_mut().zip(answers) {
            lease.learn(answer, ttl, now);
        }
        let mut ends = leases.map(|lease| lease.until);
        ends.sort_unstable();
        let end = ends[SERVERS - QUORUM];
        if end < now {
            // Between two polls, both an extension and the release may have come.
            self.over.entry(id).or_insert(now);
        }
    }

    /// By process: the milliseconds until the key expires on this server.
    fn look(&self, cluster: &Cluster, i: usize) -> BTreeMap<u32, u64> {
        let count = self.keys.len().to_string();
        let words: Vec<&str> = ["EVAL", LOOK, &count]
            .into_iter()
            .chain(self.keys.iter().map(String::as_str))
            .collect();
        let values: Vec<(String, i64)> = cluster.ask(i, &words);
        values
            .iter()
            .filter_map(|(value, pttl)| Some((pid(value)?, u64::try_from(*pttl).ok()?)))
            .collect()
    }

    /// The losses that were not noticed. `succeeded` are the contenders that ended with 0.
    pub(crate) fn unnoticed(
        &self,
        sections: &[Section],
        succeeded: &BTreeSet<u32>,
    ) -> Vec<Unnoticed> {
        let of = |section: &Section| {
            let over = *self.over.get(&section.id)?;
            let slack = if succeeded.contains(&section.id) { Self::LATE } else { Self::SLACK };
            let unnoticed = Unnoticed { id: section.id, over, last: section.last };
            (section.last > over + slack).then_some(unnoticed)
        };
        sections.iter().filter_map(of).collect()
    }
}

/// The process id in a lock value.
fn pid(value: &str) -> Option<u32> {
    let rest = value.split_once("\"pid\":")?.1;
    rest.split_once(|c: char| !c.is_ascii_digit())?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_lease_has_ended_when_fewer_than_a_quorum_keep_the_key() {
        use Answer::{Gone as G, Kept, Unknown as U};
        for (label, then, expected) in [
            ("all have expired", [G; 5], Some(1_600)),
            ("a quorum is left", [Kept(9), Kept(9), Kept(9), G, G], None),
            ("two are left", [Kept(9), Kept(9), G, G, G], Some(1_600)),
            ("one more could not be asked", [Kept(9), Kept(9), U, G, G], None),
        ] {
            let mut audit = Audit::of(vec![]);
            audit.saw(7, at(500), [Kept(500); 5], at(1_000));
            audit.saw(7, at(500), then, at(1_600));
            assert_eq!(audit.over.get(&7).copied(), expected.map(at), "{label}");
        }
    }

    #[test]
    fn a_key_that_was_deleted_may_have_been_extended_just_before() {
        let mut audit = Audit::of(vec![]);
        audit.saw(7, at(500), [Answer::Kept(500); 5], at(1_000));
        audit.saw(7, at(500), [Answer::Gone; 5], at(1_100));
        audit.saw(7, at(500), [Answer::Gone; 5], at(1_590));
        assert_eq!(audit.over.get(&7), None);
        audit.saw(7, at(500), [Answer::Gone; 5], at(1_650));
        assert_eq!(audit.over.get(&7), Some(&at(1_650)));
    }

    #[test]
    fn a_key_that_was_never_seen_may_have_been_there() {
        let mut audit = Audit::of(vec![]);
        audit.saw(7, at(500), [Answer::Gone; 5], at(1_000));
        assert_eq!(audit.over.get(&7), None);
    }

    #[test]
    fn a_loss_is_not_noticed_if_the_command_lives_on_or_its_run_ends_well() {
        let mut audit = Audit::of(vec![]);
        audit.over.insert(7, at(1_000));
        for (label, id, last, succeeded, expected) in [
            ("it ended before", 7, 900, true, 0),
            ("it was killed just then", 7, 1_150, false, 0),
            ("it lived on", 7, 1_500, false, 1),
            ("it ended just after", 7, 1_150, true, 1),
            ("another's lease was over", 8, 1_500, true, 0),
        ] {
            let section = Section { id, slot: 1, first: at(0), last: at(last) };
            let succeeded = if succeeded { BTreeSet::from([id]) } else { BTreeSet::new() };
            assert_eq!(audit.unnoticed(&[section], &succeeded).len(), expected, "{label}");
        }
        assert_eq!(pid(r#"{"v":1,"pid":4711,"cmd":"x"}"#), Some(4711));
    }
}
