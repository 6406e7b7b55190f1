//! A lost lock: the command is dead before another run can have the lock.

use crate::support::clock::{now, since};
use crate::support::processes::{children, stop};
use crate::support::servers::FOREIGN;
use crate::support::stamps::{self, STAMPING};
use crate::support::{Cluster, HOLD, Monitor, Run, Running, hold, key_of, until};
use nix::sys::signal::Signal;
use std::fs;
use std::time::Duration;

const KEY: &str = "redlock:job";
const TTL: Duration = Duration::from_secs(2);

fn start(cluster: &Cluster, options: &[&str], script: &str) -> Running {
    let run =
        Run::redlock(cluster).with_default_signals().args(["run", "--ttl", "2s"]).args(options);
    let running = run.args(["job", "--", "bash", "-c", script]).spawn();
    running.until_ready();
    running
}

/// The time from the end of the command to the moment at which another run could get in. That is
/// the expiry with rank `rank`, from the latest, of the keys on these servers. Fails if the command
/// lived longer.
fn dead_before_expiry(cluster: &Cluster, monitors: &[Monitor], rank: usize) -> Duration {
    let mut expiries: Vec<_> =
        monitors.iter().map(|monitor| monitor.last_expiry_set(KEY) + TTL).collect();
    expiries.sort_unstable();
    let (dead, expiry) = (stamps::last(cluster), expiries[expiries.len() - 1 - rank]);
    assert!(
        dead < expiry,
        "the command lived for {:?} after its lock had expired",
        dead.saturating_sub(expiry)
    );
    expiry.saturating_sub(dead)
}

/// Runs `script` under a lock, does `before` to redlock, and kills three of five servers.
fn three_of_five_die(script: &str, before: impl FnOnce(&Running)) {
    let mut cluster = Cluster::start(5);
    let monitors: Vec<_> = (0..3).map(|i| Monitor::of(&cluster, i)).collect();
    let running = start(&cluster, &[], script);
    monitors[0].until_extended(KEY, 2);
    before(&running);
    (0..3).for_each(|i| cluster.kill(i));
    let output = running.wait().expect("lost", 74);
    output.expect_words("lost", &["lost", "job"]);
    cluster.until_no_process_is_left();
    // The two servers that are left have later expiries than the three that died.
    let early = dead_before_expiry(&cluster, &monitors, 0);
    assert!(early < TTL / 2, "silence is no loss, and yet the command was dead {early:?} early");
    cluster.until_no_key_is_left();
}

#[test]
fn of_several_names_the_loss_of_any_is_one() {
    let cluster = Cluster::start(3);
    for lost in ["a", "m", "z"] {
        let run = Run::redlock(&cluster)
            .args(["run", "--ttl", "2s", "-l", "a", "-l", "m", "-l", "z", "--"]);
        let running = run.args(HOLD).spawn();
        running.until_ready();
        (0..2).for_each(|i| drop(cluster.cli(i, &["SET", &key_of(lost), FOREIGN])));
        running
            .wait()
            .expect(lost, 74)
            .expect_words(lost, &["lost", "too few instances still have the key"]);
        (0..2).for_each(|i| drop(cluster.cli(i, &["DEL", &key_of(lost)])));
        cluster.until_no_key_is_left();
    }
}

#[test]
fn three_of_five_servers_die_and_the_command_is_dead_before_the_deadline() {
    three_of_five_die(STAMPING, |_| {});
}

#[test]
fn a_command_that_ignores_term_is_dead_before_the_deadline_too() {
    three_of_five_die(&format!("trap '' TERM; {STAMPING}"), |_| {});
}

#[test]
fn a_guardian_that_was_stopped_kills_all_the_same() {
    three_of_five_die(STAMPING, |running| {
        let [guardian] = children(running.pid())[..] else { panic!("one guardian") };
        stop(guardian);
    });
}

#[test]
fn a_daemon_that_the_command_left_is_dead_before_the_deadline_too() {
    three_of_five_die(&format!("trap '' TERM; (setsid bash -c '{STAMPING}' &); sleep 60"), |_| {});
}

#[test]
fn servers_that_hang_have_the_command_dead_before_another_can_get_in() {
    let mut cluster = Cluster::start(5);
    let monitors: Vec<_> = (0..3).map(|i| Monitor::of(&cluster, i)).collect();
    let running = start(&cluster, &[], STAMPING);
    monitors[0].until_extended(KEY, 2);
    (0..3).for_each(|i| cluster.stop(i));
    running.wait().expect("lost", 74);
    cluster.until_no_process_is_left();
    // The server executes requests from before the stop only now.
    let last = stamps::last(&cluster);
    (0..3).for_each(|i| cluster.cont(i));
    cluster.until_no_key_is_left();
    let expired = monitors.iter().map(|monitor| {
        let seen =
            monitor.seen().into_iter().filter(|seen| seen.is("PEXPIRE", KEY) && seen.at < last);
        seen.map(|seen| seen.at).max().expect("it was extended") + TTL
    });
    assert!(last < expired.max().expect("a server"), "the command lived when its lock had expired");
}

