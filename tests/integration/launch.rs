//! A command that is long on its way: strace(1) holds it up between the order to start it and its first instruction.

use crate::support::clock::{now, since};
use crate::support::processes::{alive, children, send, state, stop};
use crate::support::run::REDLOCK;
use crate::support::{Cluster, Monitor, Run, Running, hold, key_of, until, until_some};
use nix::sys::signal::Signal;
use std::time::Duration;

/// redlock, with this done to one of its system calls, in all its processes.
fn tampered(cluster: &Cluster, call: &str, fate: &str, ttl: &str) -> Run {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{fate}"));
    let strace = Run::program(cluster, "strace").args(["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject]);
    strace.args([REDLOCK, "run", "--ttl", ttl, "launch", "--"])
}

const COMMAND: [&str; 3] = ["/bin/sh", "-c", "echo ran"];

/// redlock under strace, and its child that is to become the command.
fn at_the_gate(running: &Running) -> (i32, i32) {
    let only = |pid: i32| children(pid).first().copied();
    until_some("a child at the gate", || {
        let redlock = only(running.pid())?;
        Some((redlock, only(only(redlock)?)?))
    })
}

/// The same, when strace holds the child up.
fn on_the_way(running: &Running) -> (i32, i32) {
    until_some("a child on its way", || {
        let (redlock, child) = at_the_gate(running);
        (state(child) == Some('t')).then_some((redlock, child))
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

fn leave(holder: Running) {
    holder.signal(Signal::SIGTERM);
    holder.wait().expect_death("as told", Signal::SIGTERM);
}

/// A run of `command` that waits, its guardian, and the child that is to become the command.
fn waiting(cluster: &Cluster, options: &[&str], command: &[&str]) -> (Running, i32, i32) {
    let waiting = Run::redlock(cluster).arg_line("run", options, &["gate", "--"]).args(command).spawn();
    let guardian = until_some("a guardian", || children(waiting.pid()).first().copied());
    let child = until_some("a child at the gate", || children(guardian).first().copied());
    (waiting, guardian, child)
}

#[test]
fn whoever_leaves_without_the_lock_leaves_nobody_at_the_gate() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, "gate", &[]);
    for (label, signal) in [("gives up", None), ("told to leave", Some(Signal::SIGTERM))] {
        let patience = if signal.is_some() { "1h" } else { "300ms" };
        let (waiting, guardian, child) = waiting(&cluster, &["-w", patience], &["echo", "ran"]);
        match signal {
            Some(signal) => {
                send(waiting.pid(), signal);
                waiting.wait().expect_death(label, signal);
            }
            None => drop(waiting.wait().expect(label, 75)),
        }
        assert!(!alive(child) && !alive(guardian), "{label}");
    }
    holder.signal(Signal::SIGKILL);
    cluster.until_no_process_is_left();
}

#[test]
fn a_redlock_that_is_killed_while_it_waits_leaves_nobody_at_the_gate() {
    let mut cluster = Cluster::start(3);
    (0..3).for_each(|i| cluster.kill(i));
    let (waiting, ..) = waiting(&cluster, &[], &["echo", "ran"]);
    send(waiting.pid(), Signal::SIGKILL);
    assert_eq!(waiting.wait().expect_death("killed", Signal::SIGKILL).out(), "");
    cluster.until_no_process_is_left();
}

#[test]
fn a_child_that_dies_at_the_gate_is_replaced() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, "gate", &[]);
    let (waiting, guardian, child) = waiting(&cluster, &[], &["echo", "ran"]);
    send(child, Signal::SIGKILL);
    until("it is reaped", || children(guardian).is_empty());
    leave(holder);
    assert_eq!(waiting.wait().expect("it runs all the same", 0).out(), "ran\n");
    cluster.until_no_key_is_left();
}

#[test]
fn a_child_that_dies_before_the_gate_opens_is_replaced_also_if_its_guardian_learns_of_both_at_once() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, "gate", &[]);
    let (waiting, guardian, child) = waiting(&cluster, &[], &["echo", "ran"]);
    stop(guardian);
    send(child, Signal::SIGKILL);
    until("the child is dead", || !alive(child));
    let before = cluster.get(0, &key_of("gate"));
    leave(holder);
    until("the lock is another's", || cluster.get(0, &key_of("gate")).is_some_and(|now| before.as_ref() != Some(&now)));
    send(guardian, Signal::SIGCONT);
    assert_eq!(waiting.wait().expect("it runs all the same", 0).out(), "ran\n");
    cluster.until_no_key_is_left();
}

#[test]
fn what_a_child_was_sent_at_the_gate_is_not_for_the_command() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, "gate", &[]);
    let (waiting, _, child) = waiting(&cluster, &[], &["echo", "ran"]);
    for signal in [Signal::SIGUSR1, Signal::SIGTERM, Signal::SIGALRM, Signal::SIGABRT] {
        send(child, signal);
    }
    leave(holder);
    assert_eq!(waiting.wait().expect("it was not meant", 0).out(), "ran\n");
    cluster.until_no_key_is_left();
}

#[test]
fn a_command_that_is_over_before_its_guardian_wakes_is_not_run_again() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, "gate", &[]);
    let (waiting, guardian, child) = waiting(&cluster, &[], &["sh", "-c", "echo ran; exit 7"]);
    stop(guardian);
    leave(holder);
    until("the command is over", || !alive(child));
    send(guardian, Signal::SIGCONT);
    assert_eq!(waiting.wait().expect("its own code", 7).out(), "ran\n");
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
