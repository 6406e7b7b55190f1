//! Waiting until nobody holds a lock, without taking it.

use super::mention::Mentions;
use super::{Blocker, Mention, Notice, Outcome, Patience};
use crate::lock::{ClusterSize, Failure, Sample, Sighting, Tally, Time, Verdict, Vote, Watched, part};
use std::time::Duration;

/// What to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Watching {
    /// Wait for an answer or for [`Vigil::wake_at`].
    Wait,
    /// Ask all instances what is in the way.
    Look,
    /// Nobody holds it, or one of its slots, as a majority says.
    Free,
    /// Leave.
    GiveUp(Outcome),
}

/// One wait: looks at all instances again and again.
#[derive(Debug)]
pub struct Vigil {
    size: ClusterSize,
    op_timeout: Duration,
    patience: Patience,
    slots: u32,
    holder: Option<Sighting>,
    /// What the last look found in the way.
    blocker: Option<Blocker>,
    mentions: Mentions,
    state: State,
}

#[derive(Debug)]
enum State {
    Pausing {
        until: Time,
    },
    /// With what is said of each slot.
    Looking {
        until: Time,
        tallies: Vec<Tally>,
    },
}

impl Vigil {
    /// The longest pause between two looks.
    const PAUSE: Duration = Duration::from_millis(500);
    /// The shortest.
    const PAUSE_MIN: Duration = Duration::from_millis(10);

    /// A wait for one of `slots` that begins at `now` and has not looked yet.
    #[must_use]
    pub fn new(
        size: ClusterSize,
        op_timeout: Duration,
        patience: Patience,
        slots: u32,
        mention: Mention,
        now: Time,
    ) -> Self {
        let mentions = Mentions::new(mention, now);
        let state = State::Pausing { until: now };
        Self { size, op_timeout, patience, slots: slots.max(1), holder: None, blocker: None, mentions, state }
    }

