//! Finds losses that were not noticed: a command must not outlive the last quorum of its keys by more than a TTL, and a
//! holder whose command does so by any length must not end with 0.
//!
//! An overlap shows only if another run gets in; this needs no other run.

use crate::crowd::Crowd;
use crate::history::Section;
use crate::promise::{Promise, QUORUM, SERVERS};
use crate::support::{Cluster, clock};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The looks at all servers, and what they found.
pub(crate) struct Audit {
    keys: Vec<String>,
    next: Duration,
    /// Since when each contender was seen without a quorum at every look.
    without: BTreeMap<u32, Duration>,
    /// The moment, one TTL after that, at which the lease of a contender was over for certain.
    lapsed: BTreeMap<u32, Duration>,
}

/// A command that was alive after its lease was over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unnoticed {
    pub(crate) id: u32,
    pub(crate) lapsed: Duration,
    pub(crate) last: Duration,
}

impl Audit {
    const EVERY: Duration = Duration::from_millis(60);
    /// What a kill may take on a busy machine.
    const SLACK: Duration = Duration::from_millis(400);

    /// Looks at these keys.
    pub(crate) fn of(keys: Vec<String>) -> Self {
        Self { keys, next: Duration::ZERO, without: BTreeMap::new(), lapsed: BTreeMap::new() }
    }

    /// Looks, if it is time to.
    pub(crate) fn go_on(&mut self, cluster: &Cluster, promise: &Promise, crowd: &Crowd) {
        let now = clock::now();
        if now < self.next {
            return;
        }
        self.next = now + Self::EVERY;
        let well = promise.well();
        let seen: Vec<BTreeSet<u32>> = well.iter().map(|i| self.holders(cluster, *i)).collect();
        // Read again: a loss between the looks at two servers is not older than that.
        let now = clock::now();
        for member in crowd.members().iter().filter(|member| member.has_begun) {
            let pid = u32::try_from(member.pid()).expect("a process id");
            // A server that cannot be asked may have the key.
            let places = seen.iter().filter(|pids| pids.contains(&pid)).count() + SERVERS - well.len();
            if places >= QUORUM {
                self.without.remove(&member.id);
                continue;
            }
            let since = *self.without.entry(member.id).or_insert(now);
            if now > since + member.plan.ttl {
                self.lapsed.entry(member.id).or_insert(since + member.plan.ttl);
            }
        }
    }

    /// The processes that have a key on this server.
    fn holders(&self, cluster: &Cluster, i: usize) -> BTreeSet<u32> {
        let words: Vec<&str> = std::iter::once("MGET").chain(self.keys.iter().map(String::as_str)).collect();
        let values: Vec<Option<String>> = cluster.ask(i, &words);
        values.iter().flatten().filter_map(|value| pid(value)).collect()
    }

    /// The losses that were not noticed. `succeeded` are the contenders that ended with 0.
    pub(crate) fn unnoticed(&self, sections: &[Section], succeeded: &BTreeSet<u32>) -> Vec<Unnoticed> {
        let of = |section: &Section| {
            let lapsed = *self.lapsed.get(&section.id)?;
            let slack = if succeeded.contains(&section.id) { Duration::ZERO } else { Self::SLACK };
            let unnoticed = Unnoticed { id: section.id, lapsed, last: section.last };
            (section.last > lapsed + slack).then_some(unnoticed)
        };
        sections.iter().filter_map(of).collect()
    }
}

/// The process that a value tells.
fn pid(value: &str) -> Option<u32> {
    let rest = value.split_once("\"pid\":")?.1;
    rest.split_once(|c: char| !c.is_ascii_digit())?.0.parse().ok()
}

#[test]
fn a_loss_is_not_noticed_if_the_command_lives_on_or_its_run_ends_well() {
    let at = Duration::from_millis;
    let mut audit = Audit::of(vec![]);
    audit.lapsed.insert(7, at(1_000));
    for (label, id, last, succeeded, expected) in [
        ("it ended before", 7, 900, true, 0),
        ("it was killed just then", 7, 1_050, false, 0),
        ("it lived on", 7, 1_500, false, 1),
        ("it ended just after", 7, 1_050, true, 1),
        ("another's lease was over", 8, 1_500, true, 0),
    ] {
        let section = Section { id, slot: 1, first: at(0), last: at(last) };
        let succeeded = if succeeded { BTreeSet::from([id]) } else { BTreeSet::new() };
        assert_eq!(audit.unnoticed(&[section], &succeeded).len(), expected, "{label}");
    }
    assert_eq!(pid(r#"{"v":1,"pid":4711,"cmd":"x"}"#), Some(4711));
}