#[test]
fn a_key_flushed_on_three_servers_ends_the_run_at_once() {
    let cluster = Cluster::start(5);
    let monitors: Vec<_> = (0..5).map(|i| Monitor::of(&cluster, i)).collect();
    let running = start(&cluster, &[], STAMPING);
    monitors[0].until_extended(KEY, 1);
    for i in 0..3 {
        cluster.cli(i, &["FLUSHALL"]);
        cluster.occupy(i, KEY);
    }
    let flushed = now();
    running.wait().expect("lost", 74).expect_words("lost", &["lost"]);
    assert!(since(flushed) < TTL, "a definite loss waits for nothing");
    cluster.until_no_process_is_left();
    for i in 0..3 {
        assert_eq!(
            cluster.get(i, KEY).as_deref(),
            Some(FOREIGN),
            "the new holder's key on {i} was touched"
        );
        assert!(cluster.pttl(i, KEY) > 30_000, "the new holder's expiry on {i} was touched");
    }
    for i in 3..5 {
        until("our own keys are gone", || cluster.get(i, KEY).is_none());
    }
}

#[test]
fn keys_deleted_on_three_servers_at_once_end_the_run() {
    let cluster = Cluster::start(5);
    let monitor = Monitor::of(&cluster, 0);
    let running = start(&cluster, &[], STAMPING);
    monitor.until_extended(KEY, 1);
    for i in 0..3 {
        cluster.cli(i, &["DEL", KEY]);
    }
    running.wait().expect("set again is not kept", 74);
    cluster.until_no_process_is_left();
    cluster.until_no_key_is_left();
}

#[test]
fn the_command_gets_the_chosen_signal_and_has_kill_after_to_end() {
    let table = [
        ("TERM by default", vec![], "TERM"),
        ("USR1", vec!["--signal", "USR1"], "USR1"),
        ("INT, with its long name", vec!["--signal", "SIGINT"], "INT"),
    ];
    for (label, options, signal) in table {
        let mut cluster = Cluster::start(3);
        let words = "echo stopping >>log; sleep 0.1; echo stopped >>log; exit 0";
        let script = format!("trap '{words}' {signal}; echo ready; while :; do sleep 0.02; done");
        let running =
            start(&cluster, &[&["--kill-after", "600ms"], &options[..]].concat(), &script);
        (0..2).for_each(|i| cluster.kill(i));
        running.wait().expect(label, 74);
        let log = fs::read_to_string(cluster.dir().join("log")).unwrap_or_default();
        assert_eq!(log, "stopping\nstopped\n", "{label}");
    }
}

#[test]
fn a_command_that_ends_by_itself_after_a_loss_does_not_hide_it() {
    let cluster = Cluster::start(3);
    let running =
        start(&cluster, &[], "trap 'exit 0' TERM; echo ready; while :; do sleep 0.02; done");
    (0..3).for_each(|i| drop(cluster.cli(i, &["FLUSHALL"])));
    running.wait().expect("its exit code was 0", 74);
}

#[test]
fn a_stopped_redlock_has_its_command_dead_before_another_can_get_in() {
    let cluster = Cluster::start(5);
    let monitors: Vec<_> = (0..5).map(|i| Monitor::of(&cluster, i)).collect();
    let running = start(&cluster, &[], STAMPING);
    monitors[0].until_extended(KEY, 2);
    running.signal(Signal::SIGSTOP);
    until("a majority has no key", || {
        (0..5).filter(|&i| cluster.get(i, KEY).is_none()).count() >= 3
    });
    dead_before_expiry(&cluster, &monitors, 2);
    (0..5).for_each(|i| cluster.occupy(i, KEY));
    running.signal(Signal::SIGCONT);
    running.wait().expect("the lock was lost meanwhile", 74);
    cluster.until_no_process_is_left();
    for i in 0..5 {
        assert_eq!(
            cluster.get(i, KEY).as_deref(),
            Some(FOREIGN),
            "the new holder's key on {i} was touched"
        );
    }
}

#[test]
fn a_killed_redlock_takes_its_command_with_it_and_the_lock_expires() {
    let cluster = Cluster::start(5);
    let monitors: Vec<_> = (0..5).map(|i| Monitor::of(&cluster, i)).collect();
    let running = start(&cluster, &[], STAMPING);
    monitors[0].until_extended(KEY, 1);
    running.signal(Signal::SIGKILL);
    running.wait().expect_death("killed", Signal::SIGKILL);
    cluster.until_no_process_is_left();
    dead_before_expiry(&cluster, &monitors, 2);
    cluster.until_no_key_is_left();
    let next = Run::redlock(&cluster).args(["run", "-n", "job", "--", "true"]).finish();
    next.expect("the lock has expired", 0);
}

#[test]
fn a_killed_redlock_takes_a_command_with_it_that_says_nothing() {
    let cluster = Cluster::start(3);
    let running = hold(&cluster, "job", &["--ttl", "1m"]);
    let before = cluster.processes();
    assert!(before.len() >= 3, "redlock, its guardian and the command of {HOLD:?}, not {before:?}");
    running.signal(Signal::SIGKILL);
    let killed = now();
    cluster.until_no_process_is_left();
    assert!(since(killed) < Duration::from_secs(3), "the guardian waited for the deadline");
}
