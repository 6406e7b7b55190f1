//! Waiting until nobody holds a lock, without taking it.

use super::{Outcome, Patience};
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
    /// Nobody holds it, as a majority says.
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
    holder: Option<Sighting>,
    state: State,
}

#[derive(Debug)]
enum State {
    Pausing { until: Time },
    Looking { until: Time, tally: Tally },
}

impl Vigil {
    /// The longest pause between two looks.
    const PAUSE: Duration = Duration::from_millis(500);
    /// The shortest.
    const PAUSE_MIN: Duration = Duration::from_millis(10);

    /// A wait that has not looked yet.
    #[must_use]
    pub fn new(size: ClusterSize, op_timeout: Duration, patience: Patience) -> Self {
        Self { size, op_timeout, patience, holder: None, state: State::Pausing { until: Time::default() } }
    }

    /// When to call [`Vigil::woke`] at the latest.
    #[must_use]
    pub const fn wake_at(&self) -> Time {
        match &self.state {
            State::Pausing { until } | State::Looking { until, .. } => *until,
        }
    }

    /// The time is `now`.
    pub fn woke(&mut self, now: Time, sample: Sample) -> Watching {
        match &mut self.state {
            State::Pausing { until } if now >= *until => {
                let until = now.plus(self.op_timeout);
                self.state = State::Looking { until, tally: Tally::new(self.size) };
                Watching::Look
            }
            State::Looking { until, tally } if now >= *until => {
                let _ = tally.time_out();
                self.decide(now, sample)
            }
            _ => Watching::Wait,
        }
    }

    /// `instance` said what is in the way.
    pub fn seen(&mut self, now: Time, sample: Sample, instance: usize, watched: Watched) -> Watching {
        let State::Looking { tally, .. } = &mut self.state else { return Watching::Wait };
        let vote = match watched {
            Watched::Seen(view) if view.free.is_empty() => {
                self.holder = view.holder;
                Vote::Denied
            }
            Watched::Seen(_) => Vote::Granted,
            Watched::Unknown(why) => Vote::Unknown(why),
        };
        let _ = tally.record(instance, vote);
        self.decide(now, sample)
    }

    fn decide(&mut self, now: Time, sample: Sample) -> Watching {
        let State::Looking { tally, .. } = &self.state else { return Watching::Wait };
        match tally.verdict() {
            Verdict::Pending => return Watching::Wait,
            Verdict::Granted => return Watching::Free,
            Verdict::Failed => {}
        }
        let votes = || tally.votes().map(Option::<&Vote>::cloned).collect();
        let outcome = match tally.failure() {
            Failure::Refused(kind) => return Watching::GiveUp(Outcome::Refused(kind, votes())),
            Failure::Contended => Outcome::Busy(self.holder.clone()),
            Failure::NoQuorum | Failure::TooLate | Failure::SameServer(..) => Outcome::NoQuorum(votes()),
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
        Watched::Seen(View { free: vec![], holder: Some(holder), place: None })
    }

    fn free() -> Watched {
        Watched::Seen(View { free: vec![0], holder: None, place: None })
    }

    fn unknown() -> Watched {
        Watched::Unknown(Unknown::TimedOut)
    }

    fn looking(patience: Patience, answers: &[Watched]) -> (Vigil, Watching) {
        let mut vigil = Vigil::new(ClusterSize::redlock(5).unwrap(), Duration::from_millis(100), patience);
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
