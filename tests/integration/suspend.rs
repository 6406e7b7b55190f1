//! A clock that jumps, as after a suspend of the machine: a process that wakes reads the clock
//! before any other work.

use crate::support::clock::wall;
use crate::support::processes::{self, children};
use crate::support::stamps::{self, STAMPING};
use crate::support::{Cluster, Monitor, Run, Running, preload, until};
use nix::sys::signal::Signal;
use std::fs;
use std::time::Duration;

const KEY: &str = "redlock:sleeper";

/// A run whose clock jumps by the number in the file `jump`.
fn start(cluster: &Cluster, ttl: &str) -> Running {
    let jump = cluster.dir().join("jump");
    fs::write(&jump, "0").unwrap();
    let run = Run::redlock(cluster)
        .env("LD_PRELOAD", preload::built("boottime", cluster.dir()))
        .env("BOOTTIME_JUMP", &jump);
    let script = format!("unset LD_PRELOAD; {STAMPING}");
    let running = run.args(["run", "--ttl", ttl, "sleeper", "--", "bash", "-c", &script]).spawn();
    running.until_ready();
    running
}

fn jump(cluster: &Cluster, seconds: u32) -> Duration {
    let next = cluster.dir().join("jump.next");
    fs::write(&next, seconds.to_string()).unwrap();
    fs::rename(next, cluster.dir().join("jump")).unwrap();
    wall()
}

/// Checks that after the jump nothing was sent before the command was dead, and that no extension
/// was sent.
fn assert_dead_before_anything_is_sent(cluster: &Cluster, monitors: &[Monitor], jumped: Duration) {
    let last = stamps::last(cluster);
    for monitor in monitors {
        let seen = monitor.seen();
        let about = seen
            .iter()
            .filter(|seen| seen.at > jumped && seen.words.iter().any(|word| word == KEY));
        for seen in about {
            assert!(
                seen.at > last,
                "{:?} was sent {:?} before the command was dead",
                seen.words,
                last.saturating_sub(seen.at)
            );
            assert!(
                !seen.is("PEXPIRE", KEY) && !seen.is("SET", KEY),
                "a lock that is over was extended: {seen:?}"
            );
        }
    }
}

#[test]
fn a_clock_that_jumps_past_the_deadline_kills_before_anything_is_sent() {
    let cluster = Cluster::start(3);
    let running = start(&cluster, "3s");
    let monitors: Vec<_> = (0..3).map(|i| Monitor::of(&cluster, i)).collect();
    // On all servers: otherwise the rest of the round could come after the jump.
    until("all were extended", || {
        monitors.iter().all(|monitor| !monitor.extensions(KEY).is_empty())
    });
    let jumped = jump(&cluster, 60);
    running.wait().expect("the lock was lost in its sleep", 74);
    cluster.until_no_process_is_left();
    assert_dead_before_anything_is_sent(&cluster, &monitors, jumped);
}

#[test]
fn a_guardian_that_wakes_after_a_jump_kills_while_redlock_still_sleeps() {
    let cluster = Cluster::start(3);
    let running = start(&cluster, "30s");
    let monitors: Vec<_> = (0..3).map(|i| Monitor::of(&cluster, i)).collect();
    let [guardian] = children(running.pid())[..] else { panic!("one guardian") };
    processes::stop(running.pid());
    let jumped = jump(&cluster, 60);
    let [command] = children(guardian)[..] else { panic!("one command") };
    // A stopped child wakes the guardian, as its timer does at the end of a suspend.
    processes::send(command, Signal::SIGSTOP);
    until("the command is dead", || !processes::alive(command));
    assert_dead_before_anything_is_sent(&cluster, &monitors, jumped);
    processes::send(running.pid(), Signal::SIGCONT);
    running.wait().expect("the lock was lost in its sleep", 74);
}

#[test]
fn a_clock_that_jumps_by_less_than_the_time_left_loses_nothing() {
    let cluster = Cluster::start(3);
    let mut running = start(&cluster, "30s");
    let monitor = Monitor::of(&cluster, 0);
    jump(&cluster, 11);
    // An extension is due at any wake-up after the jump.
    running.signal(Signal::SIGWINCH);
    monitor.until_extended(KEY, 1);
    running.assert_goes_on("the lock was extended in time");
    running.signal(Signal::SIGTERM);
    running.wait().expect_death("asked to", Signal::SIGTERM);
    cluster.until_no_key_is_left();
}
