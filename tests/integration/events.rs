//! `--events`, `--result` and `--metrics`: the record of a run for programs, after every end.

use crate::support::stamps::{self, STAMPING};
use crate::support::{Cluster, Monitor, Run, Running, key_of, until, until_some};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.schema.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The events in the file `e`. Each must fit the schema.
pub(crate) fn events(cluster: &Cluster) -> Vec<Value> {
    let schema = schema();
    let text = fs::read_to_string(cluster.dir().join("e")).unwrap();
    let event = |line: &str| {
        let event: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        check(&schema, &event);
        event
    };
    text.lines().map(event).collect()
}

/// One event has the fields of its kind, with their types, and no other.
fn check(schema: &Value, event: &Value) {
    let kind = event["event"].as_str().unwrap();
    let kinds = schema["oneOf"].as_array().unwrap();
    let is_it = |kind_schema: &&Value| kind_schema["properties"]["event"]["const"] == kind;
    let of_kind = kinds.iter().find(is_it).unwrap_or_else(|| panic!("no schema for {kind}"));
    let properties = of_kind["properties"].as_object().unwrap();
    for (name, value) in event.as_object().unwrap() {
        let property = properties.get(name).unwrap_or_else(|| panic!("{kind}: a field {name}"));
        if let Some(allowed) = property["enum"].as_array() {
            assert!(allowed.contains(value), "{kind}: {name} is {value}");
        }
        let types = match &property["type"] {
            Value::Array(types) => types.clone(),
            Value::Null => continue,
            one => vec![one.clone()],
        };
        let actual = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        assert!(types.contains(&Value::from(actual)), "{kind}: {name} is {value}");
    }
    for required in of_kind["required"].as_array().unwrap() {
        assert!(event.get(required.as_str().unwrap()).is_some(), "{kind} lacks {required}");
    }
}

pub(crate) fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

fn recorded(cluster: &Cluster) -> Run {
    for name in ["e", "r"] {
        let _ = fs::remove_file(cluster.dir().join(name));
    }
    Run::redlock(cluster).args(["run", "--events", "e", "--result", "r"])
}

/// The one result among the events, which must also be in the file of `--result`.
pub(crate) fn result(cluster: &Cluster, label: &str) -> Value {
    let whole = || fs::read_to_string(cluster.dir().join("r")).ok().filter(|text| !text.is_empty());
    let alone: Value = serde_json::from_str(&until_some("there is a result", whole)).unwrap();
    let all = events(cluster);
    assert_eq!(all.last(), Some(&alone), "{label}");
    assert_eq!(kinds(&all).iter().filter(|kind| **kind == "result").count(), 1, "{label}");
    alone
}

#[test]
fn the_page_explains_each_event_and_each_field_of_the_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.md");
    let page = fs::read_to_string(path).unwrap();
    for kind in schema()["oneOf"].as_array().unwrap() {
        for (name, property) in kind["properties"].as_object().unwrap() {
            let words = property["enum"].as_array().cloned().unwrap_or_default();
            let words = words.iter().chain(property.get("const"));
            for word in words.filter_map(Value::as_str).chain([name.as_str()]) {
                assert!(page.contains(&format!("`{word}`")), "docs/events.md lacks {word}");
            }
        }
    }
}

#[test]
fn a_run_is_told_from_its_start_to_its_result() {
    let cluster = Cluster::start(3);
    recorded(&cluster)
        .args(["-v", "--ttl", "600ms", "a", "--", "sleep", "0.5"])
        .finish()
        .expect("run", 0);
    let result = result(&cluster, "run");
    assert_eq!((&result["outcome"], &result["ran"]), (&Value::from("ran"), &Value::from(true)));
    let all = events(&cluster);
    let mut seen = kinds(&all);
    assert!(seen.contains(&"extended"), "{seen:?}");
    seen.retain(|kind| !["extended", "instance_back", "instance_lost"].contains(kind));
    let order = ["acquired", "command_started", "command_ended", "released", "result"];
    assert_eq!(seen, order);
    assert!(result["held_ms"].as_u64().unwrap() >= 500, "{result}");
    assert!(all.iter().all(|event| event["id"] == result["id"]), "one run has one id");
}

