//! Finds commands that were alive at once.

use crate::history::Section;

/// Two sections of different commands, the first of which had not ended when the second began.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Overlap {
    pub(crate) earlier: Section,
    pub(crate) later: Section,
}

/// Each section that began while others in the same slot had not ended, with the one of these that
/// ended last.
pub(crate) fn overlaps(mut sections: Vec<Section>) -> Vec<Overlap> {
    sections.sort_unstable_by_key(|section| (section.slot, section.first, section.last));
    let mut longest: Option<Section> = None;
    let mut found = Vec::new();
    for later in sections {
        longest = longest.filter(|longest| longest.slot == later.slot);
        if let Some(earlier) = longest
            && later.first < earlier.last
        {
            found.push(Overlap { earlier, later });
        }
        if longest.is_none_or(|longest| later.last > longest.last) {
            longest = Some(later);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{parse, section};

    /// The overlapping pairs in histories that a test writes, one text for each command.
    fn found(histories: &[&str]) -> Vec<(u32, u32)> {
        let sections = histories.iter().filter_map(|text| section(&parse(text))).collect();
        overlaps(sections).iter().map(|overlap| (overlap.earlier.id, overlap.later.id)).collect()
    }

    #[test]
    fn an_overlap_is_found_wherever_it_stands() {
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
                vec![
                    "start 1 100 7\nend 1 900 7\n",
                    "start 2 200 8\nend 2 300 8\n",
                    "start 3 800 9\nend 3 950 9\n",
                ],
                vec![(1, 2), (1, 3)],
            ),
            (
                "in the second slot",
                vec![
                    "start 1 100 7 1\nend 1 900 7 1\n",
                    "start 2 200 8 2\nend 2 400 8 2\n",
                    "start 3 300 9 2\n",
                ],
                vec![(2, 3)],
            ),
        ] {
            assert_eq!(found(&histories), expected, "{label}");
        }
    }

    #[test]
    fn sections_that_touch_or_are_apart_do_not_overlap() {
        for (label, histories) in [
            ("nothing", vec![]),
            ("never begun", vec!["", "start 1 100 7\nend 1 200 7\n"]),
            ("apart", vec!["start 1 100 7\nend 1 200 7\n", "start 2 300 8\nend 2 400 8\n"]),
            ("touching", vec!["start 1 100 7\nend 1 200 7\n", "start 2 200 8\nend 2 400 8\n"]),
            (
                "in two slots",
                vec!["start 1 100 7 1\nend 1 900 7 1\n", "start 2 200 8 2\nend 2 300 8 2\n"],
            ),
            (
                "the same command's descendants",
                vec!["start 1 100 7\nalive 1 150 9\nend 1 200 7\nalive 1 199 9\n"],
            ),
            (
                "a line that was not written whole",
                vec!["start 1 100 7\nalive 1 99", "start 2 120 8\nend 2 130 8\n"],
            ),
        ] {
            assert_eq!(found(&histories), [], "{label}");
        }
    }
}
