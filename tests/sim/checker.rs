//! Finds commands that were alive at the same time.

/// One command's life in real time, in nanoseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Section {
    pub(crate) client: usize,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// Two sections that share a moment, if there are any. One that begins when another ends shares none.
pub(crate) fn overlap(sections: &[Section]) -> Option<(Section, Section)> {
    let mut sorted = sections.to_vec();
    sorted.sort_by_key(|section| (section.from, section.to));
    sorted.windows(2).find(|pair| pair[1].from < pair[0].to).map(|pair| (pair[0], pair[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(client: usize, from: u64, to: u64) -> Section {
        Section { client, from, to }
    }

    #[test]
    fn an_overlap_is_found_wherever_it_stands() {
        for sections in [
            vec![section(0, 0, 10), section(1, 9, 12)],
            vec![section(1, 20, 30), section(0, 0, 10), section(2, 29, 40)],
            vec![section(0, 0, 100), section(1, 40, 50)],
        ] {
            assert!(overlap(&sections).is_some(), "{sections:?}");
        }
    }

    #[test]
    fn sections_that_touch_do_not_overlap() {
        for sections in
            [vec![], vec![section(0, 0, 10)], vec![section(1, 10, 20), section(0, 0, 10), section(2, 25, 30)]]
        {
            assert_eq!(overlap(&sections), None);
        }
    }
}
