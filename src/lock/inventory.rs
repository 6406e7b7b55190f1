//! All locks under a prefix, merged from the list of each instance.

use super::{ClusterSize, HeldBy, KeyView, LockState, NoVoteReason, ObservedHolder, Revocation};
use std::collections::BTreeMap;
use std::time::Duration;

/// One key that one instance lists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedKey {
    /// The key.
    pub key: String,
    /// The holder there.
    pub holder: ObservedHolder,
    /// How many contenders wait for it there.
    pub waiting: u32,
}

/// The keys that the instances have listed so far. A value that several instances show is stored
/// once.
#[derive(Debug)]
pub struct Inventory {
    size: ClusterSize,
    keys: BTreeMap<String, Entry>,
    /// The instances that have listed all their keys.
    complete: Vec<bool>,
}

#[derive(Debug, Default)]
struct Entry {
    values: Vec<String>,
    /// For each instance that has the key: its number, the number of its value, the lease that is
    /// left, and how many wait.
    places: Vec<(usize, usize, Option<Duration>, u32)>,
}

/// One lock of an inventory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// The key.
    pub key: String,
    /// The value of the holder that is on the most instances.
    pub value: String,
    /// Whether that holder has a quorum.
    pub state: ListedState,
    /// How many instances have a key of that holder, revoked or not.
    pub instances: usize,
    /// How long the lease has left; `None` where the key does not expire.
    pub left: Option<Duration>,
    /// The largest number of waiters that a quorum of the instances reach.
    pub waiting: u32,
}

/// Whether the holder of a key has a quorum.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ListedState {
    /// A quorum shows the holder.
    Held,
    /// Fewer than a quorum show the holder, also if all other instances did.
    Remnant,
    /// The instances that listed nothing could make it a quorum.
    Undetermined,
}

impl Inventory {
    /// Nothing is listed yet.
    #[must_use]
    pub fn new(size: ClusterSize) -> Self {
        Self { size, keys: BTreeMap::new(), complete: vec![false; size.count()] }
    }

    /// `instance` lists this key; of a key that it lists twice, the last counts.
    pub fn add(&mut self, instance: usize, listed: ListedKey) {
        let ListedKey { key, holder, waiting } = listed;
        let entry = self.keys.entry(key).or_default();
        let known = entry.values.iter().position(|value| *value == holder.value);
        let value = known.unwrap_or_else(|| {
            entry.values.push(holder.value);
            entry.values.len() - 1
        });
        entry.places.retain(|(other, ..)| *other != instance);
        entry.places.push((instance, value, holder.left, waiting));
    }

    /// `instance` has listed all its keys.
    pub fn complete(&mut self, instance: usize) {
        if let Some(complete) = self.complete.get_mut(instance) {
            *complete = true;
        }
    }

    /// The locks in the order of their keys. Keys from an incomplete list count as well.
    #[must_use]
    pub fn locks(self) -> Vec<Listed> {
        let Self { size, keys, complete } = self;
        keys.into_iter().filter_map(|(key, entry)| entry.listed(size, key, &complete)).collect()
    }
}