#[test]
fn a_wait_a_loss_and_a_kill_are_told() {
    let cluster = Cluster::start(3);
    let holder = crate::support::hold(&cluster, "busy", &[]);
    let waiting = recorded(&cluster).args(["busy", "--", "true"]).spawn();
    waiting.until_stderr("waiting for");
    waiting.signal(Signal::SIGTERM);
    waiting.wait().expect_death("a signal", Signal::SIGTERM);
    let waited = result(&cluster, "interrupted");
    assert_eq!(
        (&waited["outcome"], &waited["signal"]),
        (&Value::from("interrupted"), &Value::from(15))
    );
    let all = events(&cluster);
    assert_eq!(kinds(&all), ["waiting", "result"]);
    assert_eq!(all[0]["holder"]["client"], "redlock", "{}", all[0]);
    holder.finish().expect("holder", 0);
    lost_and_killed(&cluster);
}

fn running(run: Run) -> Running {
    let running = run.args(["a", "--"]).args(crate::support::HOLD).spawn();
    running.until_ready();
    running
}

fn lost_and_killed(cluster: &Cluster) {
    let lost = running(recorded(cluster).args(["--ttl", "600ms"]));
    (0..3).for_each(|i| cluster.occupy(i, &key_of("a")));
    lost.wait().expect("lost", 74);
    assert_eq!(result(cluster, "lost")["outcome"], "lost");
    let all = events(cluster);
    let seen = kinds(&all);
    let at = |kind: &str| seen.iter().position(|other| *other == kind).unwrap();
    assert!(at("lost") < at("stopping") && at("stopping") < at("command_ended"), "{seen:?}");
    (0..3).for_each(|i| drop(cluster.cli(i, &["DEL", &key_of("a")])));
    let killed = running(recorded(cluster).args(["--fence"]));
    killed.signal(Signal::SIGKILL);
    let written = result(cluster, "kill -9 of redlock");
    assert_eq!(
        (&written["outcome"], &written["ran"]),
        (&Value::from("failed"), &Value::from(true))
    );
    assert_eq!((&written["exit_code"], &written["signal"]), (&Value::Null, &Value::Null));
    assert!(written["fence"].is_u64(), "{written}");
    cluster.until_no_process_is_left();
}

#[test]
fn a_keeper_has_its_result() {
    let cluster = Cluster::start(3);
    let step = |words: &[&str]| {
        for name in ["e", "r"] {
            let _ = fs::remove_file(cluster.dir().join(name));
        }
        Run::redlock(&cluster).args(words).args(["--events", "e", "--result", "r"]).finish()
    };
    step(&["hold", "b", "--background", "--fence", "--max-hold", "1h", "--handle", "h"])
        .expect("keeper", 0);
    Run::redlock(&cluster).args(["release", "--handle", "h"]).finish().expect("release", 0);
    let kept = result(&cluster, "keeper");
    assert_eq!(kept["outcome"], "released");
    assert!(kept["fence"].is_u64(), "{kept}");
}

