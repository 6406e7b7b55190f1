//! Every row of the table of exit codes. Refusals of an access or a configuration are in
//! `refusals`.

use crate::support::{Cluster, Output, Run, hold, processes, until};
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const KEY: &str = "redlock:code";

fn run(cluster: &Cluster, options: &[&str], command: &[&str]) -> Output {
    Run::redlock(cluster).arg_line("run", options, &["code", "--"]).args(command).finish()
}

#[test]
fn the_commands_exit_code_is_redlocks() {
    let cluster = Cluster::start(3);
    for code in [0, 1, 2, 64, 69, 74, 75, 77, 78, 124, 125, 126, 127, 255] {
        let label = format!("exit {code}");
        run(&cluster, &[], &["sh", "-c", &label]).expect(&label, code).expect_silence(&label);
    }
    cluster.until_no_key_is_left();
}

#[test]
fn redlock_dies_of_the_signal_that_its_command_died_of() {
    let cluster = Cluster::start(3);
    let table = [
        ("TERM", Signal::SIGTERM),
        ("KILL", Signal::SIGKILL),
        ("SEGV", Signal::SIGSEGV),
        ("INT", Signal::SIGINT),
        ("HUP", Signal::SIGHUP),
        ("PIPE", Signal::SIGPIPE),
        ("ABRT", Signal::SIGABRT),
        ("USR1", Signal::SIGUSR1),
    ];
    for (name, signal) in table {
        // A core file of the command would be left in the directory of the test.
        let suicide = format!("ulimit -c 0; kill -{name} $$");
        let run = Run::redlock(&cluster)
            .with_default_signals()
            .args(["run", "code", "--", "sh", "-c", &suicide]);
        run.finish().expect_death(name, signal).expect_silence(name);
        let keys = (0..3).filter(|&i| cluster.get(i, KEY).is_some()).count();
        assert!(keys < 2, "{name}: redlock died before it had released");
    }
    cluster.until_no_key_is_left();
}

#[test]
fn a_shell_shows_a_death_by_signal_as_128_and_its_number() {
    let cluster = Cluster::start(3);
    let script = r#""$RL" run code -- sh -c 'kill -TERM $$'; echo "code $?""#;
    let output = Run::shell(&cluster, script).finish();
    assert!(output.out().contains("code 143\n"), "{}{}", output.out(), output.stderr);
}

