//! redlock started and ended by timeout(1), cron, systemd, or as process 1: nothing is left, and
//! the exit code is right.

use crate::support::clock::PATIENCE;
use crate::support::means::apart;
use crate::support::run::REDLOCK;
use crate::support::{Cluster, Run, Running, key_of, processes, until, until_some};
use nix::sys::signal::Signal;
use std::fs;

/// A command that ends on TERM, and one that ignores it. Both leave a daemon.
const OBEDIENT: &str = "(setsid sleep 600 &); echo ready; exec sleep 600";
const STUBBORN: &str =
    "trap '' TERM HUP; (setsid sleep 600 &); echo ready; while :; do sleep 600; done";

fn start(cluster: &Cluster, script: &str) -> Running {
    let run =
        Run::redlock(cluster).with_default_signals().args(["run", "--ttl", "2s", "start", "--"]);
    let running = run.args(["sh", "-c", script]).spawn();
    running.until_ready();
    running
}

/// The same for a script that starts a daemon. While a process is in execve(2), it cannot be found
/// by its environment.
fn start_with_daemon(cluster: &Cluster, script: &str) -> Running {
    let running = start(cluster, script);
    let sleeps = || {
        cluster
            .processes()
            .into_iter()
            .filter(|&pid| processes::name(pid).starts_with("sleep"))
            .count()
    };
    until("the command and its daemon are what they will be", || sleeps() == 2);
    running
}

fn assert_nothing_is_left(cluster: &Cluster) {
    cluster.until_no_process_is_left();
    cluster.until_no_key_is_left();
}

#[test]
fn a_timeout_around_redlock_ends_it_and_its_command() {
    let cluster = Cluster::start(3);
    let run =
        Run::program(&cluster, "timeout").args(["1", REDLOCK, "run", "--ttl", "1m", "start", "--"]);
    run.args(["sleep", "60"]).finish().expect("timeout(1)", 124);
    assert_nothing_is_left(&cluster);
}

#[test]
fn a_timeout_around_the_command_ends_it_and_redlock() {
    let cluster = Cluster::start(3);
    let run = Run::redlock(&cluster)
        .args(["run", "--ttl", "1m", "start", "--", "timeout", "1", "sleep", "60"]);
    run.finish().expect("timeout(1)", 124);
    assert_nothing_is_left(&cluster);
}

#[test]
fn a_hangup_ends_a_redlock_that_waits() {
    let cluster = Cluster::start(3);
    let key = key_of("start");
    (0..3).for_each(|i| cluster.occupy(i, &key));
    let run = Run::redlock(&cluster)
        .with_default_signals()
        .args(["run", "--ttl", "1m", "start", "--", "true"]);
    let running = run.spawn();
    running.until_stderr("waiting");
    running.signal(Signal::SIGHUP);
    running.wait().expect_death("as a shell sees it, 129", Signal::SIGHUP);
    cluster.until_no_process_is_left();
    (0..3).for_each(|i| assert_eq!(cluster.keys(i), [key.as_str()], "only the holder's key"));
}

#[test]
fn a_hangup_ends_a_redlock_that_runs_its_command() {
    let cluster = Cluster::start(3);
    let running = start(&cluster, "echo ready; exec sleep 600");
    running.signal(Signal::SIGHUP);
    running.wait().expect_death("as a shell sees it, 129", Signal::SIGHUP);
    assert_nothing_is_left(&cluster);
}

/// redlock as cron starts it, or with less: no terminal, no streams, and only PATH in the
/// environment.
fn as_by_cron(cluster: &Cluster, command: &str) -> Running {
    let urls: Vec<_> = (0..3).map(|i| format!("-u {}", cluster.url(i))).collect();
    let line = format!(
        "{REDLOCK} run --restart-guard off --ttl 2s {} start -- sh -c '{command}'",
        urls.join(" ")
    );
    let script = format!("exec setsid --wait env -i PATH=\"$PATH\" {line} <&- >&- 2>&-");
    Run::shell(cluster, &script).spawn()
}

