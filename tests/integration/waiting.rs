//! Waiting for a lock: its length, its messages, and its ends.

use crate::support::clock::{let_pass, now, since};
use crate::support::servers::FOREIGN;
use crate::support::{Cluster, Monitor, Run, Running, hold, key_of, until};
use nix::sys::signal::Signal;
use std::time::Duration;

const KEY: &str = "redlock:turn";

/// A contender that certainly waits and has its place in the queue.
fn contender(cluster: &Cluster, options: &[&str]) -> Running {
    let run =
        Run::redlock(cluster).with_default_signals().args(["run", "--ttl", "1m"]).args(options);
    let running = run.args(["turn", "--", "sh", "-c", "echo ran"]).spawn();
    until("it stands in line", || cluster.in_line(0, KEY) == 1);
    running
}

#[test]
fn a_signal_ends_the_wait_and_leaves_no_key() {
    let cluster = Cluster::start(5);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        (0..3).for_each(|i| cluster.occupy(i, KEY));
        let running = contender(&cluster, &[]);
        running.signal(signal);
        let output = running.wait().expect_death("while it waits", signal);
        assert_eq!(output.out(), "", "{signal}: the command ran");
        for i in 0..3 {
            assert_eq!(
                cluster.get(i, KEY).as_deref(),
                Some(FOREIGN),
                "{signal}: the holder's key was touched"
            );
            cluster.cli(i, &["DEL", KEY]);
        }
        cluster.until_no_key_is_left();
    }
}

#[test]
fn a_signal_ends_the_wait_for_servers_that_do_not_answer() {
    let mut cluster = Cluster::start(3);
    let monitor = Monitor::of(&cluster, 2);
    (0..2).for_each(|i| cluster.stop(i));
    for (rounds, signal) in [(1, Signal::SIGINT), (2, Signal::SIGTERM)] {
        let args = ["run", "--ttl", "4m", "--op-timeout", "10s", "turn", "--", "true"];
        let running = Run::redlock(&cluster).with_default_signals().args(args).spawn();
        until("it has tried", || monitor.attempts(KEY).len() >= rounds);
        let start = now();
        running.signal(signal);
        running.wait().expect_death("while it waits", signal);
        let took = since(start);
        assert!(
            took < Duration::from_secs(2),
            "{signal}: there is nothing to wait for, and yet it took {took:?}"
        );
    }
    (0..2).for_each(|i| cluster.cont(i));
    cluster.until_no_key_is_left();
}

#[test]
fn an_ignored_interrupt_stays_ignored() {
    let cluster = Cluster::start(3);
    (0..3).for_each(|i| cluster.occupy(i, KEY));
    let script = r#"trap '' INT; exec "$RL" run turn -- sh -c 'kill -INT $$; echo survived'"#;
    let mut running = Run::shell(&cluster, script).spawn();
    running.until_stderr("redlock: ");
    running.signal(Signal::SIGINT);
    (0..3).for_each(|i| drop(cluster.cli(i, &["DEL", KEY])));
    running.assert_goes_on("the interrupt is ignored");
    assert_eq!(running.finish().expect("the interrupt is ignored", 0).out(), "survived\n");
}

#[test]
fn a_run_that_does_not_wait_leaves_at_once() {
    let mut cluster = Cluster::start(5);
    (0..5).for_each(|i| cluster.occupy(i, KEY));
    let refused = |cluster: &Cluster, label: &str| {
        let start = now();
        let args = ["run", "-n", "--ttl", "2m", "--op-timeout", "10s", "turn", "--", "true"];
        Run::redlock(cluster).args(args).finish().expect(label, 75);
        let took = since(start);
        assert!(took < Duration::from_secs(5), "{label}: all was known, and yet it took {took:?}");
    };
    refused(&cluster, "all five say no");
    cluster.kill(0);
    refused(&cluster, "four say no, and one is dead");
}

#[test]
fn a_run_that_does_not_wait_leaves_at_once_wherever_the_holder_has_its_quorum() {
    let cluster = Cluster::start(5);
    for first in 0..5 {
        let held = [first, (first + 1) % 5, (first + 2) % 5];
        for i in held {
            cluster.occupy(i, KEY);
        }
        for options in [&["-n"][..], &["-w", "0"], &["--if-busy", "fail"]] {
            let start = now();
            let limit = ["--ttl", "2m", "--op-timeout", "5s"];
            Run::redlock(&cluster)
                .args(["run", "turn"])
                .args(limit)
                .args(options)
                .args(["--", "true"])
                .finish()
                .expect("busy", 75);
            let took = since(start);
            assert!(
                took < Duration::from_secs(2),
                "held on {held:?}, {options:?}: it took {took:?}"
            );
        }
        for i in held {
            cluster.cli(i, &["DEL", KEY]);
        }
    }
}

