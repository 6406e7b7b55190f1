//! The resources behind the locks, one for each name. A resource keeps the largest fencing token
//! that it has seen, and refuses a smaller one.
//!
//! A command touches the resources of its names under the locks, so the touches are in the order of
//! the acquisitions. A touch with the token of a run that has ended stands for a write that arrives
//! late.

use crate::contender::{NAME, SIDE};
use crate::crowd::Crowd;
use crate::support::clock;
use nix::fcntl::{Flock, FlockArg};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The moment of a touch in the life of its command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum When {
    Start,
    End,
    /// The run has ended.
    Late,
}

/// One touch of a resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Touch {
    pub(crate) id: u32,
    pub(crate) token: u64,
    when: When,
    is_taken: bool,
}

/// The findings about the contenders with tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fences {
    /// Number of commands with a token, once for each name.
    pub(crate) tokens: usize,
    /// Number of contenders that got the notice that the counters begin anew.
    pub(crate) told: usize,
    /// Number of tokens that are not larger, after a run that got the notice that the counters
    /// begin anew.
    pub(crate) anew: usize,
    /// Number of late writes that were refused.
    pub(crate) late: usize,
    /// Touches that break the rule, each with its resource.
    pub(crate) wrong: Vec<(&'static str, Touch)>,
}

/// Late writes.
#[derive(Debug, Default)]
pub(crate) struct Stragglers {
    next: Duration,
    done: BTreeSet<(&'static str, u32)>,
}

const NAMES: [&str; 2] = [NAME, SIDE];
const WORDS: [(When, &str); 3] = [(When::Start, "start"), (When::End, "end"), (When::Late, "late")];

impl Stragglers {
    const EVERY: Duration = Duration::from_millis(200);

    /// Writes once with the token of each run that has ended, after a run with a newer token has
    /// written.
    pub(crate) fn go_on(&mut self, dir: &Path, crowd: &Crowd) {
        if clock::now() < self.next {
            return;
        }
        self.next = clock::now() + Self::EVERY;
        for name in NAMES {
            let touches = touches(dir, name);
            let largest = largest(&touches).unwrap_or(0);
            for Touch { id, token, .. } in touches {
                let is_old = token < largest && !crowd.has(|member| member.id == id);
                if is_old && self.done.insert((name, id)) {
                    touch(dir, name, id, token, When::Late);
                }
            }
        }
    }
}

/// Touches the resource of `name`.
pub(crate) fn touch(dir: &Path, name: &str, id: u32, token: u64, when: When) {
    let file = OpenOptions::new().create(true).read(true).append(true).open(path(dir, name));
    let file = file.expect("the resource can be opened");
    let mut file = Flock::lock(file, FlockArg::LockExclusive).expect("a lock of the file");
    let mut text = String::new();
    file.read_to_string(&mut text).expect("the resource can be read");
    let is_taken = largest(&parse(&text)).is_none_or(|largest| token >= largest);
    let word = WORDS.iter().find(|(other, _)| *other == when).expect("a word").1;
    let line = format!("{word} {id} {token} {is_taken}\n");
    file.write_all(line.as_bytes()).expect("the resource can be written");
}

/// The verdict on all resources. `warned` are the contenders that got the notice that the counters
/// begin anew.
pub(crate) fn verdict(dir: &Path, warned: &BTreeSet<u32>) -> Fences {
    let mut fences = Fences { told: warned.len(), ..Fences::default() };
    for name in NAMES {
        judge(&touches(dir, name), warned, &mut fences, name);
    }
    fences
}

fn judge(touches: &[Touch], warned: &BTreeSet<u32>, fences: &mut Fences, name: &'static str) {
    let mut owners: BTreeMap<u64, u32> = BTreeMap::new();
    let mut largest = 0;
    for touch in touches {
        let owner = *owners.entry(touch.token).or_insert(touch.id);
        let is_first = touch.when == When::Start;
        let is_right = match touch.when {
            When::Start => touch.is_taken && touch.token > largest,
            // If a larger token was accepted meanwhile, two commands ran at once.
            When::End => touch.is_taken && touch.token == largest && touch.id == owner,
            When::Late => !touch.is_taken,
        };
        if touch.is_taken {
            largest = largest.max(touch.token);
        }
        fences.tokens += usize::from(is_first);
        fences.late += usize::from(touch.when == When::Late && is_right);
        if !is_right && touch.when != When::Late && warned.contains(&touch.id) {
            fences.anew += usize::from(is_first);
        } else if !is_right {
            fences.wrong.push((name, *touch));
        }
    }
}

/// The largest accepted token.
fn largest(touches: &[Touch]) -> Option<u64> {
    touches.iter().filter(|touch| touch.is_taken).map(|touch| touch.token).max()
}

fn touches(dir: &Path, name: &str) -> Vec<Touch> {
    parse(&fs::read_to_string(path(dir, name)).unwrap_or_default())
}

/// The touches in a text. A command that was killed may have left an incomplete line, which is
/// ignored.
fn parse(text: &str) -> Vec<Touch> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let word = words.next()?;
        Some(Touch {
            when: WORDS.iter().find(|(_, other)| *other == word)?.0,
            id: words.next()?.parse().ok()?,
            token: words.next()?.parse().ok()?,
            is_taken: words.next()?.parse().ok()?,
        })
    };
    text.split_inclusive('\n').filter_map(|text| line(text.strip_suffix('\n')?)).collect()
}

fn path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("resource-{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number of tokens, of those that begin anew, of late writes, and of faults.
    fn judged(text: &str, warned: &[u32]) -> (usize, usize, usize, usize) {
        let mut fences = Fences::default();
        judge(&parse(text), &warned.iter().copied().collect(), &mut fences, NAME);
        (fences.tokens, fences.anew, fences.late, fences.wrong.len())
    }

    #[test]
    fn tokens_that_do_not_rise_are_found_unless_the_counters_begin_anew() {
        for (label, text, warned, expected) in [
            ("in order", "start 1 5 true\nend 1 5 true\nstart 2 6 true\n", vec![], (2, 0, 0, 0)),
            ("the same", "start 1 5 true\nstart 2 5 true\n", vec![], (2, 0, 0, 1)),
            ("a smaller one", "start 1 5 true\nstart 2 4 false\n", vec![], (2, 0, 0, 1)),
            ("begins anew", "start 1 5 true\nstart 2 4 false\n", vec![2], (2, 1, 0, 0)),
            ("overtaken", "start 1 5 true\nstart 2 6 true\nend 1 5 false\n", vec![], (2, 0, 0, 1)),
            ("late", "start 1 5 true\nstart 2 6 true\nlate 1 5 false\n", vec![], (2, 0, 1, 0)),
            ("taken late", "start 1 5 true\nlate 1 5 true\n", vec![1], (1, 0, 0, 1)),
            ("killed in the middle", "start 1 5 true\nstart 2 4 fal", vec![], (1, 0, 0, 0)),
        ] {
            assert_eq!(judged(text, &warned), expected, "{label}");
        }
    }

    #[test]
    fn a_resource_takes_each_token_that_is_no_older_than_the_newest() {
        let dir = tempfile::tempdir().expect("a directory");
        for (id, token) in [(1, 5), (2, 7), (1, 5), (2, 7), (3, 6)] {
            touch(dir.path(), NAME, id, token, When::Start);
        }
        let taken: Vec<bool> =
            touches(dir.path(), NAME).iter().map(|touch| touch.is_taken).collect();
        assert_eq!(taken, [true, true, false, true, false]);
    }
}
