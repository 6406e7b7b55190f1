//! Every end of `run`, `acquire` and `hold`, by the table of exit codes: one result for each, which
//! the schema of the events describes; and places of the record that cannot be written.

use crate::events::{events, kinds, result};
use crate::support::{Cluster, HOLD, Output, Run, hold, key_of, processes};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A verb whose events are in `e` and whose result is in `r`, both new.
fn recorded(cluster: &Cluster, verb: &str) -> Run {
    for name in ["e", "r"] {
        let _ = fs::remove_file(cluster.dir().join(name));
    }
    let run = Run::redlock(cluster).args([verb, "--events", "e", "--result", "r"]);
    run.with_default_signals()
}

/// An end: exit code or 128 and the number of a signal, and the outcome.
type Told = (i32, &'static str);

/// Compares the result with the end of the process.
fn compare(cluster: &Cluster, label: &str, output: &Output, (code, outcome): Told) {
    let result = result(cluster, label);
    assert_eq!(result["outcome"], outcome, "{label}: {result} {}", output.stderr);
    let told = result["exit_code"].as_i64();
    let signal = result["signal"].as_i64().map(|number| 128 + number);
    assert_eq!(told.or(signal), Some(i64::from(code)), "{label}: {result} {}", output.stderr);
    assert_eq!(output.status.code().map(i64::from), told, "{label}: {}", output.stderr);
}

/// Options with which each verb ends before it has the lock, and that end.
const WITHOUT_THE_LOCK: [(&[&str], Told); 7] = [
    (&["-n", "busy"], (75, "busy")),
    (&["-n", "-E", "9", "busy"], (9, "busy")),
    (&["--restart-guard", "1s", "a"], (64, "refused")),
    (&["-n", "-u", "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3", "a"], (69, "no_quorum")),
    (&["--password-file", "password", "a"], (77, "refused")),
    (&["-n", "--slots", "2", "busy"], (78, "refused")),
    (&["--config", "./none.toml", "a"], (78, "refused")),
];

/// Runs a verb into each of those ends, and ends its wait by a signal. Returns the exit codes.
fn without_the_lock(cluster: &Cluster, verb: &str, rest: &[&str]) -> BTreeSet<i32> {
    let password = cluster.dir().join("password");
    fs::write(&password, "of no server").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let busy = hold(cluster, "busy", &[]);
    for (options, told) in WITHOUT_THE_LOCK {
        let label = format!("{verb} {options:?}");
        let run = recorded(cluster, verb).args(["--ttl", "1m"]).args(options).args(rest);
        compare(cluster, &label, &run.finish(), told);
    }
    let waiting = recorded(cluster, verb).args(["--ttl", "1m", "busy"]).args(rest).spawn();
    waiting.until_stderr("waiting for");
    waiting.signal(Signal::SIGTERM);
    compare(cluster, "a signal", &waiting.wait(), (143, "interrupted"));
    assert_eq!(kinds(&events(cluster)), ["waiting", "result"]);
    busy.finish().expect("holder", 0);
    WITHOUT_THE_LOCK.iter().map(|(_, (code, _))| *code).chain([143]).collect()
}

/// The exit codes were exactly those of the contract.
fn covers(met: &BTreeSet<i32>, contract: &[i32]) {
    assert_eq!(met, &contract.iter().copied().collect());
}

#[test]
fn every_end_of_a_run_has_its_result() {
    let cluster = Cluster::start(3);
    let mut met = without_the_lock(&cluster, "run", &["--", "true"]);
    let ends: [(&[&str], Told); 9] = [
        (&["a", "--", "true"], (0, "ran")),
        (&["a", "--", "sh", "-c", "exit 7"], (7, "ran")),
        (&["a", "--", "sh", "-c", "exit 75"], (75, "ran")),
        (&["a", "--", "sh", "-c", "kill -9 $$"], (137, "ran")),
        (&["--max-runtime", "100ms", "a", "--", "sleep", "60"], (124, "overtime")),
        (&["a", "--", "./none"], (127, "cannot_run")),
        (&["a", "--", "/"], (126, "cannot_run")),
        (&["--fence", "a", "--", "true"], (0, "ran")),
        (&["--wait-descendants", "a", "--", "true"], (0, "ran")),
    ];
    for (words, told) in ends {
        compare(
            &cluster,
            &format!("{words:?}"),
            &recorded(&cluster, "run").args(words).finish(),
            told,
        );
        met.insert(told.0);
    }
    let holder = hold(&cluster, "a", &[]);
    let skipped = recorded(&cluster, "run").args(["--if-busy", "skip", "a", "--", "true"]).finish();
    compare(&cluster, "skipped", &skipped, (0, "skipped"));
    holder.finish().expect("holder", 0);
    let running = |options: &[&str]| {
        let run = recorded(&cluster, "run").args(options).args(["a", "--"]).args(HOLD).spawn();
        run.until_ready();
        run
    };
    let lost = running(&["--ttl", "600ms"]);
    (0..3).for_each(|i| cluster.occupy(i, &key_of("a")));
    compare(&cluster, "lost", &lost.wait(), (74, "lost"));
    (0..3).for_each(|i| drop(cluster.cli(i, &["DEL", &key_of("a")])));
    let unguarded = running(&[]);
    let guardian = processes::children(unguarded.pid());
    processes::send(guardian[0], Signal::SIGKILL);
    compare(&cluster, "without its guardian", &unguarded.wait(), (125, "failed"));
    met.extend([74, 125]);
    covers(&met, &[0, 7, 9, 64, 69, 74, 75, 77, 78, 124, 125, 126, 127, 137, 143]);
}

#[test]
fn every_end_of_an_acquisition_has_its_result() {
    let cluster = Cluster::start(3);
    let mut met = without_the_lock(&cluster, "acquire", &[]);
    let acquire = |words: &[&str]| recorded(&cluster, "acquire").args(words).finish();
    compare(&cluster, "no ttl", &acquire(&["a"]), (64, "refused"));
    let no_directory = acquire(&["a", "--ttl", "1m", "--handle", "none/h"]);
    compare(&cluster, "no directory", &no_directory, (64, "refused"));
    compare(&cluster, "acquired", &acquire(&["a", "--ttl", "1m"]), (0, "acquired"));
    assert_eq!(kinds(&events(&cluster)), ["acquired", "result"]);
    compare(&cluster, "full", &to_full_disk(&cluster, "acquire --ttl 1m"), (125, "failed"));
    met.extend([0, 125]);
    covers(&met, &[0, 9, 64, 69, 75, 77, 78, 125, 143]);
}

/// A verb whose handle goes to a full disk.
fn to_full_disk(cluster: &Cluster, words: &str) -> Output {
    let script = format!(r#"rm e r; "$RL" {words} --events e --result r b >/dev/full"#);
    Run::shell(cluster, &script).finish()
}

#[test]
fn every_end_of_a_hold_has_its_result() {
    let cluster = Cluster::start(3);
    let mut met = without_the_lock(&cluster, "hold", &[]);
    let holding = |options: &[&str]| {
        let run = recorded(&cluster, "hold").args(["a"]).args(options).spawn();
        run.until_stdout("redlock_handle");
        run
    };
    compare(&cluster, "the input", &holding(&["--until-eof"]).finish(), (0, "released"));
    let order = ["acquired", "released", "result"];
    assert_eq!(kinds(&events(&cluster)), order);
    let overtime = holding(&["--max-hold", "100ms"]).wait();
    compare(&cluster, "the time", &overtime, (124, "overtime"));
    let signaled = holding(&[]);
    signaled.signal(Signal::SIGTERM);
    compare(&cluster, "a signal", &signaled.wait(), (143, "released"));
    assert_eq!(kinds(&events(&cluster)), order);
    let lost = holding(&["--ttl", "600ms"]);
    (0..3).for_each(|i| cluster.occupy(i, &key_of("a")));
    compare(&cluster, "lost", &lost.wait(), (74, "lost"));
    compare(&cluster, "full", &to_full_disk(&cluster, "hold"), (125, "failed"));
    met.extend([0, 74, 124, 125]);
    covers(&met, &[0, 9, 64, 69, 74, 75, 77, 78, 124, 125, 143]);
}

#[test]
fn a_record_that_cannot_be_written_locks_nothing_and_the_other_files_say_so() {
    let cluster = Cluster::start(3);
    fs::create_dir(cluster.dir().join("folder")).unwrap();
    let verbs: [(&[&str], &[&str]); 4] = [
        (&["run"], &["a", "--", "touch", "ran"]),
        (&["acquire", "--ttl", "1m"], &["a"]),
        (&["hold", "--max-hold", "1s"], &["a"]),
        (&["hold", "--background", "--max-hold", "1h"], &["a"]),
    ];
    let places = [
        ("--events", "none/e"),
        ("--events", "folder"),
        ("--events", "fd:99"),
        ("--events", "fd:x"),
        ("--result", "none/r"),
        ("--result", "folder"),
        ("--result", "/dev/null"),
        ("--metrics", "none/m"),
        ("--metrics", "/dev/null"),
    ];
    for ((verb, rest), (option, place)) in
        verbs.iter().flat_map(|verb| places.map(|place| (verb, place)))
    {
        let label = format!("{verb:?} {option} {place}");
        let all = [("--events", "e"), ("--result", "r"), ("--metrics", "m")];
        for (_, name) in all {
            let _ = fs::remove_file(cluster.dir().join(name));
        }
        let others = all.iter().filter(|(other, _)| *other != option);
        let words = others.clone().flat_map(|(other, name)| [*other, *name]);
        let run = Run::redlock(&cluster).args(*verb).args([option, place]).args(words).args(*rest);
        let output = run.finish().expect(&label, 64).expect_words(&label, &[option]);
        assert_eq!(output.stderr.lines().count(), 1, "{label}: {}", output.stderr);
        for (other, name) in others {
            let text = fs::read_to_string(cluster.dir().join(name)).expect(&label);
            assert!(text.contains("refused"), "{label}, {other}: {text}");
        }
    }
    assert!(!cluster.dir().join("ran").exists());
    cluster.until_no_key_is_left();
    cluster.until_no_process_is_left();
}
