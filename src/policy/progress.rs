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
    said: Option<(Blocker, Option<u32>)>,
}

impl WaitProgress {
    /// How long a wait lasts before it is mentioned.
    pub(super) const SILENCE: Duration = Duration::from_secs(1);
    /// How often there can be news of it.
    pub(super) const NEWS_EVERY: Duration = Duration::from_secs(30);

    /// Those of a wait that begins at `begin`.
    pub(super) fn new(how: ProgressStyle, begin: Time) -> Self {
        Self { how, at: begin.plus(Self::SILENCE), said: None }
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
        if now < self.at {
            return None;
        }
        let wait = wait()?;
        let (every, is_live) = match self.how {
            ProgressStyle::News => (Self::NEWS_EVERY, false),
            ProgressStyle::Live => (Self::SILENCE, true),
        };
        self.at = now.plus(every);
        if !is_live && self.said.as_ref().is_some_and(|said| news(said) == news(&wait)) {
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

/// What of a mention would be worth another one: a lease that runs down is not.
fn news((blocker, place): &(Blocker, Option<u32>)) -> (Option<&str>, Option<u32>) {
    match blocker {
        Blocker::Holder(holder) => (holder.as_ref().map(|holder| holder.value.as_str()), *place),
        Blocker::Instances(_) => (None, *place),
    }
}