#[test]
fn a_reader_that_does_not_read_delays_no_end_of_a_command() {
    let mut cluster = Cluster::start(3);
    // A full pipe that no process reads.
    let script = r#"mkfifo f r; sleep 600 <>f & exec 3<>f
        python3 -c 'import os; os.set_blocking(3, False)
while True:
    try: os.write(3, b"x" * 4096)
    except BlockingIOError: break'
        python3 -c 'import os; os.set_blocking(3, True)'
        "$RL" run -v --ttl 2s --events fd:3 --result r2 a -- bash -c "$STAMPING"
        echo "code $?"; kill %1"#;
    let monitors: Vec<_> = (0..2).map(|i| Monitor::of(&cluster, i)).collect();
    let run = Run::program(&cluster, "bash").env("STAMPING", STAMPING);
    let running = run.args(["-c", script]).spawn();
    running.until_ready();
    monitors[0].until_extended(&key_of("a"), 2);
    (0..2).for_each(|i| cluster.kill(i));
    running.until_stdout("code 74");
    let last = |monitor: &Monitor| monitor.last_expiry_set(&key_of("a"));
    let expiry = monitors.iter().map(last).max().unwrap() + Duration::from_secs(2);
    let dead = stamps::last(&cluster);
    assert!(dead < expiry, "{:?} after the lock had expired", dead.saturating_sub(expiry));
    let text = fs::read_to_string(cluster.dir().join("r2")).unwrap();
    let result: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(result["outcome"], "lost");
    assert!(result["lost_lines"].as_u64().unwrap() > 3, "{result}");
    running.finish();
}

#[test]
fn a_descriptor_of_the_events_is_not_for_the_command() {
    let cluster = Cluster::start(3);
    let script = r#""$RL" run --events fd:5 a -- sh -c 'ls /proc/self/fd | grep -x 5; true' 5>e"#;
    let output = Run::shell(&cluster, script).finish().expect("run", 0);
    assert_eq!(output.out(), "");
    assert_eq!(*kinds(&events(&cluster)).last().unwrap(), "result");
    let closed = Run::shell(&cluster, r#""$RL" run --events fd:9 a -- true"#).finish();
    closed.expect("a closed one", 64).expect_words("closed", &["cannot write --events"]);
    let reader = Run::shell(&cluster, r#"mkfifo p; "$RL" run --events p --result q a -- true"#);
    reader.finish().expect("a pipe that has no reader", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn metrics_of_many_runs_and_of_killed_ones_are_a_valid_file() {
    let cluster = Cluster::start(3);
    let run = |name: &str, command: &[&str]| {
        let run = Run::redlock(&cluster).args(["run", "--metrics", "m.prom", name, "--"]);
        run.args(command).spawn()
    };
    let strange = "a \"quoted\\ n\u{fc}\" } 1";
    let running: Vec<_> = (0..6).map(|_| run(strange, &["true"])).collect();
    for one in running {
        one.finish().expect("run", 0);
    }
    run("b", &["sh", "-c", "exit 3"]).finish().expect("run", 3);
    let killed = run("c", &crate::support::HOLD);
    killed.until_ready();
    killed.signal(Signal::SIGKILL);
    let read = || fs::read_to_string(cluster.dir().join("m.prom")).unwrap_or_default();
    until("the guardian has written", || read().contains("lock=\"c\",outcome=\"failed\"} 1.000"));
    let text = read();
    let label = "lock=\"a \\\"quoted\\\\ n\u{fc}\\\" } 1\"";
    let line = format!("redlock_runs_total{{{label},outcome=\"ran\"}} 6.000");
    assert!(text.lines().any(|other| other == line), "no {line} in {text}");
    assert!(text.contains("redlock_last_failure_timestamp_seconds{lock=\"b\"}"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    cluster.until_no_process_is_left();
}

#[test]
fn messages_have_priorities_where_stderr_is_the_journal() {
    let cluster = Cluster::start(3);
    let holder = crate::support::hold(&cluster, "busy", &[]);
    let script = r#"exec 2>journal; export JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2)
        "$RL" run -n busy -- true; "$RL" run -u one busy -- true; "$RL" run -n busy -- true 2>other"#;
    Run::shell(&cluster, script).finish().expect("busy", 75);
    holder.finish().expect("holder", 0);
    let read = |name: &str| fs::read_to_string(cluster.dir().join(name)).unwrap();
    let journal = read("journal");
    let lines: Vec<&str> = journal.lines().collect();
    assert!(lines[0].starts_with("<4>redlock: 'busy' is busy"), "{journal}");
    assert!(lines[1].starts_with("<3>redlock: "), "{journal}");
    assert!(read("other").starts_with("redlock: "), "another stream is not the journal");
}