    /// When to call [`Vigil::woke`] and [`Vigil::mention`] at the latest.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        let (State::Pausing { until } | State::Looking { until, .. }) = &self.state;
        if self.blocker.is_some() { self.mentions.wake_at().min(*until) } else { *until }
    }

    /// What to tell at `now` of what is in the way, if anything.
    pub fn mention(&mut self, now: Time) -> Option<Notice> {
        self.mentions.due(now, || Some((self.blocker.clone()?, None)))
    }

    /// What to tell when the wait is over, if anything.
    pub fn end(&mut self) -> Option<Notice> {
        self.mentions.end()
    }

    /// The time is `now`.
    pub fn woke(&mut self, now: Time, sample: Sample) -> Watching {
        match &mut self.state {
            State::Pausing { until } if now >= *until => {
                let until = now.plus(self.op_timeout);
                self.state =
                    State::Looking { until, tallies: (0..self.slots).map(|_| Tally::new(self.size)).collect() };
                Watching::Look
            }
            State::Looking { until, tallies } if now >= *until => {
                for tally in tallies {
                    let _ = tally.time_out();
                }
                self.decide(now, sample)
            }
            _ => Watching::Wait,
        }
    }

    /// `instance` said what is in the way.
    pub fn seen(&mut self, now: Time, sample: Sample, instance: usize, watched: Watched) -> Watching {
        let State::Looking { tallies, .. } = &mut self.state else { return Watching::Wait };
        for (slot, tally) in (0..).zip(tallies) {
            let vote = match &watched {
                Watched::Seen(view) if !view.free.contains(&slot) => Vote::Denied,
                Watched::Seen(view) => view.doubt.clone().map_or(Vote::Granted, Vote::Unknown),
                Watched::Unknown(why) => Vote::Unknown(why.clone()),
            };
            let _ = tally.record(instance, vote);
        }
        if let Watched::Seen(view) = watched {
            self.holder = view.holder.or(self.holder.take());
        }
        self.decide(now, sample)
    }

    fn decide(&mut self, now: Time, sample: Sample) -> Watching {
        let State::Looking { tallies, .. } = &self.state else { return Watching::Wait };
        let is = |verdict| move |tally: &&Tally| tally.verdict() == verdict;
        if tallies.iter().find(is(Verdict::Granted)).is_some() {
            return Watching::Free;
        }
        if tallies.iter().find(is(Verdict::Pending)).is_some() {
            return Watching::Wait;
        }
        // Whether an instance is known to say anything is the same for all.
        let Some(tally) = tallies.first() else { return Watching::Wait };
        let votes = || tally.votes().map(Option::<&Vote>::cloned).collect();
        let outcome = match tally.failure() {
            Failure::Refused(kind) => return Watching::GiveUp(Outcome::Refused(kind, votes())),
            Failure::Contended => Outcome::Busy(self.holder.clone()),
            Failure::NoQuorum | Failure::TooLate | Failure::SameServer(..) => Outcome::NoQuorum(votes()),
        };
        self.blocker = match &outcome {
            Outcome::Busy(holder) => Some(Blocker::Holder(holder.clone())),
            Outcome::NoQuorum(votes) => Some(Blocker::Instances(votes.clone())),
            _ => None,
        };
        let left = self.holder.as_ref().and_then(|holder| holder.left).unwrap_or(Self::PAUSE);
        let pause = Self::PAUSE_MIN + left.min(Self::PAUSE) + part(Self::PAUSE_MIN, sample);
        let until = match self.patience {
            Patience::Once => return Watching::GiveUp(outcome),
            Patience::Until(end) if now >= end => return Watching::GiveUp(outcome),
            Patience::Until(end) => now.plus(pause).min(end),
            Patience::Forever => now.plus(pause),
        };
        self.state = State::Pausing { until };
        Watching::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::{Refusal, Unknown, View};

    fn at(millis: u64) -> Time {
        Time::default().plus(Duration::from_millis(millis))
    }

    fn held(left: u64) -> Watched {
        let holder = Sighting { value: "x".into(), left: Some(Duration::from_millis(left)) };
        Watched::Seen(View { free: vec![], holder: Some(holder), place: None, doubt: None })
    }

    fn free() -> Watched {
        Watched::Seen(View { free: vec![0], holder: None, place: None, doubt: None })
    }

    fn unknown() -> Watched {
        Watched::Unknown(Unknown::TimedOut)
    }

    fn looking(patience: Patience, answers: &[Watched]) -> (Vigil, Watching) {
        looking_for(1, patience, answers)
    }

    fn looking_for(slots: u32, patience: Patience, answers: &[Watched]) -> (Vigil, Watching) {
        let (size, limit) = (ClusterSize::redlock(5).unwrap(), Duration::from_millis(100));
        let mut vigil = Vigil::new(size, limit, patience, slots, Mention::News, at(0));
        assert_eq!(vigil.woke(at(0), 0), Watching::Look);
        let mut last = Watching::Wait;
        for (instance, watched) in answers.iter().enumerate() {
            last = vigil.seen(at(1), 0, instance, watched.clone());
        }
        (vigil, last)
    }

    #[test]
    fn a_majority_says_that_it_is_free() {
        assert_eq!(looking(Patience::Once, &[held(9), free(), free()]).1, Watching::Wait);
        assert_eq!(looking(Patience::Once, &[held(9), free(), free(), unknown(), free()]).1, Watching::Free);
    }

    #[test]
    fn one_slot_is_free_where_a_majority_says_so_of_the_same_one() {
        let slots = |free: &[u32]| {
            let holder = Sighting { value: "x".into(), left: Some(Duration::from_secs(9)) };
            Watched::Seen(View { free: free.to_vec(), holder: Some(holder), ..View::default() })
        };
        for (label, answers, expected) in [
            ("none", [slots(&[]), slots(&[]), slots(&[]), slots(&[]), slots(&[])], false),
            ("each another", [slots(&[0]), slots(&[1]), slots(&[2]), slots(&[0]), slots(&[1])], false),
            ("the last", [slots(&[]), slots(&[2]), slots(&[]), slots(&[0, 2]), slots(&[2])], true),
        ] {
            let (_, last) = looking_for(3, Patience::Once, &answers);
            let is_free = last == Watching::Free;
            assert!(is_free || matches!(last, Watching::GiveUp(Outcome::Busy(Some(_)))), "{label}: {last:?}");
            assert_eq!(is_free, expected, "{label}");
        }
    }

    #[test]
    fn what_a_restarted_instance_says_is_free_may_be_forgotten() {
        let why = || Unknown::Restarted { up: Duration::ZERO, votes_in: Duration::from_secs(1) };
        let doubtful = || Watched::Seen(View { free: vec![0], doubt: Some(why()), ..View::default() });
        let (_, last) = looking(Patience::Once, &[held(9), held(9), free(), doubtful(), doubtful()]);
        assert!(matches!(last, Watching::GiveUp(Outcome::Busy(Some(_)))), "{last:?}");
        let (_, last) = looking(Patience::Once, &[free(), doubtful(), doubtful(), doubtful(), doubtful()]);
        assert!(
            matches!(&last, Watching::GiveUp(Outcome::NoQuorum(votes)) if votes.contains(&Some(Vote::Unknown(why())))),
            "{last:?}"
        );
    }

    #[test]
    fn a_wait_is_mentioned_after_a_second_and_its_end_only_then() {
        let (mut vigil, _) = looking(Patience::Forever, &[held(9_000), held(9_000), held(9_000)]);
        assert_eq!((vigil.mention(at(999)), vigil.end()), (None, None));
        let (mut vigil, _) = looking(Patience::Forever, &[held(9_000), held(9_000), held(9_000)]);
        assert!(vigil.wake_at() < at(1_000));
        assert_eq!(vigil.woke(at(900), 0), Watching::Look);
        assert_eq!(vigil.wake_at(), at(1_000));
        assert!(matches!(
            vigil.mention(at(1_000)),
            Some(Notice::Waiting { blocker: Blocker::Holder(Some(_)), place: None })
        ));
        assert_eq!(vigil.end(), Some(Notice::Waited));
    }

    #[test]
    fn whoever_does_not_wait_leaves_with_what_is_known() {
        let refused = || Watched::Unknown(Unknown::Refused(Refusal::Access, "no".into()));
        for (label, answers, is_right) in [
            (
                "busy",
                vec![held(9), held(9), held(9)],
                (|o| matches!(o, Outcome::Busy(Some(_)))) as fn(&Outcome) -> bool,
            ),
            ("no quorum", vec![free(), free(), unknown(), unknown(), unknown()], |o| matches!(o, Outcome::NoQuorum(_))),
            ("refused", vec![refused(), refused(), refused()], |o| matches!(o, Outcome::Refused(Refusal::Access, _))),
        ] {
            let Watching::GiveUp(outcome) = looking(Patience::Once, &answers).1 else { panic!("{label}") };
            assert!(is_right(&outcome), "{label}: {outcome:?}");
        }
    }

    #[test]
    fn it_looks_again_when_the_lease_is_over_or_half_a_second_later_and_leaves_when_its_time_is_over() {
        for (left, pause) in [(40, 50), (20_000, 510)] {
            let (vigil, last) = looking(Patience::Forever, &[held(left), held(left), held(left)]);
            assert_eq!((last, vigil.wake_at()), (Watching::Wait, at(1 + pause)), "{left}");
        }
        let (mut vigil, _) = looking(Patience::Until(at(200)), &[held(9_000), held(9_000), held(9_000)]);
        assert_eq!(vigil.wake_at(), at(200));
        assert_eq!(vigil.woke(at(200), 0), Watching::Look, "once more at the end");
        assert_eq!(vigil.wake_at(), at(300));
        assert!(matches!(vigil.woke(at(300), 0), Watching::GiveUp(Outcome::NoQuorum(_))), "nobody answered");
    }

    #[test]
    fn an_early_wake_up_neither_looks_nor_gives_up() {
        let (mut hasty, _) = looking(Patience::Once, &[held(40), held(40)]);
        assert_eq!(hasty.woke(at(99), 0), Watching::Wait, "the others may answer yet");
        let (mut vigil, _) = looking(Patience::Forever, &[held(40), held(40)]);
        assert_eq!(vigil.seen(at(99), 0, 2, held(40)), Watching::Wait);
        assert_eq!(vigil.wake_at(), at(99 + 50));
        assert_eq!(vigil.woke(at(148), 0), Watching::Wait, "nothing has changed yet");
        assert_eq!(vigil.woke(at(149), 0), Watching::Look);
    }

    #[test]
    fn those_who_wait_for_the_same_lock_do_not_all_look_at_once() {
        let pauses = [0, Sample::MAX].map(|sample| {
            let (mut vigil, _) = looking(Patience::Forever, &[held(40), held(40)]);
            assert_eq!(vigil.seen(at(1), sample, 2, held(40)), Watching::Wait);
            vigil.wake_at()
        });
        let apart = pauses[1].since(pauses[0]);
        assert!(apart > Duration::from_millis(9) && apart < Duration::from_millis(11), "{apart:?}");
    }
}