#[test]
fn redlock_needs_neither_terminal_nor_streams_nor_environment() {
    let cluster = Cluster::start(3);
    let script = r"env | sed s/=.*// | sort >names; for n in 0 1 2; do readlink /proc/$$/fd/$n; done >fds; \
                   (cd /proc/$$/fd; ls -d [0-9]*) >all; exit 3";
    as_by_cron(&cluster, script).wait().expect("the command's own", 3);
    let read = |name: &str| fs::read_to_string(cluster.dir().join(name)).unwrap_or_default();
    let names = read("names");
    let foreign = |name: &&str| {
        !name.starts_with("REDLOCK_") && !["PATH", "PWD", "OLDPWD", "_", "SHLVL"].contains(name)
    };
    assert_eq!(names.lines().find(foreign), None, "redlock adds its own variables only: {names}");
    assert!(names.contains("REDLOCK_KEY"), "{names}");
    // A closed descriptor stays closed or leads to /dev/null. None may be a connection to a server.
    assert!(
        read("fds").lines().all(|line| line == "/dev/null" || line.ends_with("/fds")),
        "{}",
        read("fds")
    );
    cluster.until_no_key_is_left();
}

#[test]
fn redlock_without_terminal_and_streams_ends_with_its_command_when_asked_and_when_killed() {
    let cluster = Cluster::start(3);
    for (label, signal, script) in [
        (
            "asked",
            Signal::SIGTERM,
            "(setsid sh -c \"echo \\$\\$ >daemon; exec sleep 600\" &); echo $PPID $$ >pids; exec sleep 600",
        ),
        (
            "killed",
            Signal::SIGKILL,
            "trap : TERM; (setsid sh -c \"echo \\$\\$ >daemon; exec sleep 600\" &); echo $PPID $$ >pids; while :; do sleep 600; done",
        ),
    ] {
        let running = as_by_cron(&cluster, script);
        let read = |name: &str| {
            fs::read_to_string(cluster.dir().join(name)).ok().filter(|text| text.ends_with('\n'))
        };
        let pids = || -> Vec<i32> {
            let (pids, daemon) =
                (read("pids").unwrap_or_default(), read("daemon").unwrap_or_default());
            pids.split_whitespace()
                .chain(daemon.split_whitespace())
                .filter_map(|pid| pid.parse().ok())
                .collect()
        };
        until("the command and its daemon have started", || pids().len() == 3);
        let pids = pids();
        let redlock = processes::parent(pids[0]).expect("the guardian has a parent");
        processes::send(redlock, signal);
        until(label, || !pids[..2].iter().any(|&pid| processes::alive(pid)));
        if signal == Signal::SIGTERM {
            // The command ended by itself under the lock, so its descendants live on, as without
            // redlock.
            let output = running.wait();
            assert!(!output.status.success(), "{label}: {}", output.status);
            if processes::alive(pids[2]) {
                processes::send(pids[2], Signal::SIGKILL);
            }
        }
        until(label, || !processes::alive(pids[2]));
        for name in ["pids", "daemon"] {
            fs::remove_file(cluster.dir().join(name)).expect("a file");
        }
        cluster.until_no_key_is_left();
    }
}

/// redlock as the first process of a pid namespace.
fn as_pid_1(cluster: &Cluster, script: &str) -> Option<Running> {
    let run = apart(cluster, "fp")?.with_default_signals();
    Some(
        run.args([
            "--mount-proc",
            REDLOCK,
            "run",
            "--ttl",
            "2s",
            "start",
            "--",
            "sh",
            "-c",
            script,
        ])
        .spawn(),
    )
}

