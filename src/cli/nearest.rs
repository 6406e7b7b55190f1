//! The word that a misspelt one was meant to be.

use std::cmp::Reverse;

/// The one of `known` that is at most `limit` typing errors away from `word`. Of two with as many,
/// the one with the longer common beginning.
pub(super) fn nearest<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
    limit: usize,
) -> Option<&'a str> {
    let begin = |other: &str| word.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    known
        .into_iter()
        .map(|other| (distance(word, other), Reverse(begin(other)), other))
        .min()
        .filter(|(distance, ..)| *distance <= limit)
        .map(|(.., other)| other)
}

/// How many letters have to be added, dropped, replaced or swapped with their neighbour to make one
/// word the other.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    // Row `i` has the distances of the first `i` letters to each beginning of the other word.
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    let cell = |rows: &[Vec<usize>], row: usize, column: usize| {
        rows.get(row).and_then(|row| row.get(column)).copied().unwrap_or(usize::MAX)
    };
    for (i, letter) in one.iter().enumerate() {
        let mut next = vec![i.saturating_add(1)];
        for (j, theirs) in other.iter().enumerate() {
            let replaced = cell(&rows, i, j).saturating_add(usize::from(letter != theirs));
            let dropped = cell(&rows, i, j.saturating_add(1)).saturating_add(1);
            let added = next.last().copied().unwrap_or(usize::MAX).saturating_add(1);
            let are_swapped = i > 0
                && j > 0
                && one.get(i.saturating_sub(1)) == Some(theirs)
                && other.get(j.saturating_sub(1)) == Some(letter);
            let swapped = if are_swapped {
                cell(&rows, i.saturating_sub(1), j.saturating_sub(1)).saturating_add(1)
            } else {
                usize::MAX
            };
            next.push(replaced.min(dropped).min(added).min(swapped));
        }
        rows.push(next);
    }
    cell(&rows, one.len(), other.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_counted() {
        for (one, other, count) in [
            ("run", "run", 0),
            ("rnu", "run", 1),
            ("lsit", "list", 1),
            ("docter", "doctor", 1),
            ("statsu", "status", 1),
            ("", "abc", 3),
            ("force-unlock", "run", 9),
        ] {
            assert_eq!(distance(one, other), count, "{one} {other}");
            assert_eq!(distance(other, one), count, "{other} {one}");
        }
        assert_eq!(nearest("URLX", ["TTL", "URLS"], 2), Some("URLS"));
        assert_eq!(nearest("timeout", ["wait", "op-timeout"], 2), None);
    }
}
