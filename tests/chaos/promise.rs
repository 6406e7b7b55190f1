//! What may be broken at a time: never more than the promise of the lock allows.
//!
//! At most a minority of the servers hangs or is cut off, but for moments shorter than any TTL; at most a minority
//! forgets within the longest TTL and a margin. All that a server forgets without having restarted is guarded by
//! nothing; that is looked at where it is done.

use crate::support::clock;
use std::time::Duration;

pub(crate) const SERVERS: usize = 5;
const MINORITY: usize = 2;

/// All TTLs of the run, in milliseconds; the shorter ones more often, so that more happens.
pub(crate) const TTLS: [u64; 6] = [500, 500, 700, 1000, 1500, 2000];
pub(crate) const LONGEST_TTL: Duration = Duration::from_secs(2);
/// The same, as the restart guard that all share: a server forgets the locks of the others too.
pub(crate) const GUARD: &str = "2s";
/// The uptime in whole seconds from which on every vote counts: the last second is uncertain.
pub(crate) const VOTES_FROM_UPTIME: u64 = 3;
/// In this time no more than a minority forgets.
const MEMORY: Duration = Duration::from_millis(3500);

/// The servers, and what ails them.
#[derive(Debug, Default)]
pub(crate) struct Promise {
    ailments: [Ailment; SERVERS],
}

#[derive(Debug, Default)]
struct Ailment {
    /// It hangs, is down, or refuses to write.
    is_ill: bool,
    /// Its connections are disturbed.
    is_disturbed: bool,
    /// They are disturbed for so long that it counts as ill.
    is_cut_off: bool,
    forgot: Option<Duration>,
}

impl Promise {
    /// Servers that answer who asks them directly.
    pub(crate) fn well(&self) -> Vec<usize> {
        (0..SERVERS).filter(|i| !self.ailments[*i].is_ill).collect()
    }

    /// Servers that may fall ill, and how many of them at once.
    pub(crate) fn may_fall_ill(&self) -> (Vec<usize>, usize) {
        (self.well(), self.left())
    }

    /// Servers that may lose what they know and be down meanwhile.
    pub(crate) fn may_restart(&self) -> Vec<usize> {
        let able = |i: &usize| self.may_forget(*i) && self.left() > 0;
        self.well().into_iter().filter(able).collect()
    }

    /// May this server lose what it knows?
    pub(crate) fn may_forget(&self, i: usize) -> bool {
        let recently = |ailment: &Ailment| ailment.forgot.is_some_and(|moment| clock::since(moment) < MEMORY);
        recently(&self.ailments[i]) || self.ailments.iter().filter(|ailment| recently(ailment)).count() < MINORITY
    }

    /// Servers whose connections may be disturbed for long, and how many of them at once.
    pub(crate) fn may_be_cut_off(&self) -> (Vec<usize>, usize) {
        (self.may_be_disturbed(), self.left())
    }

    /// Servers whose connections may be disturbed for a moment.
    pub(crate) fn may_be_disturbed(&self) -> Vec<usize> {
        (0..SERVERS).filter(|i| !self.ailments[*i].is_disturbed).collect()
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
        self.ailments[i].is_disturbed = true;
        self.ailments[i].is_cut_off = for_long;
    }

    pub(crate) fn is_connected(&mut self, i: usize) {
        self.ailments[i].is_disturbed = false;
        self.ailments[i].is_cut_off = false;
    }

    /// How many more servers may be silent.
    fn left(&self) -> usize {
        let silent = self.ailments.iter().filter(|ailment| ailment.is_ill || ailment.is_cut_off).count();
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
    assert_eq!(promise.may_restart(), [2, 3], "those that forgot may forget again, and nobody else");
    assert_eq!(promise.may_be_disturbed(), [0, 1, 2, 3, 4], "a moment is allowed everywhere");
}
