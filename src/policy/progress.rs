//! Telling a person what a long wait is for: not at once, and not again where nothing has changed.

use super::{Blocker, Notice, ProgressStyle};
use crate::lock::Time;
use std::time::Duration;

/// The mentions of one wait.
#[derive(Debug)]
pub(super) struct WaitProgress {
    how: ProgressStyle,
    /// When the next one is due, and what the last one said.
    at: Time,
    /// When the next one is due if the wait is for something else by then: for servers, or for a
    /// holder again.
    turn_at: Time,
    said: Option<(Blocker, Option<u32>)>,
}

impl WaitProgress {
    /// How long a wait lasts before it is mentioned.
    pub(super) const SILENCE: Duration = Duration::from_secs(1);
    /// How often there can be news of it.
    pub(super) const NEWS_EVERY: Duration = Duration::from_secs(30);
    /// How soon after the last mention the servers' falling silent, or their return, is mentioned.
    const TURN_EVERY: Duration = Duration::from_secs(5);

    /// Those of a wait that begins at `begin`.
    pub(super) fn new(how: ProgressStyle, begin: Time) -> Self {
        Self { how, at: begin.plus(Self::SILENCE), turn_at: Time::NEVER, said: None }
    }

    /// When to call [`WaitProgress::due`] next, if there is a wait by then.
    pub(super) const fn wake_at(&self) -> Time {
        self.at
    }

    /// What to tell at `now` of what is in the way and of how many wait before us, if anything.
    pub(super) fn due(
        &mut self,
        now: Time,
        wait: impl FnOnce() -> Option<(Blocker, Option<u32>)>,
    ) -> Option<Notice> {
        if now < self.at.min(self.turn_at) {
            return None;
        }
        let wait = wait()?;
        let is_turn = self.said.as_ref().is_some_and(|said| is_holder(said) != is_holder(&wait));
        if now < self.at && !is_turn {
            return None;
        }
        let (every, is_live) = match self.how {
            ProgressStyle::News => (Self::NEWS_EVERY, false),
            ProgressStyle::Live => (Self::SILENCE, true),
        };
        self.at = now.plus(every);
        self.turn_at = now.plus(Self::TURN_EVERY);
        if !is_live && !is_turn && self.said.as_ref().is_some_and(|said| news(said) == news(&wait))
        {
            return None;
        }
        let (blocker, place) = self.said.insert(wait).clone();
        Some(Notice::Waiting { blocker, place })
    }

    /// What to tell when the wait is over, if it was mentioned.
    pub(super) fn end(&mut self) -> Option<Notice> {
        self.said.take().map(|_| Notice::Waited)
    }
}

fn is_holder((blocker, _): &(Blocker, Option<u32>)) -> bool {
    matches!(blocker, Blocker::Holder(_))
}

/// What of a mention would be worth another one: a lease that runs down is not.
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
    fn servers_that_fall_silent_behind_a_holder_are_news_within_seconds() {
        let mut progress = WaitProgress::new(ProgressStyle::News, at(0));
        let holder = || Some((Blocker::Holder(None), None));
        let servers = || Some((Blocker::Instances(vec![]), None));
        for (second, wait, is_told) in [
            (1, holder(), true),
            (3, servers(), false),
            (6, servers(), true),
            (8, holder(), false),
            (9, servers(), false),
            (11, holder(), true),
            (20, holder(), false),
        ] {
            let told = progress.due(at(second), || wait.clone());
            assert_eq!(told.is_some(), is_told, "{second}: {wait:?}");
        }
    }
}
