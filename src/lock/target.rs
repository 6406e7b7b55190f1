//! The keys of a run: one key, several keys at once, or one of several slots.

use super::Key;

/// The keys of a run. Several keys are one lock: an instance grants all of them in one step or none,
/// so two runs that name the same keys in different orders cannot block each other. With slots, a
/// run holds one of several numbered keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    kind: TargetKind,
    keys: Vec<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum TargetKind {
    All,
    OneOf,
}

impl Target {
    /// All of `keys` at once, without duplicates.
    #[must_use]
    pub fn all(keys: impl IntoIterator<Item = Key>) -> Self {
        let mut keys: Vec<String> = keys.into_iter().map(|key| key.as_str().to_owned()).collect();
        keys.sort_unstable();
        keys.dedup();
        Self { kind: TargetKind::All, keys }
    }

    /// One of `count` slots, at least one. The first slot is the key itself, so it excludes runs
    /// without slots. The others are `KEY#2`, `KEY#3` and so on.
    #[must_use]
    pub fn slots(key: &Key, count: u32) -> Self {
        let numbered = (2..=count).map(|number| format!("{}#{number}", key.as_str()));
        Self {
            kind: TargetKind::OneOf,
            keys: std::iter::once(key.as_str().to_owned()).chain(numbered).collect(),
        }
    }

    /// The number of slots. 1 for a lock without slots.
    #[must_use]
    pub fn slot_count(&self) -> u32 {
        match self.kind {
            TargetKind::All => 1,
            TargetKind::OneOf => u32::try_from(self.keys.len()).unwrap_or(u32::MAX),
        }
    }

    /// The keys of `slot`, counted from 0. All keys for a lock without slots.
    #[must_use]
    pub fn keys_of(&self, slot: u32) -> &[String] {
        let at = usize::try_from(slot).unwrap_or(usize::MAX);
        match self.kind {
            TargetKind::All => &self.keys,
            TargetKind::OneOf => self.keys.get(at..at.saturating_add(1)).unwrap_or_default(),
        }
    }

    /// The counters of the fence, one for each key.
    #[must_use]
    pub fn counters(&self) -> Vec<String> {
        self.keys.iter().map(|key| format!("redlock-fence:{key}")).collect()
    }

    /// All keys, of every slot.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The keys of the queues: one queue for each key, or one for all slots.
    #[must_use]
    pub fn queues(&self) -> Vec<String> {
        let keys = match self.kind {
            TargetKind::All => self.keys.as_slice(),
            TargetKind::OneOf => self.keys.get(..1).unwrap_or_default(),
        };
        keys.iter().map(|key| format!("redlock-queue:{key}")).collect()
    }

    /// The slot of `key`.
    #[must_use]
    pub fn slot_of(&self, key: &str) -> Option<u32> {
        let at = self.keys.iter().position(|own| own == key)?;
        match self.kind {
            TargetKind::All => Some(0),
            TargetKind::OneOf => u32::try_from(at).ok(),
        }
    }

    /// The free slots of an instance. `free` says which keys are free, in the order of
    /// [`Target::keys`].
    #[must_use]
    pub fn free_slots(&self, free: &[bool]) -> Vec<u32> {
        match self.kind {
            TargetKind::All if !free.is_empty() && free.iter().all(|free| *free) => vec![0],
            TargetKind::All => vec![],
            TargetKind::OneOf => {
                (0..).zip(free).filter(|(_, free)| **free).map(|(slot, _)| slot).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::literal(text).unwrap()
    }

    #[test]
    fn several_keys_are_one_lock_in_any_order() {
        let target = Target::all([key("b"), key("a"), key("b")]);
        assert_eq!(target, Target::all([key("a"), key("b")]));
        assert_eq!(
            (target.slot_count(), target.keys_of(0)),
            (1, ["a".to_owned(), "b".to_owned()].as_slice())
        );
        assert_eq!(target.queues(), ["redlock-queue:a", "redlock-queue:b"]);
        for (free, slots) in
            [([true, true], vec![0]), ([true, false], vec![]), ([false, false], vec![])]
        {
            assert_eq!(target.free_slots(&free), slots, "{free:?}");
        }
        assert_eq!((target.slot_of("b"), target.slot_of("c")), (Some(0), None));
    }

    #[test]
    fn each_key_has_a_counter_of_the_fence() {
        let target = Target::all([key("a"), key("b")]);
        assert_eq!(target.counters(), ["redlock-fence:a", "redlock-fence:b"]);
    }

    #[test]
    fn the_first_slot_is_the_key_itself() {
        let target = Target::slots(&key("k"), 3);
        assert_eq!(target.keys(), ["k", "k#2", "k#3"]);
        assert_eq!((target.slot_count(), target.keys_of(2)), (3, ["k#3".to_owned()].as_slice()));
        assert!(target.keys_of(3).is_empty());
        assert_eq!(target.queues(), ["redlock-queue:k"], "a contender takes any slot");
        assert_eq!(target.free_slots(&[false, true, true]), [1, 2]);
        assert_eq!((target.slot_of("k#2"), target.slot_of("k#4")), (Some(1), None));
    }
}
