//! A start of the command that takes long, and a redlock that is frozen during the start. strace(1)
//! delays the one and stops the other.

use crate::support::clock::{now, since, wall};
use crate::support::processes::{alive, children, name, send, state};
use crate::support::run::REDLOCK;
use crate::support::{Cluster, Monitor, Run, Running, hold, key_of, until, until_some};
use nix::sys::signal::Signal;
use std::fs;
use std::time::Duration;

/// redlock under strace, which does this to one of its system calls, in all its processes.
fn tampered(cluster: &Cluster, call: &str, fate: &str, ttl: &str) -> Run {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{fate}"));
    let strace = Run::program(cluster, "strace").args([
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        &trace,
        "-e",
        &inject,
    ]);
    strace.args([REDLOCK, "run", "--ttl", ttl, "launch", "--"])
}

const COMMAND: [&str; 3] = ["/bin/sh", "-c", "echo ran"];

/// redlock under strace, and its child before execve(2), which strace delays.
fn on_the_way(running: &Running) -> (i32, i32) {
    let only = |pid: i32| children(pid).first().copied();
    until_some("a child on its way", || {
        let redlock = only(running.pid())?;
        let child = only(only(redlock)?)?;
        (state(child) == Some('t')).then_some((redlock, child))
    })
}

#[test]
fn a_command_that_takes_longer_than_the_ttl_to_be_executed_is_waited_for() {
    let cluster = Cluster::start(3);
    let start = now();
    let output = tampered(&cluster, "execve", "delay_enter=2500000", "1s")
        .args(COMMAND)
        .finish()
        .expect("slow", 0);
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
    // strace keeps a killed process until the delay is over.
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
fn a_guardian_that_is_slow_to_begin_is_waited_for_before_anything_is_locked() {
    let cluster = Cluster::start(3);
    let monitor = Monitor::of(&cluster, 0);
    let started = wall();
    tampered(&cluster, "signalfd4", "delay_enter=1500000:when=1", "1s")
        .args(COMMAND)
        .finish()
        .expect("later", 0);
    let first = monitor.attempts_at(&key_of("launch"))[0].0;
    assert!(
        first > started + Duration::from_millis(1500),
        "it was locked before there was a guardian"
    );
    cluster.until_no_key_is_left();
}

#[test]
fn a_guardian_that_is_dead_before_there_is_a_lock_refuses_the_run() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, "dead", &[]);
    let waiting = Run::redlock(&cluster).args(["run", "dead", "--", "echo", "ran"]).spawn();
    waiting.until_stderr("waiting");
    let guardian = until_some("a guardian", || children(waiting.pid()).first().copied());
    send(guardian, Signal::SIGKILL);
    let output = waiting.wait().expect("no command without a guardian", 125);
    assert_eq!(output.out(), "");
    holder.finish().expect("let go", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_redlock_that_leaves_or_is_killed_without_the_lock_leaves_no_guardian() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, "gone", &[]);
    for signal in [None, Some(Signal::SIGTERM), Some(Signal::SIGKILL)] {
        let patience = if signal.is_some() { "1h" } else { "300ms" };
        let waiting = Run::redlock(&cluster)
            .args(["run", "-w", patience, "gone", "--", "echo", "ran"])
            .spawn();
        let guardian = until_some("a guardian", || children(waiting.pid()).first().copied());
        until("it has its name", || name(guardian) == "lock-guardian");
        let output = match signal {
            Some(signal) => {
                send(waiting.pid(), signal);
                waiting.wait().expect_death("told to leave", signal)
            }
            None => waiting.wait().expect("gives up", 75),
        };
        assert_eq!(output.out(), "", "{signal:?}");
        until("the guardian is gone", || !alive(guardian));
    }
    holder.signal(Signal::SIGKILL);
    cluster.until_no_process_is_left();
}

/// A system call of redlock, and the number of times that redlock has made it by then.
type Step = (String, usize);

/// Enough time for the votes under strace, with other tests at the same time.
const RUN_ONCE: [&str; 6] = ["run", "-n", "--ttl", "1s", "--op-timeout", "300ms"];

/// A run that is frozen at this step. The command notes its process id.
struct Frozen {
    running: Running,
    name: String,
}

