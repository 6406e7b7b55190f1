//! The state of locks in words.

use super::super::duration::brief;
use super::super::seen::{LockSeen, Overall, SlotSeen};
use super::describe::unknown;
use super::holder::{ago, lease, safe};
use crate::instance::Endpoint;
use crate::lock::{
    Doubt, HeldBy, KeyView, LockState, LockValue, ObservedHolder, QueueView, Revocation, digest,
};
use std::fmt::Write as _;
use std::time::Duration;

/// The common data of the text of `redlock status`.
pub(in super::super) struct Listing<'a> {
    pub(in super::super) servers: &'a [Endpoint],
    /// The wall clock, since 1970.
    pub(in super::super) now: Duration,
    /// Whether each server's view is shown, also if equal to that of the quorum.
    pub(in super::super) verbose: bool,
}

impl Listing<'_> {
    /// All locks, one after the other.
    pub(in super::super) fn locks(&self, locks: &[LockSeen]) -> String {
        locks.iter().map(|lock| self.lock(lock)).collect()
    }

    fn lock(&self, lock: &LockSeen) -> String {
        let mut text = format!("{}: ", safe(&lock.name));
        match lock.slots.as_slice() {
            [slot] => {
                text += &self.slot(slot, "  ");
                text += &self.queue(&lock.queue);
                text += &slots_hint(slot);
            }
            slots => {
                let count = |is: fn(&LockState) -> bool| {
                    slots.iter().filter(|slot| is(&slot.state)).count()
                };
                let held = count(|state| matches!(state, LockState::Held(_)));
                let free = count(|state| *state == LockState::Free);
                let overall = match lock.overall() {
                    Overall::Free => "free",
                    Overall::Held => "held",
                    Overall::Undetermined => "undetermined",
                };
                let _ =
                    writeln!(text, "{overall}: of {} slots {held} held, {free} free", slots.len());
                for (number, slot) in slots.iter().enumerate() {
                    if self.verbose || slot.state != LockState::Free {
                        let _ = write!(text, "  slot {}: {}", number + 1, self.slot(slot, "    "));
                    }
                }
                text += &self.queue(&lock.queue);
            }
        }
        text
    }

    /// The state of one slot, and the servers that show another state.
    fn slot(&self, slot: &SlotSeen, indent: &str) -> String {
        let mut text = match &slot.state {
            LockState::Held(by) => self.held(by, indent),
            LockState::Free => "free\n".into(),
            LockState::Undetermined(doubt) => format!("undetermined: {}\n", why(*doubt)),
        };
        for (server, view) in self.servers.iter().zip(&slot.views) {
            if self.verbose || !is_ordinary(view, &slot.state) {
                let _ = writeln!(text, "{indent}{server}: {}", safe(&self.view(view, &slot.state)));
            }
        }
        text
    }

    fn held(&self, by: &HeldBy, indent: &str) -> String {
        let left = lease(&ObservedHolder { value: by.value.clone(), left: by.left });
        let Some(value) = by.lock_value() else {
            return format!(
                "held by another client, {left}\n{indent}value {}\n",
                digest(&by.value)
            );
        };
        let mut text =
            format!("held for {} by {}, {left}", self.since(value.since), person(&value));
        if is_kept(by, &value) {
            text += ", kept by --min-hold or --cooldown";
        }
        let _ = write!(text, "\n{indent}id {}", safe(&value.id));
        if let Some(token) = value.fence {
            let _ = write!(text, ", fencing token {token}");
        }
        if let Some(reason) = &value.reason {
            let _ = write!(text, ", reason: {}", safe(reason));
        }
        text + "\n"
    }

    fn since(&self, seconds: u64) -> String {
        brief(ago(self.now, Duration::from_secs(seconds)))
    }

    fn queue(&self, queue: &QueueView) -> String {
        let first = queue.first.as_ref().map(|first| {
            format!(
                ", the first for {} (id {})",
                brief(ago(self.now, first.since)),
                safe(&first.id)
            )
        });
        match (queue.waiting, first.unwrap_or_default()) {
            (0, _) => String::new(),
            (1, first) => format!("  1 waits{first}\n"),
            (many, first) => format!("  {many} wait{first}\n"),
        }
    }

    /// One server's view of a key.
    fn view(&self, view: &KeyView, state: &LockState) -> String {
        match (view, state) {
            (KeyView::Held(holder), LockState::Held(by))
                if Revocation::same_holder(&holder.value, &by.value) =>
            {
                let is_left_out =
                    holder.value != by.value && Revocation::parse(&by.value).is_some();
                let words = if is_left_out { "not revoked, " } else { "" };
                format!("the same, {words}{}", lease(holder))
            }
            (KeyView::Held(holder), _) => {
                let whose = match LockValue::parse(&holder.value) {
                    Some(value) => {
                        format!(
                            "{} for {}, id {}",
                            person(&value),
                            self.since(value.since),
                            value.id
                        )
                    }
                    None => format!("another client, value {}", digest(&holder.value)),
                };
                let remnant = if matches!(state, LockState::Undetermined(_)) {
                    ""
                } else {
                    "remnant on a minority: "
                };
                format!("{remnant}held by {whose}, {}", lease(holder))
            }
            (KeyView::Free, _) => "free".into(),
            (KeyView::Abstains(why), _) => format!("free, but has no vote: {}", unknown(why)),
            (KeyView::Unknown(why), _) => unknown(why),
        }
    }
}

/// Whether a view agrees with the state that the quorum shows.
fn is_ordinary(view: &KeyView, state: &LockState) -> bool {
    match (view, state) {
        (KeyView::Held(holder), LockState::Held(by)) => holder.value == by.value,
        (KeyView::Free, LockState::Free) => true,
        _ => false,
    }
}

/// Whether `--min-hold` or `--cooldown` keeps the key: it has more time left than an extension
/// gives.
pub(in super::super) fn is_kept(by: &HeldBy, value: &LockValue) -> bool {
    by.left.is_some_and(|left| left > Duration::from_millis(value.ttl_ms))
}

/// The hint to give `--slots`, if the holder of the only slot that was looked at has more than one.
fn slots_hint(slot: &SlotSeen) -> String {
    let values = slot.views.iter().filter_map(|view| match view {
        KeyView::Held(holder) => LockValue::parse(&holder.value),
        _ => None,
    });
    let most = values.map(|value| value.slots).max().unwrap_or(1);
    if most > 1 {
        format!("  this is the first of {most} slots; for all, give --slots {most}\n")
    } else {
        String::new()
    }
}

/// Owner, program and process of a holder.
pub(in super::super) fn person(value: &LockValue) -> String {
    format!("{} ({}, pid {})", safe(&value.owner), safe(&value.cmd), value.pid)
}

fn why(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::TooFewAnswers => "too few servers tell",
        Doubt::SplitVote => "several have it on some servers each, and none on a majority",
        Doubt::Minority => "one has it on a minority, and too few other servers tell",
        Doubt::MayHaveForgotten => "servers that see it free may have forgotten a holder",
    }
}
