//! Commands that note when they are alive, and the time for which two of them overlapped.

use super::Cluster;
use std::fs;
use std::time::Duration;

/// A command that notes every few milliseconds that it is alive, until its standard input is closed
/// or a signal kills it.
///
/// The command ignores TERM, so that it lives as long as redlock lets it. It has no child process,
/// which could outlive it.
pub(crate) fn living(label: &str) -> [String; 3] {
    let note = "echo $EPOCHREALTIME; read -rt 0.002; [ $? -gt 128 ]";
    let script =
        format!("trap '' TERM; exec 9>&1 >>life-{label}; echo ready >&9; while {note}; do :; done");
    ["bash".into(), "-c".into(), script]
}

/// The first and the last moment of the command with this label, by the wall clock. `None` if it
/// was never alive.
pub(crate) fn life(cluster: &Cluster, label: &str) -> Option<(Duration, Duration)> {
    let stamps = fs::read_to_string(cluster.dir().join(format!("life-{label}"))).ok()?;
    // The last line may be incomplete.
    let mut whole = stamps.rsplit_once('\n')?.0.lines();
    let first = whole.next()?;
    Some((moment(first), moment(whole.next_back().unwrap_or(first))))
}

/// The time for which these two commands overlapped.
pub(crate) fn overlap(cluster: &Cluster, one: &str, other: &str) -> Duration {
    let (Some(one), Some(other)) = (life(cluster, one), life(cluster, other)) else {
        return Duration::ZERO;
    };
    one.1.min(other.1).saturating_sub(one.0.max(other.0))
}

/// Fails if these two commands overlapped.
pub(crate) fn assert_never_both(cluster: &Cluster, one: &str, other: &str) {
    let both = overlap(cluster, one, other);
    assert!(both.is_zero(), "two at once for {both:?}: {one} and {other}");
}

fn moment(stamp: &str) -> Duration {
    let (seconds, micros) = stamp.split_once('.').expect("microseconds");
    let number = |digits: &str| digits.parse::<u64>().expect("digits");
    Duration::from_secs(number(seconds)) + Duration::from_micros(number(micros))
}
