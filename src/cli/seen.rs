//! A lock as the instances of a cluster show it, for the operator's verbs.

use crate::lock::{ClusterSize, KeyView, LockState, QueueView};
use crate::policy::untold_code;

/// One lock as the instances show it.
#[derive(Debug)]
pub(super) struct LockSeen {
    pub(super) name: String,
    pub(super) key: String,
    pub(super) slots: Vec<SlotSeen>,
    pub(super) queue: QueueView,
}

/// One slot of a lock, or a lock without slots.
#[derive(Debug)]
pub(super) struct SlotSeen {
    pub(super) key: String,
    pub(super) state: LockState,
    /// The view of each instance.
    pub(super) views: Vec<KeyView>,
}

/// The state of a lock with all its slots.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Overall {
    /// A run could take a slot.
    Free,
    /// Every slot is held.
    Held,
    Undetermined,
}

impl LockSeen {
    /// The state of the lock as a whole.
    pub(super) fn overall(&self) -> Overall {
        let is_free = |slot: &SlotSeen| slot.state == LockState::Free;
        let is_held = |slot: &SlotSeen| matches!(slot.state, LockState::Held(_));
        if self.slots.iter().any(is_free) {
            Overall::Free
        } else if self.slots.iter().all(is_held) {
            Overall::Held
        } else {
            Overall::Undetermined
        }
    }

    /// The exit code for an undetermined lock: that of a permanent error if such errors rule a
    /// quorum out, and otherwise that of no quorum.
    pub(super) fn doubt_code(&self, size: ClusterSize) -> u8 {
        let views = self.slots.first().map(|slot| slot.views.as_slice()).unwrap_or_default();
        let reasons = views.iter().filter_map(|view| match view {
            KeyView::Unknown(reason) => Some(reason),
            KeyView::Held(_) | KeyView::Free | KeyView::Abstains(_) => None,
        });
        untold_code(size, reasons)
    }
}