#[test]
fn redlock_may_be_process_1() {
    let cluster = Cluster::start(3);
    let table = [
        ("success", "true", 0),
        ("failure", "exit 4", 4),
        ("with orphans", "(setsid sleep 600 &); (sh -c 'exit 9' &); exit 5", 5),
        ("a death that process 1 cannot have", "kill -TERM $$", 143),
        ("a kill", "kill -KILL $$", 137),
    ];
    for (label, script, code) in table {
        let Some(running) = as_pid_1(&cluster, script) else { return };
        let output = running.wait().expect(label, code);
        assert_eq!(output.stderr, "", "{label}");
        assert_nothing_is_left(&cluster);
    }
}

#[test]
fn a_signal_to_process_1_ends_the_command_and_frees_the_lock() {
    let cluster = Cluster::start(3);
    let Some(running) = as_pid_1(&cluster, OBEDIENT) else { return };
    running.until_ready();
    let child = |pid: &i32| processes::parent(*pid) == Some(running.pid());
    let redlock = until_some("redlock is there", || cluster.processes().into_iter().find(child));
    processes::send(redlock, Signal::SIGTERM);
    running.wait().expect("terminated", 143);
    assert_nothing_is_left(&cluster);
}

/// Sends a signal to all processes of the test, as systemd does to a control group.
fn send_to_all(cluster: &Cluster, signal: Signal) {
    for pid in cluster.processes() {
        // A process may have ended because another one did.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
    }
}

#[test]
fn a_service_whose_whole_control_group_is_asked_to_end_leaves_nothing() {
    let cluster = Cluster::start(3);
    let running = start_with_daemon(&cluster, OBEDIENT);
    send_to_all(&cluster, Signal::SIGTERM);
    running.wait().expect_death("KillMode=control-group", Signal::SIGTERM);
    assert_nothing_is_left(&cluster);
}

#[test]
fn a_service_that_does_not_end_when_asked_is_killed_and_leaves_nothing() {
    let cluster = Cluster::start(3);
    let mut running = start_with_daemon(&cluster, STUBBORN);
    send_to_all(&cluster, Signal::SIGTERM);
    until("the obedient daemon has ended", || {
        !cluster
            .processes()
            .iter()
            .any(|&pid| processes::pending(pid, Signal::SIGTERM) && !is_guardian(pid))
    });
    running.assert_goes_on("its command does");
    send_to_all(&cluster, Signal::SIGKILL);
    running
        .wait_within(PATIENCE)
        .expect_death("the second step of KillMode=control-group", Signal::SIGKILL);
    assert_nothing_is_left(&cluster);
}

fn is_guardian(pid: i32) -> bool {
    processes::name(pid).starts_with("lock-guardian")
}

#[test]
fn a_service_whose_main_process_is_asked_to_end_leaves_nothing_to_be_killed_but_a_daemon() {
    let cluster = Cluster::start(3);
    let running = start_with_daemon(&cluster, OBEDIENT);
    let main = running.pid();
    running.signal(Signal::SIGTERM);
    until("redlock has ended", || !processes::alive(main));
    let left = cluster.processes();
    assert!(left.len() <= 1, "redlock left more than the daemon: {}", processes::described(&left));
    send_to_all(&cluster, Signal::SIGKILL);
    running.wait().expect_death("KillMode=mixed", Signal::SIGTERM);
    assert_nothing_is_left(&cluster);
}

#[test]
fn a_process_group_that_is_asked_to_end_leaves_nothing() {
    let cluster = Cluster::start(3);
    let line = "(setsid sleep 0 &); echo ready; exec sleep 600";
    let run = Run::program(&cluster, "setsid").with_default_signals();
    let running =
        run.args([REDLOCK, "run", "--ttl", "2s", "start", "--", "sh", "-c", line]).spawn();
    running.until_ready();
    processes::send(-running.pid(), Signal::SIGTERM);
    running.wait().expect_death("kill -TERM -PGID", Signal::SIGTERM);
    assert_nothing_is_left(&cluster);
}
