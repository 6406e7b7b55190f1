//! Messages about a long wait: the first after a second, the next only if something has changed.

use super::{Blocker, Notice, ProgressStyle};
use crate::lock::Time;
use std::time::Duration;

/// The messages about one wait.
#[derive(Debug)]
pub(super) struct WaitProgress {
    style: ProgressStyle,
    next_at: Time,
    /// Next message if the reason of the wait has become another: a holder, or missing servers.
    turn_at: Time,
    /// Content of the last message.
    last: Option<(Blocker, Option<u32>)>,
}

impl WaitProgress {
    /// Length of a wait before the first message.
    pub(super) const SILENCE: Duration = Duration::from_secs(1);
    /// Least time between two messages of [`ProgressStyle::News`].
    pub(super) const NEWS_EVERY: Duration = Duration::from_secs(30);

    /// Least time between two messages if the reason of the wait has become another.
    const TURN_EVERY: Duration = Duration::from_secs(5);

    /// The messages about a wait that begins at `begin`.
    pub(super) fn new(style: ProgressStyle, begin: Time) -> Self {
        Self { style, next_at: begin.plus(Self::SILENCE), turn_at: Time::NEVER, last: None }
    }

    /// The moment at which [`WaitProgress::due`] may return a message.
    pub(super) const fn wake_at(&self) -> Time {
        self.next_at
    }

    /// The message that is due at `now`, if any. `wait` returns the reason of the wait and the
    /// number of contenders ahead.
    pub(super) fn due(
        &mut self,
        now: Time,
        wait: impl FnOnce() -> Option<(Blocker, Option<u32>)>,
    ) -> Option<Notice> {
        if now < self.next_at.min(self.turn_at) {
            return None;
        }
        let wait = wait()?;
        let is_turn = self.last.as_ref().is_some_and(|last| is_holder(last) != is_holder(&wait));
        if now < self.next_at && !is_turn {
            return None;
        }
        let (every, is_live) = match self.style {
            ProgressStyle::News => (Self::NEWS_EVERY, false),
            ProgressStyle::Live => (Self::SILENCE, true),
        };
        self.next_at = now.plus(every);
        self.turn_at = now.plus(Self::TURN_EVERY);
        if !is_live && !is_turn && self.last.as_ref().is_some_and(|last| news(last) == news(&wait))
        {
            return None;
        }
        let (blocker, place) = self.last.insert(wait).clone();
        Some(Notice::Waiting { blocker, place })
    }

    /// The message about the end of the wait, if the wait was ever reported.
    pub(super) fn end(&mut self) -> Option<Notice> {
        self.last.take().map(|_| Notice::Waited)
    }
}

fn is_holder((blocker, _): &(Blocker, Option<u32>)) -> bool {
    matches!(blocker, Blocker::Holder(_))
}

/// The parts of a message whose change is worth another message: the value of the holder and the
/// place. The TTL left is none of them.
fn news((blocker, place): &(Blocker, Option<u32>)) -> (Option<&str>, Option<u32>) {
    match blocker {
        Blocker::Holder(holder) => (holder.as_ref().map(|holder| holder.value.as_str()), *place),
        Blocker::Instances(_) => (None, *place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Time {
        Time::default().plus(Duration::from_secs(secs))
    }

    #[test]
    fn another_reason_of_the_wait_is_reported_within_seconds() {
        let mut progress = WaitProgress::new(ProgressStyle::News, at(0));
        let holder = || Some((Blocker::Holder(None), None));
        let servers = || Some((Blocker::Instances(vec![]), None));
        for (second, wait, is_reported) in [
            (1, holder(), true),
            (3, servers(), false),
            (6, servers(), true),
            (8, holder(), false),
            (9, servers(), false),
            (11, holder(), true),
            (20, holder(), false),
        ] {
            let notice = progress.due(at(second), || wait.clone());
            assert_eq!(notice.is_some(), is_reported, "{second}: {wait:?}");
        }
    }
}
