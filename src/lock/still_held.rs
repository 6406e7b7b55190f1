//! Whether a run that holds a lock is certain to hold it for some time more, by the replies of the
//! instances.

use super::{Answer, ClusterSize, KeyView, LockValue, Time, Ttl};
use std::time::Duration;

/// Whether the instances still show a lock as held by a certain run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StillHeld {
    /// A quorum keeps the key for at least this long.
    For(Duration),
    /// Instances that did not answer decide.
    Undetermined,
    /// No quorum can keep the key long enough; this is how long one keeps it as far as is known.
    Not(Duration),
}

impl StillHeld {
    /// The verdict at `now`, from `views`, on the run with this public name. The run wants the lock
    /// for `wanted` more, by default for a third of its TTL.
    ///
    /// A lease is counted from before its request was sent, and less the drift.
    #[must_use]
    pub fn of<T>(
        size: ClusterSize,
        id: &str,
        wanted: Option<Duration>,
        (views, answers): (&[KeyView], &[Answer<T>]),
        now: Time,
    ) -> Self {
        let own = |view: &KeyView| match view {
            KeyView::Held(holder) => {
                LockValue::held_by(id, &holder.value).map(|value| (holder.left, value.ttl_ms))
            }
            _ => None,
        };
        let ttl = views.iter().find_map(|view| own(view).map(|(_, ttl_ms)| ttl_ms));
        let ttl = Duration::from_millis(ttl.unwrap_or_default());
        let drift = Ttl::new(ttl).map_or(Duration::ZERO, Ttl::drift);
        let wanted = wanted.unwrap_or(ttl / 3);
        let leases = |of_unknown: Duration| {
            let lease = |(view, answer): (&KeyView, &Answer<T>)| match (view, own(view)) {
                (KeyView::Unknown(_), _) => of_unknown,
                (_, Some((left, _))) => left
                    .unwrap_or(Duration::MAX)
                    .saturating_sub(now.since(answer.sent))
                    .saturating_sub(drift),
                _ => Duration::ZERO,
            };
            let mut leases: Vec<Duration> = views.iter().zip(answers).map(lease).collect();
            leases.sort_unstable_by(|one, other| other.cmp(one));
            leases.get(size.quorum() - 1).copied().unwrap_or_default()
        };
        let certain = leases(Duration::ZERO);
        if certain >= wanted && certain > Duration::ZERO {
            Self::For(certain)
        } else if leases(Duration::MAX) >= wanted.max(Duration::from_nanos(1)) {
            Self::Undetermined
        } else {
            Self::Not(certain)
        }
    }

    /// The verdict on several locks together: the first that is not held, or else one that is not
    /// known, or else the shortest.
    #[must_use]
    pub fn of_all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        let rank = |verdict: &Self| match verdict {
            Self::Not(_) => (0, Duration::ZERO),
            Self::Undetermined => (1, Duration::ZERO),
            Self::For(length) => (2, *length),
        };
        verdicts.into_iter().min_by_key(rank).unwrap_or(Self::For(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::{NoVoteReason, ObservedHolder};

    fn held_by(id: &str, seconds: u64) -> KeyView {
        let value = format!(
            "{{\"v\":1,\"id\":\"{id}\",\"token\":\"\",\"owner\":\"\",\"pid\":1,\"cmd\":\"\",\"since\":0,\"ttl_ms\":30000,\"n\":3}}"
        );
        KeyView::Held(ObservedHolder { value, left: Some(Duration::from_secs(seconds)) })
    }

    #[test]
    fn of_several_locks_one_that_is_not_held_decides_and_then_one_that_is_not_known() {
        use StillHeld::{For, Not, Undetermined};
        let [one, two] = [1, 2].map(Duration::from_secs);
        for (verdicts, expected) in [
            (vec![For(two), For(one)], For(one)),
            (vec![For(one), Undetermined], Undetermined),
            (vec![Undetermined, Not(two), Not(one), For(one)], Not(two)),
        ] {
            assert_eq!(StillHeld::of_all(verdicts.clone()), expected, "{verdicts:?}");
        }
    }

    #[test]
    fn a_quorum_of_leases_less_the_way_and_the_drift_decides() {
        let dead = || KeyView::Unknown(NoVoteReason::TimedOut);
        let ours = |seconds| held_by("ours", seconds);
        let left = |millis| StillHeld::For(Duration::from_millis(millis));
        let not = |millis| StillHeld::Not(Duration::from_millis(millis));
        // Each answer took a second, and the drift of 30 s is 302 ms.
        for (label, wanted, views, expected) in [
            ("all", None, [ours(30), ours(28), ours(20)], left(26_698)),
            ("a quorum", None, [ours(30), KeyView::Free, ours(20)], left(18_698)),
            ("too little", None, [ours(30), ours(11), ours(5)], not(9_698)),
            ("less is wanted", Some(5), [ours(30), ours(11), ours(5)], left(9_698)),
            ("nothing is wanted", Some(0), [KeyView::Free, KeyView::Free, KeyView::Free], not(0)),
            ("one decides", None, [ours(30), dead(), KeyView::Free], StillHeld::Undetermined),
            ("none tells", None, [dead(), dead(), dead()], StillHeld::Undetermined),
            ("another's", None, [held_by("x", 30), held_by("x", 30), ours(30)], not(0)),
            ("another's, one dead", None, [held_by("x", 30), KeyView::Free, dead()], not(0)),
        ] {
            let sent = Time::from_nanos(1 << 40);
            let answer = || Answer { sent, heard: sent, result: Ok(()) };
            let answers = [answer(), answer(), answer()];
            let size = ClusterSize::redlock(3).unwrap();
            let wanted = wanted.map(Duration::from_secs);
            let now = sent.plus(Duration::from_secs(1));
            let verdict = StillHeld::of(size, "ours", wanted, (&views, &answers), now);
            assert_eq!(verdict, expected, "{label}");
        }
    }
}