#[test]
fn a_command_that_cannot_be_executed_is_told_from_one_that_is_not_there() {
    let cluster = Cluster::start(3);
    let plain = cluster.dir().join("plain");
    fs::write(&plain, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
    let table = [
        ("a name that is not in PATH", "no-such-command-anywhere", 127),
        ("a path that is not there", "./no-such-command", 127),
        ("a file that is not executable", "./plain", 126),
        ("a directory", "/", 126),
    ];
    for (label, command, code) in table {
        let output = run(&cluster, &["--ttl", "1m"], &[command]).expect(label, code);
        let output = output.expect_words(label, &[command]);
        assert_eq!(
            output.stderr.lines().count(),
            1,
            "{label}: one line says it: {}",
            output.stderr
        );
        cluster.until_no_key_is_left();
    }
}

#[test]
fn a_command_is_looked_for_as_a_shell_does() {
    let cluster = Cluster::start(3);
    let script = |name: &str, mode, text: &str| {
        let path = cluster.dir().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    script("first/plain", 0o644, "exit 1");
    script("second/plain", 0o755, r#"echo "second $1""#);
    script("here", 0o755, r#"echo "here $1""#);
    script("first/refused", 0o644, "exit 1");
    script("third/garbled", 0o755, "#!/no/such/interpreter");
    let dir = cluster.dir().display();
    let path = "/too/long".repeat(500);
    let path = format!(
        "{path}:/no/such/directory:/etc/passwd:{dir}/first::{dir}/second:{dir}/third:/usr/bin:/bin"
    );
    let table = [
        (
            "the first that may be executed, and it is the shell's to read",
            "plain",
            0,
            "second word\n",
        ),
        ("an empty directory is where we are", "here", 0, "here word\n"),
        ("a path needs no search", "second/plain", 0, "second word\n"),
        ("refused where it is, and nowhere else", "refused", 126, ""),
        ("an interpreter that is not there", "garbled", 127, ""),
    ];
    for (label, command, code, out) in table {
        let run =
            Run::redlock(&cluster).env("PATH", &path).args(["run", "code", "--", command, "word"]);
        assert_eq!(run.finish().expect(label, code).out(), out, "{label}");
    }
}

#[test]
fn a_busy_lock_is_75_or_the_chosen_code() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, "code", &[]);
    let table: [(&str, &[&str], i32); 7] = [
        ("-n", &["-n"], 75),
        ("--nonblock", &["--nonblock"], 75),
        ("-n -E 9", &["-n", "-E", "9"], 9),
        ("-n -E 0", &["-n", "-E", "0"], 0),
        ("-w 300ms", &["-w", "300ms"], 75),
        ("-w 0.3s -E 200", &["--wait", "300ms", "--conflict-exit-code", "200"], 200),
        ("-w 0", &["-w", "0"], 75),
    ];
    for (label, options, code) in table {
        let output = run(&cluster, options, &["sh", "-c", "echo ran"]).expect(label, code);
        assert_eq!(output.out(), "", "{label}: the command ran");
    }
    holder.finish().expect("the holder", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_majority_that_says_busy_is_busy_whatever_the_rest_does() {
    let mut cluster = Cluster::start(5);
    (0..5).for_each(|i| cluster.occupy(i, KEY));
    for dead in 0..=2 {
        if dead > 0 {
            cluster.kill(dead - 1);
        }
        // The result must not depend on the first answer.
        for attempt in 1..=5 {
            let label = format!("{dead} of 5 are dead, attempt {attempt}");
            run(&cluster, &["-n"], &["true"]).expect(&label, 75);
        }
    }
    cluster.restart(0);
    cluster.restart(1);
    (0..2).for_each(|i| cluster.stop(i));
    run(&cluster, &["-n"], &["true"]).expect("2 of 5 hang", 75);
    (0..2).for_each(|i| cluster.cont(i));
}

#[test]
fn too_few_instances_are_69_whatever_was_chosen_for_a_conflict() {
    let mut cluster = Cluster::start(3);
    cluster.kill(0);
    cluster.stop(1);
    let table: [(&str, &[&str]); 4] = [
        ("-n", &["-n"]),
        ("-n -E 9", &["-n", "-E", "9"]),
        ("-w 300ms", &["-w", "300ms"]),
        ("-w 2s", &["-w", "2s"]),
    ];
    for (label, options) in table {
        let output = run(&cluster, options, &["sh", "-c", "echo ran"]).expect(label, 69);
        assert_eq!(output.out(), "", "{label}: the command ran");
    }
    cluster.cont(1);
    cluster.until_no_key_is_left();
}

#[test]
fn a_lost_lock_is_74() {
    let cluster = Cluster::start(3);
    let running = hold(&cluster, "code", &["--ttl", "1s"]);
    (0..3).for_each(|i| drop(cluster.cli(i, &["FLUSHALL"])));
    running.wait().expect("all forgot it", 74);
    cluster.until_no_key_is_left();
}

#[test]
fn the_end_of_the_command_is_not_lost_among_those_of_its_orphans() {
    let cluster = Cluster::start(3);
    let orphans = "echo ready; cat >/dev/null; for i in $(seq 500); do (true &); done; exit 7";
    let args = ["run", "--ttl", "60s", "code", "--", "sh", "-c", orphans];
    let mut running = Run::redlock(&cluster).args(args).spawn();
    running.until_ready();
    let [guardian] = processes::children(running.pid())[..] else { panic!("one guardian") };
    let [command] = processes::children(guardian)[..] else { panic!("one command") };
    // redlock is stopped, so that it learns of all ends at once.
    running.signal(Signal::SIGSTOP);
    running.let_go();
    until("the command is gone, and was reaped", || processes::state(command).is_none());
    running.signal(Signal::SIGCONT);
    running.wait().expect("500 orphans and an end", 7);
}

#[test]
fn a_wrong_command_line_is_64() {
    let cluster = Cluster::start(3);
    let table: [(&str, &[&str]); 19] = [
        ("no subcommand", &[]),
        ("an unknown subcommand", &["frobnicate"]),
        ("an unknown flag", &["run", "--frobnicate", "code", "--", "true"]),
        ("no command", &["run"]),
        ("a name and no command", &["run", "code", "--"]),
        ("no name and no command", &["run", "--"]),
        ("two names", &["run", "code", "other", "--", "true"]),
        ("no --", &["run", "code", "true"]),
        ("a TTL that is no duration", &["run", "--ttl", "soon", "code", "--", "true"]),
        ("a negative TTL", &["run", "--ttl=-1s", "code", "--", "true"]),
        ("a TTL that is too short", &["run", "--ttl", "100ms", "code", "--", "true"]),
        (
            "a TTL too short for kill-after",
            &["run", "--ttl", "1s", "-k", "900ms", "code", "--", "true"],
        ),
        ("an exit code that is none", &["run", "-E", "256", "code", "--", "true"]),
        ("a signal that is none", &["run", "--signal", "NOPE", "code", "--", "true"]),
        ("a name with a line break", &["run", "co\nde", "--", "true"]),
        ("a name with an escape", &["run", "co\u{1b}de", "--", "true"]),
        ("a quiet and verbose wait", &["wait", "-q", "-v", "code"]),
        ("a wait for a key with a prefix", &["wait", "--key", "code", "--prefix", "p"]),
        ("an empty name", &["run", "", "--", "true"]),
    ];
    for (label, args) in table {
        let output = Run::redlock(&cluster).args(args).finish().expect(label, 64);
        assert_eq!(output.out(), "", "{label}: stdout belongs to the command");
        assert!(!output.stderr.is_empty(), "{label}: nothing says what is wrong");
        assert!(!output.stderr.contains('\u{1b}'), "{label}: an escape reaches the terminal");
    }
    cluster.until_no_key_is_left();
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let cluster = Cluster::start(0);
    for what in ["--help", "completions bash", "--version"] {
        for (to, code, words) in [
            ("/dev/full", 125, "No space left"),
            ("/dev/null", 0, ""),
            ("/dev/stderr", 0, "redlock"),
        ] {
            let script = format!("\"$RL\" {what} >{to}");
            let output =
                Run::program(&cluster, "sh").args(["-c", &script]).finish().expect(&script, code);
            assert!(output.stderr.contains(words), "{script}: {}", output.stderr);
        }
    }
}

#[test]
fn help_and_version_are_no_failure() {
    let cluster = Cluster::start(0);
    for args in [&["--help"][..], &["run", "--help"], &["sandbox", "--help"], &["--version"]] {
        let output = Run::redlock(&cluster).args(args).finish().expect(&args.join(" "), 0);
        assert!(
            !output.stdout.is_empty() && output.stderr.is_empty(),
            "{args:?} belongs on stdout"
        );
    }
}
