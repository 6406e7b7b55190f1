//! Runs that stand in the queue of one lock, and a journal of its holders.

use super::clock::until;
use super::{Cluster, Run, Running, key_of};
use std::fs;
use std::time::Duration;

/// The lock of these runs.
pub(crate) const NAME: &str = "line";

/// A command that notes its beginning and its end in the file `journal`, and takes this many
/// seconds.
pub(crate) fn noting(label: &str, seconds: &str) -> [String; 3] {
    let note = |sign| format!("echo {sign}{label} $EPOCHREALTIME >>journal");
    ["bash".into(), "-c".into(), format!("{}; sleep {seconds}; {}", note('+'), note('-'))]
}

/// Duration of a command of [`line_of`], in seconds: next to nothing.
pub(crate) const SHORT: &str = "0.01";

/// redlock with this command, for the lock [`NAME`].
pub(crate) fn contender<S: AsRef<std::ffi::OsStr>>(
    cluster: &Cluster,
    options: &[&str],
    command: impl IntoIterator<Item = S>,
) -> Run {
    Run::redlock(cluster)
        .with_default_signals()
        .arg_line("run", options, &[NAME, "--"])
        .args(command)
}

/// Starts a [`contender`] that has to wait, and waits until it is in the queue on all servers that
/// answer.
pub(crate) fn join(cluster: &Cluster, run: Run) -> Running {
    let before = lengths(cluster);
    let running = run.spawn();
    until("it stands in line", || {
        lengths(cluster).iter().zip(&before).all(|(now, before)| now > before)
    });
    running
}

/// Starts `count` runs that are in the queue in their order, each with its number as its label.
pub(crate) fn line_of(cluster: &Cluster, options: &[&str], count: usize) -> Vec<Running> {
    (0..count)
        .map(|number| {
            join(cluster, contender(cluster, options, noting(&number.to_string(), SHORT)))
        })
        .collect()
}

/// Labels of a [`line_of`].
pub(crate) fn numbers(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|number| number.to_string()).collect()
}

/// Waits until all of `waiting` have had the lock, in the order of `numbers`, without a delay
/// between two of them.
pub(crate) fn all_have_their_turn(
    cluster: &Cluster,
    waiting: Vec<Running>,
    in_order: impl IntoIterator<Item = usize>,
) {
    for running in waiting {
        running.wait().expect("its turn", 0);
    }
    assert_eq!(order(cluster), numbers(in_order));
    let gap = longest_gap(cluster);
    assert!(gap < Duration::from_secs(1), "the lock was nobody's for {gap:?}");
}

/// The length of the queue on each server that answers.
pub(crate) fn lengths(cluster: &Cluster) -> Vec<usize> {
    cluster.answering().into_iter().map(|i| cluster.in_line(i, &key_of(NAME))).collect()
}

/// The first run in the queue of this server.
pub(crate) fn first(cluster: &Cluster, i: usize) -> Option<String> {
    let first: Vec<String> =
        cluster.ask(i, &["ZRANGE", &format!("redlock-queue:{}", key_of(NAME)), "0", "0"]);
    first.into_iter().next()
}

/// One command of [`noting`].
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) label: String,
    pub(crate) from: Duration,
    /// `None` for a command that was killed, or still runs.
    pub(crate) to: Option<Duration>,
}

/// All turns so far, in their order.
pub(crate) fn turns(cluster: &Cluster) -> Vec<Turn> {
    let journal = fs::read_to_string(cluster.dir().join("journal")).unwrap_or_default();
    let mut turns: Vec<Turn> = Vec::new();
    for line in journal.lines() {
        let (label, stamp) = line.split_once(' ').expect("a label and a time");
        let (seconds, micros) = stamp.split_once('.').expect("microseconds");
        let number = |digits: &str| digits.parse::<u64>().expect("digits");
        let at = Duration::from_secs(number(seconds)) + Duration::from_micros(number(micros));
        match label.strip_prefix('+') {
            Some(label) => turns.push(Turn { label: label.to_owned(), from: at, to: None }),
            None => {
                turns.iter_mut().rfind(|turn| turn.label == label[1..]).expect("it began").to =
                    Some(at);
            }
        }
    }
    turns.sort_by_key(|turn| turn.from);
    turns
}

/// Whether the turn of this run has begun.
pub(crate) fn has_begun(cluster: &Cluster, label: &str) -> bool {
    turns(cluster).iter().any(|turn| turn.label == label)
}

/// The labels in the order of their turns. Fails if two turns overlap.
pub(crate) fn order(cluster: &Cluster) -> Vec<String> {
    let turns = turns(cluster);
    for pair in turns.windows(2) {
        let ended = pair[0].to.expect("it ended");
        assert!(ended <= pair[1].from, "two at once: {turns:?}");
    }
    turns.into_iter().map(|turn| turn.label).collect()
}

/// The longest time between two turns, in which there was no holder.
fn longest_gap(cluster: &Cluster) -> Duration {
    let turns = turns(cluster);
    let gap = |pair: &[Turn]| pair[1].from.saturating_sub(pair[0].to.expect("it ended"));
    turns.windows(2).map(gap).max().expect("two turns")
}
