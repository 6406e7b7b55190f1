//! Finds commands that were alive under one key at the same time.

use super::server::Key;
use redlock_cli::lock::FenceToken;
use std::collections::BTreeMap;

/// The life of one command under one key, in nanoseconds of real time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Section {
    pub(crate) key: Key,
    pub(crate) client: usize,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// One start of a command with a fencing token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fenced {
    /// The name that is locked.
    pub(crate) name: u32,
    pub(crate) token: FenceToken,
    /// Whether redlock gave notice that the counters begin anew.
    pub(crate) begins_anew: bool,
}

/// The first two starts in a row of which the later one has no larger token.
pub(crate) fn out_of_order(fences: &[Fenced]) -> Option<(Fenced, Fenced)> {
    let mut last: BTreeMap<u32, Fenced> = BTreeMap::new();
    for fenced in fences {
        let before = last.insert(fenced.name, *fenced);
        if let Some(before) = before.filter(|it| it.token >= fenced.token && !fenced.begins_anew) {
            return Some((before, *fenced));
        }
    }
    None
}

/// Two sections of one key that overlap. A section that begins when another ends does not overlap
/// it.
pub(crate) fn overlap(sections: &[Section]) -> Option<(Section, Section)> {
    let mut sorted = sections.to_vec();
    sorted.sort_by_key(|section| (section.key, section.from, section.to));
    let is_shared = |pair: &&[Section]| pair[0].key == pair[1].key && pair[1].from < pair[0].to;
    sorted.windows(2).find(is_shared).map(|pair| (pair[0], pair[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(client: usize, from: u64, to: u64) -> Section {
        Section { key: (0, 0), client, from, to }
    }

    #[test]
    fn an_overlap_is_found_wherever_it_is() {
        for sections in [
            vec![section(0, 0, 10), section(1, 9, 12)],
            vec![section(1, 20, 30), section(0, 0, 10), section(2, 29, 40)],
            vec![section(0, 0, 100), section(1, 40, 50)],
        ] {
            assert!(overlap(&sections).is_some(), "{sections:?}");
        }
    }

    #[test]
    fn a_token_that_is_not_larger_is_found_unless_the_counters_begin_anew() {
        let fenced = |name, token, begins_anew| Fenced {
            name,
            token: FenceToken::new(token).unwrap(),
            begins_anew,
        };
        let first = fenced(0, 5, true);
        for (next, is_found) in [
            (fenced(0, 5, false), true),
            (fenced(0, 4, false), true),
            (fenced(0, 6, false), false),
            (fenced(0, 4, true), false),
            (fenced(1, 4, false), false),
        ] {
            assert_eq!(out_of_order(&[first, next]).is_some(), is_found, "{next:?}");
        }
    }

    #[test]
    fn sections_that_touch_or_have_different_keys_do_not_overlap() {
        let other = Section { key: (0, 1), ..section(1, 5, 7) };
        for sections in [
            vec![],
            vec![section(0, 0, 10), section(1, 10, 20)],
            vec![section(1, 10, 20), section(0, 0, 10), section(2, 25, 30)],
            vec![section(0, 0, 10), other],
        ] {
            assert_eq!(overlap(&sections), None);
        }
    }
}
