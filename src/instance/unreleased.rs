//! The values of this run that may be set on an instance without a certain release.

use std::collections::VecDeque;

/// The values that may be set on one instance, the oldest first.
#[derive(Debug, Default)]
pub(super) struct UnreleasedValues {
    values: VecDeque<UnreleasedValue>,
    /// The values of requests up to this number are released.
    cleared: u64,
}

/// One value.
#[derive(Debug)]
pub(super) struct UnreleasedValue {
    pub(super) slot: u32,
    pub(super) value: String,
    /// The newest request that may have set the value.
    number: u64,
}

impl UnreleasedValues {
    /// Largest number of values, if no release is ever answered. Older ones are dropped.
    const MAX: usize = 16;

    /// Notes that the request with this number may set `value` in `slot`.
    pub(super) fn note(&mut self, slot: u32, value: &str, number: u64) {
        self.values.retain(|kept| kept.value != value);
        if self.values.len() >= Self::MAX {
            self.values.pop_front();
        }
        self.values.push_back(UnreleasedValue { slot, value: value.to_owned(), number });
    }

    /// Notes that the values of requests up to this number are released.
    pub(super) fn clear(&mut self, number: u64) {
        self.cleared = self.cleared.max(number);
        self.values.retain(|kept| kept.number > self.cleared);
    }

    /// Notes that the server has never received `value`.
    pub(super) fn forget(&mut self, value: &str) {
        self.values.retain(|kept| kept.value != value);
    }

    /// Whether `value` may be set.
    pub(super) fn has(&self, value: &str) -> bool {
        self.values.iter().any(|kept| kept.value == value)
    }

    /// Whether no value may be set.
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values to release on a new connection, before a request about `own` is sent. `own` is
    /// not among them.
    pub(super) fn owed<'a>(
        &'a self,
        own: Option<&'a str>,
    ) -> impl Iterator<Item = &'a UnreleasedValue> {
        self.values.iter().filter(move |kept| Some(kept.value.as_str()) != own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owed(unreleased: &UnreleasedValues, own: Option<&str>) -> Vec<String> {
        unreleased.owed(own).map(|kept| kept.value.clone()).collect()
    }

    #[test]
    fn every_value_is_owed_until_a_later_request_has_released_it() {
        let mut unreleased = UnreleasedValues::default();
        assert!(unreleased.is_empty());
        for (number, value) in [(1, "a"), (3, "b"), (5, "c"), (7, "c")] {
            unreleased.note(0, value, number);
        }
        assert_eq!(owed(&unreleased, None), ["a", "b", "c"]);
        assert_eq!(
            owed(&unreleased, Some("c")),
            ["a", "b"],
            "what is asked about now is not taken back"
        );
        unreleased.clear(4);
        assert_eq!(owed(&unreleased, None), ["c"]);
        unreleased.clear(2);
        unreleased.clear(6);
        assert!(!unreleased.is_empty(), "it was set again by the seventh");
        unreleased.clear(7);
        assert!(unreleased.is_empty());
        unreleased.note(0, "d", 9);
        unreleased.forget("d");
        assert!(unreleased.is_empty(), "the server has never seen it");
    }

    #[test]
    fn of_many_attempts_the_newest_are_kept() {
        let mut unreleased = UnreleasedValues::default();
        (0..100).for_each(|number| unreleased.note(0, &number.to_string(), number + 1));
        let owed = owed(&unreleased, None);
        assert_eq!(
            (owed.len(), owed.last().map(String::as_str)),
            (UnreleasedValues::MAX, Some("99"))
        );
    }
}
