//! The report of a chaos run: its figures and, after a failure, the events in the order of time.
#![allow(clippy::print_stdout, reason = "a chaos run prints its seed and its figures")]

use crate::audit::Unnoticed;
use crate::checker::Overlap;
use crate::contender::Kind;
use crate::ending::Leftovers;
use crate::fenced::Fences;
use crate::history::{self, Line};
use crate::journal::Entry;
use crate::support::clock;
use crate::world::World;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) seed: u64,
    pub(crate) seconds: u64,
    pub(crate) kind: Kind,
    pub(crate) sections: usize,
    pub(crate) overlaps: Vec<Overlap>,
    /// Commands that were alive after their leases had ended.
    pub(crate) unnoticed: Vec<Unnoticed>,
    /// The fencing tokens.
    pub(crate) fences: Fences,
    pub(crate) left: Leftovers,
    pub(crate) faults: BTreeMap<&'static str, usize>,
    /// Number of commands that began with each option.
    pub(crate) wanted: BTreeMap<&'static str, usize>,
    /// Number of contenders by their end.
    pub(crate) ends: BTreeMap<String, usize>,
    /// Contenders with an end that has no explanation.
    pub(crate) odd: Vec<(u32, String)>,
    pub(crate) longest_lag_ms: u64,
}

impl Verdict {
    pub(crate) fn is_good(&self) -> bool {
        let Leftovers { stuck, processes, keys } = &self.left;
        let is_held = self.overlaps.is_empty() && self.unnoticed.is_empty();
        is_held
            && stuck.is_empty()
            && processes.is_empty()
            && keys.is_empty()
            && self.odd.is_empty()
            && self.fences.wrong.is_empty()
    }
}

/// Number of overlaps that are shown.
const SHOWN: usize = 3;
const BEFORE: Duration = Duration::from_millis(2500);
const AFTER: Duration = Duration::from_millis(300);
/// Without an overlap, this last part of the run is shown.
const BEFORE_THE_END: Duration = Duration::from_secs(4);
/// Lines of a history are shown if they are this close to the overlap.
const CLOSE: Duration = Duration::from_millis(4);

pub(crate) fn begin(seed: u64, seconds: u64, Kind { slots, steps, is_fenced }: Kind) {
    println!(
        "chaos: seed={seed} seconds={seconds} slots={slots} steps={steps} fence={is_fenced} begins"
    );
}

/// Prints the result in one line.
pub(crate) fn verdict(verdict: &Verdict) {
    let Verdict {
        seed,
        seconds,
        kind: Kind { slots, .. },
        sections,
        overlaps,
        unnoticed,
        fences,
        left,
        faults,
        wanted,
        ends,
        odd,
        longest_lag_ms,
    } = verdict;
    println!(
        "chaos: seed={seed} seconds={seconds} slots={slots} sections={sections} ({}) overlaps={} unnoticed losses={} \
         tokens={} (told to begin anew {}, smaller then {}, refused late {}, out of order {}) keys left={} stuck={} processes left={} \
         faults={} ({}) odd exits={} exits=({}) longest lag={longest_lag_ms}ms",
        listed(wanted),
        overlaps.len(),
        unnoticed.len(),
        fences.tokens,
        fences.told,
        fences.anew,
        fences.late,
        fences.wrong.len(),
        left.keys.len(),
        left.stuck.len(),
        left.processes.len(),
        faults.values().sum::<usize>(),
        listed(faults),
        odd.len(),
        listed(ends),
    );
}

/// Prints the events before the failure.
pub(crate) fn interleaving(verdict: &Verdict, world: &World, zero: Duration) {
    for what in verdict.left.processes.iter().chain(&verdict.left.keys) {
        println!("chaos: left: {what}");
    }
    for (id, how) in verdict.left.stuck.iter().chain(&verdict.odd) {
        println!("chaos: contender {id} {how}:");
        show(world.journal.about(*id), zero);
    }
    for (name, touch) in &verdict.fences.wrong {
        println!("chaos: the resource of {name}: {touch:?}, of a run that said:");
        show(world.journal.about(touch.id), zero);
    }
    for Unnoticed { id, over, last } in &verdict.unnoticed {
        let length = last.saturating_sub(*over);
        println!(
            "chaos: the command of contender {id} lived for {length:?} after its lease was over:"
        );
        show(world.journal.between(over.saturating_sub(BEFORE), *last + AFTER), zero);
    }
    for overlap in verdict.overlaps.iter().take(SHOWN) {
        let (earlier, later) = (overlap.earlier, overlap.later);
        let length = earlier.last.min(later.last).saturating_sub(later.first);
        println!("chaos: contenders {} and {} overlap for {length:?}:", earlier.id, later.id);
        let from = later.first.saturating_sub(BEFORE).min(earlier.first);
        let mut entries = world.journal.between(from, earlier.last.max(later.first) + AFTER);
        for id in [earlier.id, later.id] {
            entries.extend(close_to(overlap, &history::lines(world.cluster.dir(), id)));
        }
        show(entries, zero);
    }
    if verdict.overlaps.is_empty() {
        println!("chaos: the end of the run, and what came before it:");
        let end = zero + Duration::from_secs(verdict.seconds);
        show(world.journal.between(end.saturating_sub(BEFORE_THE_END), clock::now()), zero);
    }
}

/// The first and the last line of each process, and those around the overlap.
fn close_to(overlap: &Overlap, lines: &[Line]) -> Vec<Entry> {
    let near = |at: Duration| {
        let apart = |moment: Duration| at.abs_diff(moment);
        apart(overlap.later.first) <= CLOSE || apart(overlap.earlier.last) <= CLOSE
    };
    let of = |pid: u32| lines.iter().filter(move |line| line.pid == pid);
    let is_outermost =
        |line: &Line| of(line.pid).next() == Some(line) || of(line.pid).next_back() == Some(line);
    let shown =
        lines.iter().filter(|line| near(line.at) || line.word != "alive" || is_outermost(line));
    shown.map(|line| Entry { at: line.at, text: entry(line) }).collect()
}

fn entry(line: &Line) -> String {
    format!("history: {} {} (process {})", line.word, line.id, line.pid)
}

fn show(mut entries: Vec<Entry>, zero: Duration) {
    entries.sort_by_key(|entry| entry.at);
    for entry in entries {
        let micros = entry.at.saturating_sub(zero).as_micros();
        println!("{:>6}.{:06} {}", micros / 1_000_000, micros % 1_000_000, entry.text);
    }
}

fn listed<K: Display>(counts: &BTreeMap<K, usize>) -> String {
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}