impl Frozen {
    fn start(cluster: &Cluster, (call, time): &Step, fate: &str) -> Self {
        let name = format!("{fate}-{call}-{time}");
        let (only, inject) =
            (format!("trace={call}"), format!("inject={call}:signal=SIGSTOP:when={time}"));
        // strace does not follow the children, so the guardian and the command go on.
        let trace = format!("trace-{name}");
        let strace =
            Run::program(cluster, "strace").args(["-o", &trace, "-e", &only, "-e", &inject]);
        let script = format!("echo $$ >pid-{name}; exec sleep 600");
        let run = strace.args([REDLOCK]).args(RUN_ONCE).args([&name, "--", "sh", "-c", &script]);
        Self { running: run.spawn(), name }
    }

    fn redlock(&self) -> Option<i32> {
        children(self.running.pid()).into_iter().find(|pid| name(*pid) == "redlock")
    }

    fn is_frozen(&self, cluster: &Cluster) -> bool {
        let trace = fs::read_to_string(cluster.dir().join(format!("trace-{}", self.name)));
        trace.is_ok_and(|trace| trace.contains("stopped by SIGSTOP"))
    }

    fn command_runs(&self, cluster: &Cluster) -> bool {
        let pid = fs::read_to_string(cluster.dir().join(format!("pid-{}", self.name)));
        pid.is_ok_and(|pid| pid.trim().parse().is_ok_and(alive))
    }
}

/// The system calls of redlock between its first request and the event that the command has
/// started, and a few more.
fn steps_of_a_start(cluster: &Cluster) -> Vec<Step> {
    let trace = cluster.dir().join("trace");
    let strace =
        Run::program(cluster, "strace").args(["-s", "4096", "-o", trace.to_str().expect("UTF-8")]);
    strace
        .args([REDLOCK])
        .args(RUN_ONCE)
        .args(["steps", "--", "sleep", "1"])
        .finish()
        .expect("traced", 0);
    let trace = fs::read_to_string(trace).expect("strace wrote it");
    let position = |text: &str| trace.lines().position(|line| line.contains(text)).expect(text);
    let (first, last) = (position("redlock:steps"), position("Started") + 8);
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    let calls =
        trace.lines().enumerate().filter_map(|(at, line)| Some((at, line.split_once('(')?.0)));
    let steps = calls.filter(|(_, call)| !call.contains(' ')).map(|(at, call)| {
        let count = counts.entry(call).or_default();
        *count += 1;
        (at, (call.to_owned(), *count))
    });
    steps.filter(|(at, _)| (first..=last).contains(at)).map(|(_, step)| step).collect()
}

#[test]
fn a_redlock_that_is_frozen_at_any_step_of_a_start_has_no_command_beyond_its_lock() {
    let cluster = Cluster::start(3);
    let steps = steps_of_a_start(&cluster);
    assert!(steps.len() > 15, "{steps:?}");
    for fate in ["killed", "continued"] {
        for batch in steps.chunks(12) {
            let runs: Vec<_> =
                batch.iter().map(|step| Frozen::start(&cluster, step, fate)).collect();
            for run in &runs {
                until(&format!("{} is frozen", run.name), || run.is_frozen(&cluster));
            }
            for run in runs {
                let key = key_of(&run.name);
                until(&format!("{key} is free"), || (0..3).all(|i| cluster.get(i, &key).is_none()));
                assert!(!run.command_runs(&cluster), "{}: the command outlives the lock", run.name);
                (0..3).for_each(|i| cluster.occupy(i, &key));
                let redlock = run.redlock().expect("it is frozen");
                if fate == "killed" {
                    send(redlock, Signal::SIGKILL);
                } else {
                    send(redlock, Signal::SIGCONT);
                }
                until("redlock is gone", || !alive(redlock));
                assert!(
                    !run.command_runs(&cluster),
                    "{}: the command was started without a lock",
                    run.name
                );
                let output = run.running.wait();
                let code = output.status.code();
                assert!(
                    fate == "killed" || matches!(code, Some(69 | 74 | 75)),
                    "{}: {code:?} {}",
                    run.name,
                    output.stderr
                );
            }
        }
    }
    cluster.until_no_process_is_left();
}