#[test]
fn of_runs_that_come_at_once_and_do_not_wait_one_gets_in_and_the_others_leave() {
    let cluster = Cluster::start(5);
    for round in 0..5 {
        let start = now();
        let args = [
            "run",
            "--ttl",
            "2m",
            "--op-timeout",
            "5s",
            "-n",
            "turn",
            "--",
            "sh",
            "-c",
            "echo ready; cat",
        ];
        let mut running: Vec<_> =
            (0..4).map(|_| Run::redlock(&cluster).args(args).spawn()).collect();
        until("three have left", || {
            running.iter_mut().map(Running::goes_on).filter(|goes_on| *goes_on).count() <= 1
        });
        let took = since(start);
        for mut running in running {
            if running.goes_on() {
                running.until_ready();
                running.finish().expect("the one", 0);
            } else {
                running.wait().expect("the others", 75);
            }
        }
        assert!(took < Duration::from_secs(3), "round {round}: the others left after {took:?}");
    }
    cluster.until_no_key_is_left();
}

#[test]
fn the_wait_ends_when_its_time_is_over_and_not_before() {
    let cluster = Cluster::start(3);
    (0..3).for_each(|i| cluster.occupy(i, KEY));
    for (label, wait, least) in [("300ms", "300ms", 300), ("a bare number is seconds", "1", 1000)] {
        let start = now();
        Run::redlock(&cluster)
            .args(["run", "-w", wait, "turn", "--", "true"])
            .finish()
            .expect(label, 75);
        let waited = since(start);
        assert!(waited >= Duration::from_millis(least), "{label}: it left after {waited:?}");
        assert!(
            waited < Duration::from_millis(least + 1500),
            "{label}: it left after {waited:?} only"
        );
    }
}

#[test]
fn a_waiting_run_gets_in_soon_after_the_release() {
    let cluster = Cluster::start(5);
    let holder = hold(&cluster, "turn", &["--ttl", "30s"]);
    let waiting = contender(&cluster, &[]);
    holder.finish().expect("the holder", 0);
    let released = now();
    assert_eq!(waiting.wait().expect("free now", 0).out(), "ran\n");
    assert!(since(released) < Duration::from_secs(5), "it slept through the release");
    cluster.until_no_key_is_left();
}

#[test]
fn a_waiting_run_gets_in_when_the_key_of_a_dead_holder_expires() {
    let cluster = Cluster::start(5);
    let dead = hold(&cluster, "turn", &["--ttl", "3s"]);
    dead.signal(Signal::SIGKILL);
    let start = now();
    let next = Run::redlock(&cluster).args(["run", "--ttl", "3s", "turn", "--", "true"]).finish();
    next.expect("the dead holder costs one TTL", 0);
    assert!(since(start) < Duration::from_secs(6), "it cost more than a TTL and a moment");
}

#[test]
fn a_quorum_that_comes_back_is_waited_for() {
    let mut cluster = Cluster::start(3);
    (0..2).for_each(|i| cluster.kill(i));
    let running =
        Run::redlock(&cluster).args(["run", "turn", "--", "sh", "-c", "echo ran"]).spawn();
    running.until_stderr("redlock: ");
    (0..2).for_each(|i| cluster.restart(i));
    assert_eq!(running.wait().expect("the servers are back", 0).out(), "ran\n");
    cluster.until_no_key_is_left();
}

#[test]
fn after_a_second_one_line_names_the_holder() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, "turn", &["--reason", "deploy 42"]);
    let value: serde_json::Value =
        serde_json::from_str(&cluster.get(0, &key_of("turn")).unwrap()).unwrap();
    let start = now();
    let mut waiting = Run::redlock(&cluster).args(["run", "turn", "--", "true"]).spawn();
    waiting.until_stderr("\n");
    let first = since(start);
    assert!(first >= Duration::from_millis(900), "it spoke after {first:?}");
    assert!(first < Duration::from_secs(4), "it spoke after {first:?} only");
    // By now, the run could have printed another line.
    let_pass(Duration::from_millis(1500));
    waiting.assert_goes_on("it waits");
    holder.finish().expect("the holder", 0);
    let output = waiting.wait().expect("its turn", 0);
    let owner = value["owner"].as_str().expect("an owner");
    let output = output.expect_words("the waiting line", &["waiting", "turn", owner, "deploy 42"]);
    assert_eq!(output.stderr.lines().count(), 1, "one line is enough: {}", output.stderr);
}
