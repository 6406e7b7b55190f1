//! Options that stop a command or follow a loss: `--max-runtime`, `--kill-after`, `--on-lost`,
//! `--on-lost-exec`, `--wait-descendants`.

use crate::support::processes::{alive, children, name, stop};
use crate::support::{Cluster, Run, Running, hold, until, until_some};
use nix::sys::signal::Signal;
use std::fs;

fn run(cluster: &Cluster, options: &[&str], command: &[&str]) -> Run {
    Run::redlock(cluster).args(["run"]).args(options).args(["limits", "--"]).args(command)
}

fn stubborn(cluster: &Cluster, options: &[&str]) -> Running {
    let script = "trap '' TERM; echo ready; while :; do read -rt 0.05 -u 9; done";
    let running =
        run(cluster, options, &["bash", "-c", &format!("exec 9<> <(:); {script}")]).spawn();
    running.until_ready();
    running
}

/// Seconds until the timer of this process fires (`/proc/PID/fdinfo` in proc(5)). `None` if the
/// timer is not set.
fn seconds_left(pid: i32) -> Option<u64> {
    let files = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("it is there");
    let timer = files
        .filter_map(|file| fs::read_to_string(file.ok()?.path()).ok())
        .find(|text| text.contains("it_value"));
    let left =
        timer?.lines().find_map(|line| line.strip_prefix("it_value: (").map(str::to_owned))?;
    left.split_once(", ").filter(|left| *left != ("0", "0)"))?.0.parse().ok()
}

fn flush(cluster: &Cluster, count: usize) {
    (0..count).for_each(|i| drop(cluster.cli(i, &["FLUSHALL"])));
}

#[test]
fn a_command_may_run_for_so_long_and_is_gone_then() {
    let cluster = Cluster::start(3);
    run(&cluster, &["--max-runtime", "300ms"], &["sleep", "60"]).finish().expect("obedient", 124);
    stubborn(&cluster, &["--max-runtime", "300ms", "-k", "200ms"]).wait().expect("stubborn", 124);
    run(&cluster, &["--max-runtime", "60s"], &["true"]).finish().expect("quick", 0);
    cluster.until_no_process_is_left();
    cluster.until_no_key_is_left();
}

#[test]
fn a_command_may_run_for_no_longer_where_redlock_is_frozen() {
    let cluster = Cluster::start(3);
    let running = stubborn(&cluster, &["--ttl", "1h", "--max-runtime", "3s", "-k", "100ms"]);
    let [guardian] = children(running.pid())[..] else { panic!("one guardian") };
    until("it knows for how long", || seconds_left(guardian).is_some_and(|seconds| seconds < 60));
    stop(running.pid());
    until("the command is dead", || children(guardian).is_empty());
    running.signal(Signal::SIGCONT);
    running.wait().expect("too long", 124);
    cluster.until_no_key_is_left();
}

#[test]
fn an_explicit_kill_after_ends_a_command_that_ignores_the_users_signal() {
    let cluster = Cluster::start(3);
    let running = stubborn(&cluster, &["-k", "300ms"]);
    running.signal(Signal::SIGTERM);
    running.wait().expect_death("killed", Signal::SIGKILL);
    cluster.until_no_key_is_left();
}

#[test]
fn a_loss_may_be_warned_of_and_told_to_a_program() {
    let cluster = Cluster::start(3);
    let script = "echo ready; until [ -e told ]; do sleep 0.02; done; echo done";
    let hook = "echo $REDLOCK_NAME $REDLOCK_URLS > told";
    let options = ["--ttl", "1s", "--on-lost", "warn", "--on-lost-exec", hook];
    let running = run(&cluster, &options, &["sh", "-c", script]).spawn();
    running.until_ready();
    flush(&cluster, 3);
    let output = running.wait().expect("warned of", 74);
    assert!(output.out().ends_with("done\n"), "the command was let go on: {}", output.out());
    assert_eq!(fs::read_to_string(cluster.dir().join("told")).unwrap(), "limits\n");
}

#[test]
fn a_program_is_told_of_a_loss_that_stops_the_command() {
    let cluster = Cluster::start(3);
    let hook = "echo $REDLOCK_KEY >told; grep Blk /proc/self/status >blocked";
    let running = run(
        &cluster,
        &["--ttl", "1s", "--on-lost-exec", hook],
        &["sh", "-c", "echo ready; sleep 60"],
    )
    .spawn();
    running.until_ready();
    flush(&cluster, 3);
    running.wait().expect("lost", 74);
    assert_eq!(fs::read_to_string(cluster.dir().join("told")).unwrap(), "redlock:limits\n");
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let own = status.lines().find(|line| line.starts_with("SigBlk")).unwrap();
    let its = fs::read_to_string(cluster.dir().join("blocked")).unwrap();
    assert_eq!(its.trim_end(), own, "it can be asked to end");
}

/// A run that has lost its lock and whose hook does not end. Returns the process ids that the hook
/// noted.
fn with_endless_hook(cluster: &Cluster) -> (Running, [i32; 2]) {
    let hook = "sleep 600 & echo $! $$ >hook.next; mv hook.next hook; trap '' TERM; while :; do sleep 600; done";
    let running = run(
        cluster,
        &["--ttl", "1s", "--on-lost-exec", hook],
        &["sh", "-c", "echo ready; sleep 60"],
    )
    .spawn();
    running.until_ready();
    flush(cluster, 3);
    let pids = until_some("the hook runs", || fs::read_to_string(cluster.dir().join("hook")).ok());
    let pids: Vec<i32> =
        pids.split_whitespace().map(|pid| pid.parse().expect("a number")).collect();
    (running, [pids[0], pids[1]])
}

