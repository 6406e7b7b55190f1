//! Signals that are sent to redlock.

use crate::support::{Cluster, Monitor, Run, processes, until};
use nix::sys::signal::Signal;
use std::fs;

const KEY: &str = "redlock:signals";

/// A bash script that prints each signal that it gets, and ends when the file `stop` appears. It
/// starts no process.
fn listening(signals: &str) -> String {
    let traps = format!("for s in {signals}; do trap \"echo got-$s\" $s; done");
    format!(
        "exec 9<> <(:); {traps}; echo ready; until [ -e stop ]; do read -rt 0.01 -u 9; done; exit 5"
    )
}

#[test]
fn signals_are_passed_on_and_the_lock_is_kept() {
    let cluster = Cluster::start(3);
    let monitor = Monitor::of(&cluster, 0);
    let script = listening("TERM HUP USR1 USR2 QUIT INT WINCH");
    let run = Run::redlock(&cluster)
        .with_default_signals()
        .args(["run", "--ttl", "1s", "signals", "--", "bash", "-c", &script]);
    let mut running = run.spawn();
    running.until_ready();
    let table = [
        ("got-TERM", Signal::SIGTERM),
        ("got-HUP", Signal::SIGHUP),
        ("got-USR1", Signal::SIGUSR1),
        ("got-USR2", Signal::SIGUSR2),
        ("got-QUIT", Signal::SIGQUIT),
        ("got-INT", Signal::SIGINT),
        ("got-WINCH", Signal::SIGWINCH),
    ];
    for (answer, signal) in table {
        running.signal(signal);
        running.until_stdout(answer);
        monitor.until_extended(KEY, 2);
        running.assert_goes_on(answer);
    }
    fs::write(cluster.dir().join("stop"), "").unwrap();
    let output = running.wait().expect("the command's own", 5);
    for (answer, _) in table {
        assert_eq!(output.out().matches(answer).count(), 1, "{answer}: {}", output.out());
    }
    cluster.until_no_key_is_left();
}

#[test]
fn a_signal_that_ends_the_command_ends_redlock_after_the_release() {
    let cluster = Cluster::start(3);
    for signal in
        [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGINT]
    {
        let run = Run::redlock(&cluster)
            .with_default_signals()
            .args(["run", "--ttl", "1m", "signals", "--"]);
        let running = run.args(["sh", "-c", "ulimit -c 0; echo ready; exec sleep 60"]).spawn();
        running.until_ready();
        running.signal(signal);
        running.wait().expect_death("passed on", signal);
        cluster.until_no_process_is_left();
        cluster.until_no_key_is_left();
    }
}

#[test]
fn the_whole_group_of_the_command_gets_the_signal() {
    let cluster = Cluster::start(3);
    let script = "(trap 'echo child-got; exit 0' TERM; echo child; while :; do sleep 0.02; done) & \
                  trap 'wait; echo parent-got; exit 3' TERM; echo ready; wait";
    let running =
        Run::redlock(&cluster).args(["run", "signals", "--", "bash", "-c", script]).spawn();
    running.until_ready();
    running.until_stdout("child\n");
    running.signal(Signal::SIGTERM);
    let output = running.wait().expect("the command's own", 3);
    assert!(
        output.out().contains("child-got") && output.out().contains("parent-got"),
        "{}",
        output.out()
    );
}

#[test]
fn a_command_that_handles_interrupts_may_get_any_number_of_them() {
    let cluster = Cluster::start(3);
    let script = "exec 9<> <(:); n=0; trap 'n=$((n+1)); echo got-$n' INT; echo ready; until ((n == 12)); do read -rt 0.01 -u 9; done; exit 6";
    let run = Run::redlock(&cluster)
        .with_default_signals()
        .args(["run", "--ttl", "2s", "signals", "--", "bash", "-c", script]);
    let running = run.spawn();
    running.until_ready();
    for number in 1..=12 {
        running.signal(Signal::SIGINT);
        running.until_stdout(&format!("got-{number}\n"));
    }
    running.wait().expect("the command's own", 6);
    cluster.until_no_key_is_left();
}

#[test]
fn three_interrupts_end_a_redlock_that_hangs() {
    let cluster = Cluster::start(3);
    let run =
        Run::redlock(&cluster).with_default_signals().args(["run", "--ttl", "2s", "signals", "--"]);
    let running =
        run.args(["sh", "-c", "trap '' INT; echo $$ >pid; echo ready; exec sleep 600"]).spawn();
    running.until_ready();
    let command: i32 =
        fs::read_to_string(cluster.dir().join("pid")).unwrap().trim().parse().unwrap();
    let pid = running.pid();
    // strace delays the loop's thread, and no other, at the end of its next wait.
    let calls = cluster.dir().join("calls");
    let strace = Run::program(&cluster, "strace")
        .args(["-qq", "-e", "trace=epoll_wait", "-e", "inject=epoll_wait:delay_exit=600000000"])
        .args(["-o", calls.to_str().expect("a path of UTF-8"), "-p", &pid.to_string()])
        .spawn();
    // strace also stops a thread that it does not delay, for a moment.
    until("the loop hangs", || {
        running.signal(Signal::SIGWINCH);
        fs::read_to_string(&calls).is_ok_and(|calls| calls.contains("DELAYED"))
    });
    for _ in 0..3 {
        running.signal(Signal::SIGINT);
        // Pending signals of one number are not counted, so each must arrive before the next is
        // sent.
        until("the interrupt has arrived", || !processes::pending(pid, Signal::SIGINT));
    }
    // strace also delays a thread that is to end.
    until("the thread of the interrupts ends redlock", || {
        fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|threads| threads.count() == 1)
    });
    drop(strace);
    running.wait().expect("as a shell sees an interrupt", 130);
    until("the command is dead", || !processes::alive(command));
    cluster.until_no_process_is_left();
    cluster.until_no_key_is_left();
}

