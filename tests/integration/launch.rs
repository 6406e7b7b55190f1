//! A command that is long on its way: strace(1) holds it up between the order to start it and its first instruction.

use crate::support::clock::{now, since};
use crate::support::processes::{children, send};
use crate::support::run::REDLOCK;
use crate::support::{Cluster, Monitor, Run, Running, key_of, until_some};
use nix::sys::signal::Signal;
use std::time::Duration;

/// redlock, with this done to one of its system calls, in all its processes.
fn tampered(cluster: &Cluster, call: &str, fate: &str, ttl: &str) -> Run {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{fate}"));
    let strace = Run::program(cluster, "strace").args(["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject]);
    strace.args([REDLOCK, "run", "--ttl", ttl, "launch", "--"])
}

const COMMAND: [&str; 3] = ["/bin/sh", "-c", "echo ran"];

/// redlock under strace, and its child that is on its way to become the command.
fn on_the_way(running: &Running) -> (i32, i32) {
    let only = |pid: i32| children(pid).first().copied();
    until_some("a child on its way", || {
        let redlock = only(running.pid())?;
        Some((redlock, only(only(redlock)?)?))
    })
}

#[test]
fn a_command_that_takes_longer_than_the_ttl_to_be_executed_is_waited_for() {
    let cluster = Cluster::start(3);
    let start = now();
    let output = tampered(&cluster, "execve", "delay_enter=2500000", "1s").args(COMMAND).finish().expect("slow", 0);
    assert_eq!(output.out(), "ran\n");
    assert!(since(start) > Duration::from_millis(2500), "strace delays nothing");
    cluster.until_no_key_is_left();
}

#[test]
fn a_command_that_is_still_being_executed_when_the_lock_is_lost_never_runs() {
    let mut cluster = Cluster::start(3);
    let running = tampered(&cluster, "execve", "delay_enter=5000000", "1s").args(COMMAND).spawn();
    on_the_way(&running);
    (0..2).for_each(|i| cluster.kill(i));
    // strace keeps what was killed until its delay is over.
    let output = running.wait().expect("lost", 74);
    assert_eq!(output.out(), "");
    cluster.until_no_process_is_left();
}

#[test]
fn a_command_that_is_still_being_executed_when_redlock_is_killed_never_runs() {
    let cluster = Cluster::start(3);
    let running = tampered(&cluster, "execve", "delay_enter=5000000", "1s").args(COMMAND).spawn();
    send(on_the_way(&running).0, Signal::SIGKILL);
    let output = running.wait().expect_death("as strace passes it on", Signal::SIGKILL);
    cluster.until_no_process_is_left();
    assert_eq!(output.out(), "");
}

#[test]
fn a_command_that_is_stopped_before_it_is_one_goes_on() {
    let cluster = Cluster::start(3);
    let running = tampered(&cluster, "setpgid", "delay_enter=3000000", "1m").args(COMMAND).spawn();
    send(on_the_way(&running).1, Signal::SIGSTOP);
    let output = running.wait().expect("stopped and woken", 0);
    assert_eq!(output.out(), "ran\n");
    cluster.until_no_key_is_left();
}

#[test]
fn a_guardian_that_is_too_late_starts_the_command_at_the_next_attempt() {
    let cluster = Cluster::start(3);
    let monitor = Monitor::of(&cluster, 0);
    // What a guardian does first.
    let output = tampered(&cluster, "setpgid", "delay_enter=1500000", "1s").args(["/bin/true"]).finish();
    output.expect("later", 0);
    assert!(monitor.attempts(&key_of("launch")).len() > 1, "it was not too late for the first attempt");
    cluster.until_no_key_is_left();
}

/// As emulators do, and what filters system calls in some containers.
#[test]
fn where_no_child_can_share_memory_commands_start_all_the_same() {
    let cluster = Cluster::start(3);
    let run = || tampered(&cluster, "clone3", "error=ENOSYS", "1m");
    assert_eq!(run().args(COMMAND).finish().expect("started", 0).out(), "ran\n");
    run().args(["/nowhere/to/be/found"]).finish().expect("not found", 127);
    run().args(["/etc/passwd"]).finish().expect("not executable", 126);
    cluster.until_no_key_is_left();
}