#[test]
fn a_program_that_is_told_of_a_loss_ends_with_its_whole_group_when_its_time_is_over() {
    let cluster = Cluster::start(3);
    let (running, hook) = with_endless_hook(&cluster);
    running.wait().expect("lost", 74);
    assert!(!hook.iter().any(|&pid| alive(pid)), "{hook:?}");
    cluster.until_no_process_is_left();
}

#[test]
fn a_program_that_is_told_of_a_loss_ends_with_redlock() {
    let cluster = Cluster::start(3);
    let (running, hook) = with_endless_hook(&cluster);
    until("the command is over, and only the hook is waited for", || {
        children(running.pid()).len() == 2
            && cluster.processes().iter().all(|&pid| name(pid) != "sh" || hook.contains(&pid))
    });
    assert!(hook.iter().all(|&pid| alive(pid)), "{hook:?}");
    running.signal(Signal::SIGKILL);
    until("the hook is dead", || !hook.iter().any(|&pid| alive(pid)));
    cluster.until_no_process_is_left();
}

#[test]
fn a_script_whose_interpreter_is_missing_is_told_from_one_that_is_not_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let cluster = Cluster::start(3);
    for (name, text, words) in [
        ("windows", "#!/bin/sh\r\nexit 0\r\n", &["first line ends as on Windows", "/bin/sh"][..]),
        (
            "lost",
            "#! /opt/no-such/python -u\n",
            &["its interpreter '/opt/no-such/python' is not found"],
        ),
    ] {
        let path = cluster.dir().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        run(&cluster, &[], &[&format!("./{name}")])
            .finish()
            .expect(name, 127)
            .expect_words(name, words);
    }
    let missing = run(&cluster, &[], &["./not-there"]).finish().expect("not there", 127);
    missing.expect_words("not there", &["cannot run './not-there': not found"]);
    cluster.until_no_key_is_left();
}

#[test]
fn the_lock_may_be_held_for_the_descendants_of_the_command() {
    let cluster = Cluster::start(3);
    let script = "(until [ -e stop ]; do sleep 0.02; done) & echo ready";
    let running = run(&cluster, &["--wait-descendants"], &["sh", "-c", script]).spawn();
    running.until_ready();
    run(&cluster, &["-n"], &["true"]).finish().expect("a child is left", 75);
    fs::write(cluster.dir().join("stop"), "").unwrap();
    running.wait().expect("it ended", 0);
    until("the lock is free", || run(&cluster, &["-n"], &["true"]).finish().status.success());
}

#[test]
fn a_nested_run_may_say_that_the_lock_around_it_is_enough() {
    let cluster = Cluster::start(3);
    let nested = r#""$RL" run --reentrant limits -- sh -c 'echo inside; exit 5'"#;
    let output = run(&cluster, &[], &["sh", "-c", nested]).finish().expect("nested", 5);
    assert_eq!(output.out(), "inside\n");
    let habits = "grep -E \"^Sig(Blk|Ign)\" /proc/self/status";
    let script =
        format!("trap \"\" PIPE USR1; {habits}; \"$RL\" run --reentrant limits -- {habits}");
    let output = run(&cluster, &[], &["sh", "-c", &script]).finish().expect("habits", 0).out();
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines[..2], lines[2..], "the command inherits what redlock does");
    let secret = "export REDLOCK_PASSWORD=s3cret; \"$RL\" run --reentrant limits -- env";
    let output = run(&cluster, &[], &["sh", "-c", secret]).finish().expect("variables", 0).out();
    assert!(
        output.contains("REDLOCK_HELD=redlock:limits ") && !output.contains("s3cret"),
        "{output}"
    );
    for (program, code) in [("no-such-command-anywhere", 127), ("/", 126)] {
        let nested = format!("exec \"$RL\" run --reentrant limits -- '{program}'");
        let output = run(&cluster, &[], &["sh", "-c", &nested]).finish().expect(program, code);
        assert!(
            output.stderr.starts_with(&format!("redlock: cannot run '{program}'")),
            "{}",
            output.stderr
        );
    }
    let empty = "exec \"$RL\" run --reentrant limits -- ''";
    let output = run(&cluster, &[], &["sh", "-c", empty]).finish().expect("an empty command", 127);
    output.expect_words("an empty command", &["the command behind '--' is empty"]);
}

#[test]
fn a_code_for_busy_is_no_reason_to_wait_with_if_busy() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, "limits", &[]);
    for (flags, code) in [(&[][..], 0), (&["-E", "9"], 9), (&["--if-busy", "fail"], 75)] {
        run(&cluster, flags, &["true"])
            .env("REDLOCK_IF_BUSY", "skip")
            .finish()
            .expect("busy", code);
    }
    holder.finish().expect("let go", 0);
}

#[test]
fn a_flag_goes_before_the_variable_of_its_rival() {
    let cluster = Cluster::start(3);
    for (variable, value, flags, code) in [
        ("REDLOCK_WAIT", "60s", vec!["-n"], 0),
        ("REDLOCK_NONBLOCK", "1", vec!["-w", "1"], 0),
        ("REDLOCK_VERBOSE", "1", vec!["-q"], 0),
        ("REDLOCK_PREFIX", "p:", vec!["--key", "k"], 0),
        ("REDLOCK_NONBLOCK", "0", vec!["-n"], 0),
        ("REDLOCK_NONBLOCK", "perhaps", vec![], 64),
    ] {
        let output =
            run(&cluster, &flags, &["true"]).env(variable, value).finish().expect(variable, code);
        assert_eq!(output.stderr.is_empty(), code == 0, "{variable}: {}", output.stderr);
    }
}
