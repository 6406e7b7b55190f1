//! Number of attempts that a free lock may lead to.
//!
//! Another run may be faster each time, so a few denied attempts in a row are normal. Instances that
//! show a held lock as free must not lead to attempts without end.

use crate::lock::Time;
use std::time::Duration;

/// The attempts of one contender for a lock that a quorum showed as free.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AttemptBudget {
    /// Moment at which no past attempt counts any more.
    spent_until: Time,
}

impl AttemptBudget {
    /// Time for which an attempt counts. The times of several attempts follow each other.
    const EVERY: Duration = Duration::from_millis(250);
    /// Number of attempts that may count at a time, with one slot. Each further slot adds one.
    const AT_ONCE: u32 = 8;

    /// Counts an attempt at `now` for one of `slots`.
    ///
    /// # Errors
    /// When too many attempts count. Returns the moment at which the next attempt may begin.
    pub(super) fn spend(&mut self, now: Time, slots: u32) -> Result<(), Time> {
        let most = slots.max(1).saturating_add(Self::AT_ONCE - 1);
        let earliest = self.spent_until.minus(Self::EVERY.saturating_mul(most - 1));
        if now < earliest {
            return Err(earliest);
        }
        self.spent_until = self.spent_until.max(now).plus(Self::EVERY);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::default().plus(Duration::from_millis(millis))
    }

    /// The number of attempts from `begin` to `end`, with one each millisecond if possible.
    fn attempts(budget: &mut AttemptBudget, slots: u32, begin: u64, end: u64) -> usize {
        (begin..end).filter(|millis| budget.spend(at(*millis), slots).is_ok()).count()
    }

    #[test]
    fn a_few_attempts_follow_at_once_and_then_four_each_second() {
        let mut budget = AttemptBudget::default();
        assert_eq!(attempts(&mut budget, 1, 10_000, 10_008), 8, "at once");
        assert_eq!(budget.spend(at(10_008), 1), Err(at(10_250)));
        assert_eq!(attempts(&mut budget, 1, 10_008, 11_008), 4, "in the next second");
        assert_eq!(attempts(&mut budget, 1, 20_000, 20_008), 8, "after a pause");
    }

    #[test]
    fn attempts_that_are_spread_out_are_never_delayed() {
        let mut budget = AttemptBudget::default();
        for number in 0..1_000 {
            assert_eq!(budget.spend(at(number * 250), 1), Ok(()), "{number}");
        }
    }

    #[test]
    fn each_slot_may_be_tried() {
        for (slots, expected) in [(0, 8), (1, 8), (20, 27)] {
            assert_eq!(attempts(&mut AttemptBudget::default(), slots, 0, 100), expected, "{slots}");
        }
        assert_eq!(AttemptBudget::default().spend(at(0), u32::MAX), Ok(()));
    }
}
