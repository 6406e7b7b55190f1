//! The metrics of the locks of one host, as OpenMetrics text: read, updated by one record, written.
//!
//! The text is the only memory: each record reads the text that the record before it has written.

use super::{Record, RecordedOutcome};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A family of metrics.
struct Family {
    name: &'static str,
    kind: FamilyKind,
    help: &'static str,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum FamilyKind {
    Gauge,
    Counter,
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: FamilyKind::Gauge, help }
}

const fn counter(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: FamilyKind::Counter, help }
}

const FAMILIES: [Family; 9] = [
    gauge("redlock_last_success_timestamp_seconds", "End of the last run that exited with 0."),
    gauge("redlock_last_failure_timestamp_seconds", "End of the last run that failed."),
    gauge("redlock_last_skip_timestamp_seconds", "End of the last run that skipped its command."),
    gauge("redlock_last_lost_timestamp_seconds", "End of the last run that lost its lock."),
    gauge("redlock_last_waited_seconds", "Time that the last run waited."),
    gauge("redlock_last_held_seconds", "Time that the last run that had the lock held it."),
    counter("redlock_runs", "Runs by outcome."),
    counter("redlock_waited_seconds", "Time that all runs waited."),
    counter("redlock_held_seconds", "Time that all runs held the lock."),
];

/// The longest text that is read, in bytes: beyond it, old locks are forgotten.
pub const METRICS_MAX: usize = 0x10_0000;

/// Values in thousandths, by the name of the sample and its labels.
type Samples = BTreeMap<(String, String), u64>;

/// The metrics of `text` after `record`. A text that is too long or of another kind is forgotten.
#[must_use]
pub fn updated_metrics(text: &str, record: &Record) -> String {
    let mut samples = if text.len() > METRICS_MAX { Samples::new() } else { parse(text) };
    for name in &record.names {
        let lock = format!("lock=\"{}\"", escaped(name));
        update(&mut samples, &lock, record);
    }
    print(&samples)
}

fn update(samples: &mut Samples, lock: &str, record: &Record) {
    let mut set = |name: &str, value: u64| {
        samples.insert((name.to_owned(), lock.to_owned()), value);
    };
    let is_skip = record.outcome == RecordedOutcome::Skipped;
    if record.is_success() {
        set("redlock_last_success_timestamp_seconds", record.at_ms);
    } else if is_skip {
        set("redlock_last_skip_timestamp_seconds", record.at_ms);
    } else {
        set("redlock_last_failure_timestamp_seconds", record.at_ms);
    }
    if record.outcome == RecordedOutcome::Lost {
        set("redlock_last_lost_timestamp_seconds", record.at_ms);
    }
    set("redlock_last_waited_seconds", record.waited_ms);
    if record.held_ms > 0 {
        set("redlock_last_held_seconds", record.held_ms);
    }
    // The word of the JSON form, which is a string without special characters.
    let word = serde_json::to_string(&record.outcome).unwrap_or_default();
    let mut add = |name: &str, labels: String, by: u64| {
        let value = samples.entry((name.to_owned(), labels)).or_default();
        *value = value.saturating_add(by);
    };
    add("redlock_runs_total", format!("{lock},outcome={word}"), 1_000);
    add("redlock_waited_seconds_total", lock.to_owned(), record.waited_ms);
    add("redlock_held_seconds_total", lock.to_owned(), record.held_ms);
}