#[test]
fn every_signal_that_can_be_is_passed_on_real_time_ones_too() {
    let cluster = Cluster::start(3);
    // From another session, since a SIGCONT from this one would count as a shell's.
    let left_alone = [4, 5, 7, 8, 9, 11, 13, 17, 19, 20, 21, 22, 31, 32, 33];
    let numbers: Vec<i32> = (1..=64).filter(|number| !left_alone.contains(number)).collect();
    let listen = format!(
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {numbers:?})\nprint('ready', flush=True)\n\
         for number in {numbers:?}: print('got', signal.sigwait({numbers:?}) + 0, flush=True)\n"
    );
    let run = Run::redlock(&cluster).with_default_signals().args(["run", "signals", "--"]);
    let running = run.args(["python3", "-c", &listen]).spawn();
    running.until_ready();
    for number in numbers {
        let kill = Run::program(&cluster, "setsid").args([
            "--wait",
            "kill",
            &format!("-{number}"),
            &running.pid().to_string(),
        ]);
        kill.finish().expect("kill(1)", 0);
        running.until_stdout(&format!("got {number}\n"));
    }
    running.wait().expect("the command's own", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_signal_that_would_kill_ends_a_wait_and_leaves_no_trace() {
    let cluster = Cluster::start(3);
    let key = "redlock:signals";
    for signal in
        [Signal::SIGALRM, Signal::SIGABRT, Signal::SIGXCPU, Signal::SIGPWR, Signal::SIGVTALRM]
    {
        (0..3).for_each(|i| cluster.occupy(i, key));
        let run =
            Run::redlock(&cluster).with_default_signals().args(["run", "signals", "--", "true"]);
        let running = run.spawn();
        running.until_stderr("waiting");
        running.signal(signal);
        running.wait().expect_death("as it would without redlock", signal);
        (0..3).for_each(|i| assert_eq!(cluster.keys(i), [key], "{signal}: only the holder's key"));
    }
}

#[test]
fn a_command_that_dies_of_a_fault_makes_one_core_and_not_two() {
    let cluster = Cluster::start(3);
    let script = "ulimit -c unlimited 2>/dev/null; exec \"$RL\" run signals -- sh -c 'ulimit -c 0; kill -SEGV $$'";
    let running = Run::shell(&cluster, script).with_default_signals().spawn();
    running.wait().expect_death("without a core of its own", Signal::SIGSEGV);
    cluster.until_no_key_is_left();
}

/// Generations of processes, each further away from redlock. Each writes its process id to a file.
const FAMILY: &str = "
    sh -c 'echo $$ >>pids; sleep 600; :' &
    setsid sh -c 'echo $$ >>pids; (sh -c \"echo \\$\\$ >>pids; exec sleep 600\" &); sleep 600; :' &
    (setsid setsid sh -c 'trap \"\" TERM HUP INT; echo $$ >>pids; sleep 600; :' &)
    (env -i setsid sh -c 'echo $$ >>pids; exec sleep 600' >/dev/null 2>&1 </dev/null &)
    echo $$ >>pids
    echo ready
    sleep 600";

const FAMILY_SIZE: usize = 6;

#[test]
fn a_killed_redlock_leaves_no_descendant_however_daemonised() {
    let cluster = Cluster::start(3);
    let run =
        Run::redlock(&cluster).args(["run", "--ttl", "2s", "signals", "--", "bash", "-c", FAMILY]);
    let running = run.spawn();
    running.until_ready();
    let family = || -> Vec<i32> {
        let pids = fs::read_to_string(cluster.dir().join("pids")).unwrap_or_default();
        pids.lines().filter_map(|pid| pid.parse().ok()).collect()
    };
    until("all generations are there", || family().len() == FAMILY_SIZE);
    assert!(family().iter().all(|&pid| processes::alive(pid)), "someone is dead already");
    running.signal(Signal::SIGKILL);
    until("the family is dead", || !family().iter().any(|&pid| processes::alive(pid)));
    cluster.until_no_process_is_left();
    cluster.until_no_key_is_left();
}

#[test]
fn a_killed_guardian_is_no_way_to_outlive_the_lock() {
    let cluster = Cluster::start(3);
    let run = Run::redlock(&cluster).args(["run", "--ttl", "2s", "signals", "--"]);
    let running = run.args(["sh", "-c", "echo $$ >pid; echo ready; exec sleep 600"]).spawn();
    running.until_ready();
    let command: i32 =
        fs::read_to_string(cluster.dir().join("pid")).unwrap().trim().parse().unwrap();
    let guardian = processes::parent(command).expect("the command has a parent");
    assert_eq!(
        processes::parent(guardian),
        Some(running.pid()),
        "the guardian is between redlock and the command"
    );
    processes::send(guardian, Signal::SIGKILL);
    let output = running.wait();
    assert!(!output.status.success(), "the command did not end by itself");
    until("the command is dead", || !processes::alive(command));
    cluster.until_no_process_is_left();
    cluster.until_no_key_is_left();
}
