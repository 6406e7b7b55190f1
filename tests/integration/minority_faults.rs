//! A lock that is held is held to the end, whatever a minority of the instances does.

use crate::support::clock::{let_pass, now, since};
use crate::support::processes::children;
use crate::support::{Cluster, Monitor, Run, hold, until};
use std::fs;
use std::time::Duration;

const KEY: &str = "redlock:job";

/// Three TTLs, in rounds of a third of a TTL each.
const NINE_ROUNDS: usize = 9;

#[test]
fn a_lock_is_held_to_the_end_and_a_second_contender_gets_in_only_after_it() {
    let cluster = Cluster::start(5);
    let work = ["run", "--ttl", "1s", "job", "--", "sh", "-c"];
    let work_long = "echo begin >>log; echo ready; sleep 5; echo end >>log";
    let first = Run::redlock(&cluster).args(work).args([work_long]).spawn();
    first.until_ready();
    let value = cluster.get(0, KEY);
    let second =
        Run::redlock(&cluster).args(work).args(["echo begin >>log; echo end >>log"]).spawn();
    let log = || fs::read_to_string(cluster.dir().join("log")).expect("a log");
    until("the first has ended", || {
        let holders: Vec<_> = (0..5).map(|i| cluster.get(i, KEY)).collect();
        let ended = log().contains("end");
        let ours = holders.iter().filter(|holder| **holder == value).count();
        assert!(
            ended || ours >= 3,
            "only {ours} instances kept the key, the others have {holders:?}"
        );
        ended
    });
    assert_eq!(first.wait().expect("the first", 0).stderr, "", "success is silent");
    second.wait().expect("the second", 0);
    assert_eq!(log(), "begin\nend\nbegin\nend\n", "they overlapped");
    cluster.until_no_key_is_left();
}

#[test]
fn a_guardian_wakes_for_a_new_deadline_and_for_nothing_else() {
    let cluster = Cluster::start(3);
    let monitor = Monitor::of(&cluster, 0);
    let running = hold(&cluster, "job", &["--ttl", "1s"]);
    let [guardian] = children(running.pid())[..] else { panic!("one guardian") };
    let wakes = || {
        let status = fs::read_to_string(format!("/proc/{guardian}/status")).expect("it is there");
        let count = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
            .expect("a count");
        count.trim().parse::<usize>().expect("a number")
    };
    monitor.until_extended(KEY, 1);
    let before = wakes();
    monitor.until_extended(KEY, 1 + NINE_ROUNDS);
    let wakes = wakes() - before;
    // Each of the three servers may move the deadline, and the guardian may still be busy with the
    // one before.
    assert!(
        (NINE_ROUNDS..=3 * (NINE_ROUNDS + 1)).contains(&wakes),
        "{wakes} wake-ups in {NINE_ROUNDS} rounds"
    );
    running.finish().expect("held", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn two_of_five_servers_die_one_after_the_other_and_the_run_goes_on() {
    let mut cluster = Cluster::start(5);
    let monitor = Monitor::of(&cluster, 4);
    let mut running = hold(&cluster, "job", &["--ttl", "1s"]);
    for i in 0..2 {
        cluster.kill(i);
        monitor.until_extended(KEY, NINE_ROUNDS);
        running.assert_goes_on("a minority is dead");
    }
    running.finish().expect("two of five died", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn two_of_five_servers_hang_and_the_run_goes_on() {
    let mut cluster = Cluster::start(5);
    let monitor = Monitor::of(&cluster, 4);
    let mut running = hold(&cluster, "job", &["--ttl", "1s"]);
    (0..2).for_each(|i| cluster.stop(i));
    monitor.until_extended(KEY, NINE_ROUNDS);
    running.assert_goes_on("a minority hangs");
    running.finish().expect("two of five hung", 0);
    (0..2).for_each(|i| cluster.cont(i));
    cluster.until_no_key_is_left();
}

#[test]
fn a_majority_that_hangs_for_a_moment_ends_no_run() {
    let mut cluster = Cluster::start(5);
    let monitor = Monitor::of(&cluster, 0);
    let mut running = hold(&cluster, "job", &["--ttl", "4s"]);
    monitor.until_extended(KEY, 1);
    (0..3).for_each(|i| cluster.stop(i));
    // Longer than a round and an operation together. It ends a second before the stop line.
    let_pass(Duration::from_millis(1700));
    (0..3).for_each(|i| cluster.cont(i));
    monitor.until_extended(KEY, NINE_ROUNDS / 2);
    running.assert_goes_on("it was only a blip");
    running.finish().expect("it was only a blip", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_deleted_key_is_back_in_the_next_round_and_then_another_may_go() {
    let cluster = Cluster::start(5);
    let monitors: Vec<_> = (0..5).map(|i| Monitor::of(&cluster, i)).collect();
    let mut running = hold(&cluster, "job", &["--ttl", "1s"]);
    let value = cluster.get(4, KEY);
    assert!(value.is_some(), "the key is held");
    for (i, monitor) in monitors.iter().enumerate() {
        cluster.cli(i, &["DEL", KEY]);
        let deleted = now();
        until("the key is back", || cluster.get(i, KEY) == value);
        assert!(
            since(deleted) < Duration::from_secs(1),
            "it was not the next round that set the key again"
        );
        assert!(cluster.pttl(i, KEY) > 0, "a key without an expiry");
        // One more extension, so that the instance is a member again before the next one loses its
        // key.
        monitor.until_extended(KEY, 2);
        running.assert_goes_on("one key at a time was deleted");
    }
    running.finish().expect("one key at a time was deleted", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_server_that_hangs_through_the_whole_run_keeps_no_ghost() {
    let mut cluster = Cluster::start(3);
    let monitor = Monitor::of(&cluster, 0);
    for round in 1..=8 {
        cluster.stop(0);
        Run::redlock(&cluster)
            .args(["run", "--ttl", "1m", "job", "--", "true"])
            .finish()
            .expect("two of three", 0);
        cluster.cont(0);
        until("the late SET has come", || monitor.attempts(KEY).len() == round);
        cluster.until_no_key_is_left();
    }
}

#[test]
fn a_server_without_memory_extends_and_releases() {
    let cluster = Cluster::start(5);
    let monitors: Vec<_> = (0..5).map(|i| Monitor::of(&cluster, i)).collect();
    let mut running = hold(&cluster, "job", &["--ttl", "1s"]);
    for (i, monitor) in monitors.iter().enumerate() {
        until("the instance has the key", || cluster.get(i, KEY).is_some());
        cluster.cli(i, &["CONFIG", "SET", "maxmemory", "1"]);
        assert_eq!(monitor.attempts(KEY).len(), 1, "there was one attempt");
    }
    for monitor in &monitors {
        monitor.until_extended(KEY, NINE_ROUNDS / 2);
    }
    running.assert_goes_on("no server has memory");
    let refused = Run::redlock(&cluster).args(["run", "-n", "other", "--", "true"]).finish();
    refused
        .expect("a new lock needs memory", 69)
        .expect_words("a new lock needs memory", &["memory"]);
    running.finish().expect("no server had memory", 0);
    cluster.until_no_key_is_left();
}
