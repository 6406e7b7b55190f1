//! Finds commands of which more were alive at once than may be.

use crate::history::Section;

/// Two sections of different commands, the first of which had not ended when the second was one too many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Overlap {
    pub(crate) earlier: Section,
    pub(crate) later: Section,
}

/// Every section that began while `slots` others went on, with the one of those that went on longest.
pub(crate) fn overlaps(mut sections: Vec<Section>, slots: usize) -> Vec<Overlap> {
    sections.sort_unstable_by_key(|section| (section.first, section.last));
    let mut active: Vec<Section> = Vec::new();
    let mut found = Vec::new();
    for later in sections {
        active.retain(|section| section.last > later.first);
        if active.len() >= slots {
            found.extend(active.iter().max_by_key(|section| section.last).map(|&earlier| Overlap { earlier, later }));
        }
        active.push(later);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{parse, section};

    /// The pairs that overlap in histories written by hand, one text for each command.
    fn found(histories: &[&str], slots: usize) -> Vec<(u32, u32)> {
        let sections = histories.iter().filter_map(|text| section(&parse(text))).collect();
        overlaps(sections, slots).iter().map(|overlap| (overlap.earlier.id, overlap.later.id)).collect()
    }

    #[test]
    fn an_overlap_is_found_however_it_came_about() {
        for (label, histories, expected) in [
            (
                "began before the other ended",
                vec!["start 1 100 7\nend 1 200 7\n", "start 2 199 8\nend 2 300 8\n"],
                vec![(1, 2)],
            ),
            (
                "in whichever order they are read",
                vec!["start 2 199 8\nend 2 300 8\n", "start 1 100 7\nend 1 200 7\n"],
                vec![(1, 2)],
            ),
            (
                "a descendant that outlived its command",
                vec!["start 1 100 7\nend 1 200 7\nalive 1 450 9\n", "start 2 400 8\nend 2 500 8\n"],
                vec![(1, 2)],
            ),
            (
                "killed, and so without an end",
                vec!["start 1 100 7\nalive 1 101 7\nalive 1 250 7\n", "start 2 240 8\n"],
                vec![(1, 2)],
            ),
            (
                "one inside another, and a third in its rest",
                vec!["start 1 100 7\nend 1 900 7\n", "start 2 200 8\nend 2 300 8\n", "start 3 800 9\nend 3 950 9\n"],
                vec![(1, 2), (1, 3)],
            ),
        ] {
            assert_eq!(found(&histories, 1), expected, "{label}");
        }
    }

    #[test]
    fn sections_that_touch_or_are_apart_do_not_overlap() {
        for (label, histories) in [
            ("nothing", vec![]),
            ("never begun", vec!["", "start 1 100 7\nend 1 200 7\n"]),
            ("apart", vec!["start 1 100 7\nend 1 200 7\n", "start 2 300 8\nend 2 400 8\n"]),
            ("touching", vec!["start 1 100 7\nend 1 200 7\n", "start 2 200 8\nend 2 400 8\n"]),
            ("the same command's descendants", vec!["start 1 100 7\nalive 1 150 9\nend 1 200 7\nalive 1 199 9\n"]),
            ("a line that was not written whole", vec!["start 1 100 7\nalive 1 99", "start 2 120 8\nend 2 130 8\n"]),
        ] {
            assert_eq!(found(&histories, 1), [], "{label}");
        }
    }

    #[test]
    fn as_many_as_there_are_slots_may_be_alive_at_once() {
        let histories = [
            "start 1 100 7\nend 1 900 7\n",
            "start 2 200 8\nend 2 300 8\n",
            "start 3 300 9\nend 3 500 9\n",
            "start 4 400 6\nend 4 450 6\n",
        ];
        assert_eq!(found(&histories[..3], 2), []);
        assert_eq!(found(&histories, 2), [(1, 4)]);
        assert_eq!(found(&histories, 3), []);
    }
}