impl Entry {
    fn listed(self, size: ClusterSize, key: String, complete: &[bool]) -> Option<Listed> {
        let mut views: Vec<KeyView> =
            complete
                .iter()
                .map(|complete| {
                    if *complete { KeyView::Free } else { KeyView::Unknown(NoVoteReason::TimedOut) }
                })
                .collect();
        for (instance, value, left, _) in &self.places {
            let value = self.values.get(*value)?.clone();
            *views.get_mut(*instance)? = KeyView::Held(ObservedHolder { value, left: *left });
        }
        let is_same =
            |one: usize, other: usize| match (self.values.get(one), self.values.get(other)) {
                (Some(one), Some(other)) => Revocation::same_holder(one, other),
                _ => false,
            };
        let places = |top: usize| self.places.iter().filter(move |place| is_same(place.1, top));
        // Of several that are equal, the first.
        let top = (0..self.values.len()).rev().max_by_key(|value| places(*value).count())?;
        let instances = places(top).count();
        let value = self.values.get(top)?.clone();
        let silent = views.iter().filter(|view| matches!(view, KeyView::Unknown(_))).count();
        let longest = || {
            let lefts = places(top).map(|place| place.2);
            lefts.max_by_key(|left| left.unwrap_or(Duration::MAX))
        };
        let (state, value, left) = match LockState::of(size, &views) {
            LockState::Held(HeldBy { value, left }) => (ListedState::Held, value, left),
            _ if instances + silent >= size.quorum() => {
                (ListedState::Undetermined, value, longest()?)
            }
            _ => (ListedState::Remnant, value, longest()?),
        };
        let mut waiting: Vec<u32> = self.places.iter().map(|place| place.3).collect();
        waiting.sort_unstable_by(|one, other| other.cmp(one));
        let waiting = waiting.get(size.quorum() - 1).or(waiting.last()).copied()?;
        Some(Listed { key, value, state, instances, left, waiting })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::LockValue;
    use proptest::prelude::*;

    fn listed(key: &str, value: &str, millis: u64, waiting: u32) -> ListedKey {
        let left = Some(Duration::from_millis(millis));
        ListedKey { key: key.into(), holder: ObservedHolder { value: value.into(), left }, waiting }
    }

    fn locks(
        size: usize,
        complete: &[usize],
        keys: &[(usize, &str, &str, u64, u32)],
    ) -> Vec<(String, String, ListedState, usize, Option<u64>, u32)> {
        let mut inventory = Inventory::new(ClusterSize::redlock(size).unwrap());
        for (instance, key, value, left, waiting) in keys {
            inventory.add(*instance, listed(key, value, *left, *waiting));
        }
        for instance in complete {
            inventory.complete(*instance);
        }
        let row = |lock: Listed| {
            let left = lock.left.map(|left| u64::try_from(left.as_millis()).unwrap());
            (lock.key, lock.value, lock.state, lock.instances, left, lock.waiting)
        };
        inventory.locks().into_iter().map(row).collect()
    }

    #[test]
    fn a_lock_without_a_quorum_is_a_remnant_or_undetermined() {
        use ListedState::{Held, Remnant, Undetermined};
        let row = |value: &str, state, instances, left, waiting| {
            vec![("k".to_owned(), value.to_owned(), state, instances, Some(left), waiting)]
        };
        let all: &[usize] = &[0, 1, 2];
        for (label, complete, keys, expected) in [
            ("none", all, vec![], vec![]),
            (
                "all",
                all,
                vec![(0, "k", "a", 5, 1), (1, "k", "a", 7, 1), (2, "k", "a", 9, 0)],
                row("a", Held, 3, 7, 1),
            ),
            (
                "a quorum",
                all,
                vec![(0, "k", "a", 5, 0), (2, "k", "a", 9, 0)],
                row("a", Held, 2, 5, 0),
            ),
            (
                "twice by one",
                all,
                vec![(0, "k", "a", 5, 0), (0, "k", "a", 4, 0)],
                row("a", Remnant, 1, 4, 0),
            ),
            ("a minority", all, vec![(0, "k", "a", 5, 0)], row("a", Remnant, 1, 5, 0)),
            (
                "beside one that is silent",
                &[0, 1],
                vec![(0, "k", "a", 5, 0)],
                row("a", Undetermined, 1, 5, 0),
            ),
            (
                "split",
                all,
                vec![(0, "k", "a", 5, 0), (1, "k", "b", 6, 0)],
                row("a", Remnant, 1, 5, 0),
            ),
        ] {
            assert_eq!(locks(3, complete, &keys), expected, "{label}");
        }
        let names = locks(3, all, &[(0, "b", "x", 1, 0), (0, "a", "x", 1, 0)]);
        assert_eq!([&names[0].0, &names[1].0], ["a", "b"], "sorted");
    }

    #[test]
    fn a_lock_that_some_instances_have_revoked_is_counted_on_all() {
        use ListedState::{Held, Remnant};
        let own = LockValue::example("web1", &[]).to_line();
        let revoked = Revocation::new("ops@web2", None, 1).header() + &own[1..];
        let other = own.replace("\"token\":\"", "\"token\":\"f");
        let (own, revoked, other) = (own.as_str(), revoked.as_str(), other.as_str());
        for (label, size, values, expected) in [
            ("one of three", 3, [own, revoked, own].as_slice(), (own, Held, 3)),
            ("two of three", 3, &[revoked, own, revoked], (revoked, Held, 3)),
            ("two of five", 5, &[own, own, revoked, revoked], (own, Held, 4)),
            ("a remnant", 5, &[revoked, own], (revoked, Remnant, 2)),
            ("beside another's", 5, &[other, own, revoked], (own, Remnant, 2)),
        ] {
            let keys: Vec<_> =
                values.iter().enumerate().map(|(i, value)| (i, "k", *value, 9, 0)).collect();
            let all: Vec<_> = (0..size).collect();
            let (_, value, state, instances, ..) = locks(size, &all, &keys).remove(0);
            assert_eq!((value.as_str(), state, instances), expected, "{label}");
        }
    }

    proptest! {
        #[test]
        fn a_remnant_cannot_have_a_quorum(
            places in prop::collection::vec((0_usize..5, 0_usize..2), 1..6),
            complete in prop::collection::vec(0_usize..5, 0..6),
        ) {
            let keys: Vec<_> =
                places.iter().map(|(instance, value)| (*instance, "k", ["a", "b"][*value], 9, 0)).collect();
            let row = locks(5, &complete, &keys).remove(0);
            let silent = (0..5).filter(|instance| {
                !complete.contains(instance) && places.iter().all(|(place, _)| place != instance)
            }).count();
            match row.2 {
                ListedState::Held => prop_assert!(row.3 >= 3),
                ListedState::Remnant => prop_assert!(row.3 + silent < 3),
                ListedState::Undetermined => prop_assert!(row.3 < 3 && row.3 + silent >= 3),
            }
        }
    }
}
