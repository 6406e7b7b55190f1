//! The faults that are allowed at a time, within the promise of the lock. N is 5, the quorum
//! q is 3, a minority is N - q = 2.
//!
//! - **Silence**: at most a minority hangs, refuses or is cut off, except for moments shorter than any TTL. More is as safe,
//!   but costs the holder its lock and lets no contender in; so all servers are cut off for long only now and then.
//! - **Flows**: the open connections of any number of servers may be forgotten at once, or held and carried on later, since
//!   new connections work. Held requests are executed late, on all servers at once and for dead clients too: a key that a late
//!   request sets counts for no run and expires after one TTL.
//! - **Memory**: within [`MEMORY`] at most a minority forgets, by an empty restart, a flush or a name that moves. A holder's
//!   deadline rests on q servers that confirmed within the last TTL. A server that forgot since then abstains for the guard,
//!   which is no shorter than any lease. So until the deadline at most N - q servers grant the lock to another run. If all N
//!   servers forgot at once, none could prove the age of its memory and their uptimes would count.
//! - **A key without its guard**: a deleted key, or one that expired where its holder does not reach, leaves a server that
//!   grants the lock at once. A holder with m keys is safe while fewer than m - (N - q) of them go at once; of a bare quorum
//!   none may, until the holder notices. So [`super::nemesis`] deletes a key only while q others remain that last as long.
//! - **Clocks**: the wall clock of a server is set only while the server is empty and before any client connects. On a server with
//!   keys a step forward would delete all keys without the guard.
//! - **Names**: a name moves to a server that has never known a lock and so has no mark, and the open connections break with
//!   the move. If they stayed, the holder would extend a server that no other run asks. A server that left its name does not
//!   come back with its mark, which would vouch for what the server missed.

use crate::support::clock;
use std::time::Duration;

pub(crate) const SERVERS: usize = 5;
/// Servers without a name, until a name moves to one of them.
pub(crate) const SPARES: usize = 2;
/// The number of servers that decides.
pub(crate) const QUORUM: usize = 3;
const MINORITY: usize = 2;

/// All TTLs of the run, in milliseconds. More of them are short, so that more happens.
pub(crate) const TTLS: [u64; 6] = [500, 500, 700, 1000, 1500, 2000];
pub(crate) const LONGEST_TTL: Duration = Duration::from_secs(2);
/// The restart guard of all contenders: the longest TTL, since a server forgets the locks of all of
/// them.
pub(crate) const GUARD: &str = "2s";
/// Longest time for which a lock is kept after its command, in milliseconds.
pub(crate) const LONGEST_KEPT: u64 = 800;
/// The uptime from which on every vote counts, in whole seconds: the last second is uncertain.
pub(crate) const VOTES_FROM_UPTIME: i64 = 3;
/// Within this time at most a minority forgets. It is the longest TTL, and the time until a mark is
/// old enough.
const MEMORY: Duration = Duration::from_millis(3500);

/// The servers, and the present faults of each.
#[derive(Debug, Default)]
pub(crate) struct Promise {
    ailments: [Ailment; SERVERS],
}

#[derive(Debug, Default)]
struct Ailment {
    /// Whether the server hangs, is down, or refuses to write.
    is_ill: bool,
    links: Links,
    /// The connections that were open are forgotten or held.
    is_forgotten: bool,
    forgot: Option<Duration>,
}

/// The connections of a server, old and new.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Links {
    #[default]
    Well,
    /// The links are disturbed for a moment.
    Disturbed,
    /// Disturbed for so long that the server counts as ill.
    CutOff,
}

impl Promise {
    /// Servers that answer a direct request.
    pub(crate) fn well(&self) -> Vec<usize> {
        (0..SERVERS).filter(|i| !self.ailments[*i].is_ill).collect()
    }

    /// Servers that may fall ill, and how many more of them.
    pub(crate) fn may_fall_ill(&self) -> (Vec<usize>, usize) {
        (self.well(), self.left())
    }

    /// Servers that may lose their memory and be down meanwhile.
    pub(crate) fn may_restart(&self) -> Vec<usize> {
        let able = |i: &usize| self.may_forget(*i) && self.left() > 0;
        self.well().into_iter().filter(able).collect()
    }

    /// Whether this server may lose its memory.
    pub(crate) fn may_forget(&self, i: usize) -> bool {
        let recently =
            |ailment: &Ailment| ailment.forgot.is_some_and(|moment| clock::since(moment) < MEMORY);
        recently(&self.ailments[i])
            || self.ailments.iter().filter(|ailment| recently(ailment)).count() < MINORITY
    }

    /// Servers whose connections may be disturbed for long, and how many more of them.
    pub(crate) fn may_be_cut_off(&self) -> (Vec<usize>, usize) {
        (self.may_be_disturbed(), self.left())
    }

    /// Servers whose connections may be disturbed for a moment.
    pub(crate) fn may_be_disturbed(&self) -> Vec<usize> {
        (0..SERVERS).filter(|i| self.ailments[*i].links == Links::Well).collect()
    }

    /// Servers whose open connections may be forgotten or held: all, since new connections work.
    pub(crate) fn may_be_forgotten(&self) -> Vec<usize> {
        (0..SERVERS).filter(|i| !self.ailments[*i].is_forgotten).collect()
    }

    /// Whether the open connections to this server are forgotten or held.
    pub(crate) fn is_forgotten(&mut self, i: usize, now: bool) {
        self.ailments[i].is_forgotten = now;
    }

    pub(crate) fn falls_ill(&mut self, i: usize) {
        self.ailments[i].is_ill = true;
    }

    pub(crate) fn recovers(&mut self, i: usize) {
        self.ailments[i].is_ill = false;
    }

    pub(crate) fn forgets(&mut self, i: usize) {
        self.ailments[i].forgot = Some(clock::now());
    }

    pub(crate) fn is_disturbed(&mut self, i: usize, for_long: bool) {
        self.ailments[i].links = if for_long { Links::CutOff } else { Links::Disturbed };
    }

    pub(crate) fn is_connected(&mut self, i: usize) {
        self.ailments[i].links = Links::Well;
    }

    /// How many more servers may be silent.
    fn left(&self) -> usize {
        let is_silent = |ailment: &&Ailment| ailment.is_ill || ailment.links == Links::CutOff;
        let silent = self.ailments.iter().filter(is_silent).count();
        MINORITY.saturating_sub(silent)
    }
}

#[test]
fn never_more_than_a_minority_is_silent_or_forgets() {
    let mut promise = Promise::default();
    promise.falls_ill(0);
    promise.is_disturbed(1, true);
    assert_eq!(promise.may_fall_ill().1, 0);
    assert_eq!(promise.may_be_cut_off().1, 0);
    assert!(promise.may_restart().is_empty());
    promise.is_connected(1);
    promise.forgets(2);
    promise.forgets(3);
    assert_eq!(
        promise.may_restart(),
        [2, 3],
        "the servers that forgot may forget again, and no other"
    );
    assert_eq!(promise.may_be_disturbed(), [0, 1, 2, 3, 4], "a moment is allowed everywhere");
    promise.is_forgotten(4, true);
    assert_eq!(
        promise.may_be_forgotten(),
        [0, 1, 2, 3],
        "and so is what leaves new connections alone"
    );
}