/// A label value: backslash, quote and line feed are escaped.
fn escaped(name: &str) -> String {
    name.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

impl Family {
    fn sample(&self) -> String {
        match self.kind {
            FamilyKind::Gauge => self.name.to_owned(),
            FamilyKind::Counter => format!("{}_total", self.name),
        }
    }
}

/// Samples of other families are never printed.
fn parse(text: &str) -> Samples {
    let sample = |line: &str| {
        // The last brace: a name may have others.
        let (head, value) = line.rsplit_once("} ")?;
        let (name, labels) = head.split_once('{')?;
        Some(((name.to_owned(), labels.to_owned()), thousandths(value)?))
    };
    text.lines().filter_map(sample).collect()
}

/// A number with at most three decimals, in thousandths.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(whole) && digits(part) && (1..=3).contains(&part.len())).then_some(())?;
    let part: u64 = format!("{part:0<3}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(part)
}

fn print(samples: &Samples) -> String {
    let mut text = String::new();
    for family in &FAMILIES {
        let name = family.sample();
        let mut own = samples.iter().filter(|((sample, _), _)| *sample == name).peekable();
        if own.peek().is_none() {
            continue;
        }
        let kind = if family.kind == FamilyKind::Gauge { "gauge" } else { "counter" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {} {}", family.name, family.help);
        let _ = writeln!(text, "# TYPE {} {kind}", family.name);
        for ((_, labels), value) in own {
            let _ = writeln!(text, "{name}{{{labels}}} {}.{:03}", value / 1_000, value % 1_000);
        }
    }
    text.push_str("# EOF\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Exit;

    fn record(name: &str, outcome: RecordedOutcome, code: u8) -> Record {
        let open = Record::open("run", vec![name.to_owned()], "4f");
        let record = open.ended(outcome, Exit::Code(code));
        Record { at_ms: 1_700_000_000_123, waited_ms: 250, held_ms: 1_500, ..record }
    }

    #[test]
    fn records_add_up_and_each_lock_has_its_own() {
        let mut text = String::new();
        for record in [
            record("a", RecordedOutcome::Ran, 0),
            record("a", RecordedOutcome::Ran, 3),
            record("a", RecordedOutcome::Lost, 74),
            record("b", RecordedOutcome::Skipped, 0),
        ] {
            text = updated_metrics(&text, &record);
        }
        for line in [
            "redlock_last_success_timestamp_seconds{lock=\"a\"} 1700000000.123",
            "redlock_last_failure_timestamp_seconds{lock=\"a\"} 1700000000.123",
            "redlock_last_lost_timestamp_seconds{lock=\"a\"} 1700000000.123",
            "redlock_last_skip_timestamp_seconds{lock=\"b\"} 1700000000.123",
            "redlock_runs_total{lock=\"a\",outcome=\"ran\"} 2.000",
            "redlock_runs_total{lock=\"a\",outcome=\"lost\"} 1.000",
            "redlock_waited_seconds_total{lock=\"a\"} 0.750",
            "redlock_held_seconds_total{lock=\"a\"} 4.500",
            "# TYPE redlock_runs counter",
        ] {
            assert!(text.lines().any(|other| other == line), "no {line} in:\n{text}");
        }
        assert!(!text.contains("last_success_timestamp_seconds{lock=\"b\"}"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_strange_name_is_escaped_and_a_strange_text_is_forgotten() {
        let strange = "a\"} 1 \\ {ü";
        let once = updated_metrics(
            "<html>}} 5\nredlock_runs_total{lock=\"x\"",
            &record(strange, RecordedOutcome::Ran, 0),
        );
        let twice = updated_metrics(&once, &record(strange, RecordedOutcome::Ran, 0));
        let line = "redlock_runs_total{lock=\"a\\\"} 1 \\\\ {ü\",outcome=\"ran\"} 2.000";
        assert!(twice.lines().any(|other| other == line), "{twice}");
        assert_eq!(once.lines().count(), twice.lines().count());
    }

    #[test]
    fn a_run_that_never_had_the_lock_leaves_the_time_of_the_last_holder() {
        let held = updated_metrics("", &record("a", RecordedOutcome::Ran, 0));
        assert!(!held.contains("redlock_last_lost_timestamp_seconds{"), "{held}");
        let busy = Record { held_ms: 0, ..record("a", RecordedOutcome::Busy, 75) };
        let held_for = "redlock_last_held_seconds{lock=\"a\"} 1.500";
        assert!(updated_metrics(&held, &busy).contains(held_for));
        assert!(!updated_metrics("", &busy).contains("redlock_last_held_seconds{"));
    }

    #[test]
    fn a_text_of_the_longest_size_is_read_without_what_others_wrote() {
        let own = "redlock_runs_total{lock=\"b\",outcome=\"ran\"} 2.000\n";
        let foreign = "node_load1{lock=\"b\"} 1\n";
        for (length, is_read) in [(METRICS_MAX, true), (METRICS_MAX + 1, false)] {
            let text = format!("{own}{foreign}{}", "#".repeat(length - own.len() - foreign.len()));
            let after = updated_metrics(&text, &record("a", RecordedOutcome::Ran, 0));
            assert_eq!(after.contains(own), is_read, "{length}");
            assert!(!after.contains("node_load1"), "{after}");
        }
    }

    #[test]
    fn numbers_have_at_most_three_decimals() {
        for (text, value) in [
            ("1", Some(1_000)),
            ("1.5", Some(1_500)),
            ("0.004", Some(4)),
            ("", None),
            ("-1", None),
            ("1.2345", None),
            ("1e9", None),
        ] {
            assert_eq!(thousandths(text), value, "{text}");
        }
    }
}
