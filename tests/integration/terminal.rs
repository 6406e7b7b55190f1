//! Commands on a real terminal.

use crate::support::pty::{CTRL_C, CTRL_Z, Pty, until_stopped};
use crate::support::{Cluster, Monitor, Run, processes, until};
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

const KEY: &str = "redlock:tty";

/// redlock itself on a terminal.
fn on_terminal(cluster: &Cluster, ttl: &str, command: &[&str]) -> Pty {
    Pty::start(Run::redlock(cluster).args(["run", "--ttl", ttl, "tty", "--"]).args(command))
}

/// An interactive shell on a terminal, in which `$RL` is redlock.
fn shell(cluster: &Cluster) -> Pty {
    let mut pty = Pty::start(Run::program(cluster, "bash").args([
        "--norc",
        "--noprofile",
        "--noediting",
        "-i",
    ]));
    pty.read_until("> ");
    pty
}

/// A command that writes its process id to `pid`, prints `ready`, and prints `done` when the file
/// `stop` appears.
const PATIENT: &str = "exec 9<> <(:); echo $$ >pid; echo ready; until [ -e stop ]; do read -rt 0.01 -u 9; done; echo do\\ne";

fn pid(cluster: &Cluster) -> i32 {
    fs::read_to_string(cluster.dir().join("pid"))
        .expect("the command has started")
        .trim()
        .parse()
        .expect("a number")
}

fn touch(path: &Path) {
    fs::write(path, "").expect("a file");
}

#[test]
fn ctrl_c_ends_the_command_and_redlock_as_an_interrupt() {
    let cluster = Cluster::start(3);
    let mut pty = on_terminal(&cluster, "1m", &["sh", "-c", "echo ready; exec sleep 600"]);
    pty.read_until("ready");
    pty.press(CTRL_C);
    assert_eq!(pty.wait().signal(), Some(Signal::SIGINT as i32), "{}", pty.screen());
    assert!(!pty.screen().contains("redlock:"), "Ctrl-C needs no comment: {}", pty.screen());
    cluster.until_no_key_is_left();
}

#[test]
fn ctrl_c_reaches_the_command_once() {
    let cluster = Cluster::start(3);
    let monitor = Monitor::of(&cluster, 0);
    let count = format!("n=0; trap 'n=$((n+1)); echo seen-$n' INT; {PATIENT}; echo total-$n");
    let mut pty = on_terminal(&cluster, "1s", &["bash", "-c", &count]);
    pty.read_until("ready");
    for n in 1..=4 {
        pty.press(CTRL_C);
        pty.read_until(&format!("seen-{n}"));
        // A second delivery of the same key would have come by now.
        monitor.until_extended(KEY, 2);
    }
    touch(&cluster.dir().join("stop"));
    pty.read_until("total-4");
    assert_eq!(pty.wait().code(), Some(0), "{}", pty.screen());
    cluster.until_no_key_is_left();
}

#[test]
fn ctrl_c_ends_the_wait() {
    let cluster = Cluster::start(3);
    (0..3).for_each(|i| cluster.occupy(i, KEY));
    let mut pty = on_terminal(&cluster, "1m", &["true"]);
    pty.read_until("waiting");
    pty.press(CTRL_C);
    assert_eq!(pty.wait().signal(), Some(Signal::SIGINT as i32), "{}", pty.screen());
}

#[test]
fn the_command_reads_from_the_terminal() {
    let cluster = Cluster::start(3);
    let mut pty = on_terminal(
        &cluster,
        "1m",
        &["sh", "-c", "echo ready; read -r line; echo \"got <$line>\"; tty"],
    );
    pty.read_until("ready");
    pty.converse("hello", "got <hello>");
    pty.read_until("/dev/pts/");
    assert_eq!(pty.wait().code(), Some(0), "{}", pty.screen());
    cluster.until_no_key_is_left();
}

#[test]
fn the_terminal_is_given_back_to_a_shell_without_job_control() {
    let cluster = Cluster::start(3);
    let script =
        r#""$RL" run tty -- sh -c 'read -r a; echo "inner $a"'; read -r b; echo "outer $b""#;
    let mut pty = Pty::start(Run::shell(&cluster, script));
    pty.converse("one", "inner one");
    pty.converse("two", "outer two");
    assert_eq!(pty.wait().code(), Some(0), "{}", pty.screen());
}

#[test]
fn the_terminal_is_given_back_to_an_interactive_shell() {
    let cluster = Cluster::start(3);
    let mut pty = shell(&cluster);
    for (label, command, code) in
        [("success", "true", 0), ("failure", "false", 1), ("a death", "sh -c 'kill -9 $$'", 137)]
    {
        pty.converse(
            &format!(r#""$RL" run tty -- {command}; echo "code $?""#),
            &format!("code {code}"),
        );
        pty.converse("read -r line; echo \"<$line>\"", "\n");
        pty.converse(label, &format!("<{label}>"));
    }
    pty.press("exit 5\n");
    assert_eq!(pty.wait().code(), Some(5), "{}", pty.screen());
}

#[test]
fn a_redlock_in_the_background_does_not_take_the_terminal() {
    let cluster = Cluster::start(3);
    let mut pty = shell(&cluster);
    pty.press(&format!("\"$RL\" run tty -- bash -c '{PATIENT}' &\n"));
    pty.read_until("ready");
    pty.converse("read -r line; echo \"<$line>\"", "\n");
    pty.converse("mine", "<mine>");
    touch(&cluster.dir().join("stop"));
    pty.converse("wait; echo \"code $?\"", "code 0");
    pty.press("exit\n");
    pty.wait();
}

#[test]
fn an_interactive_bash_has_job_control() {
    let cluster = Cluster::start(3);
    let mut pty =
        on_terminal(&cluster, "2s", &["bash", "--norc", "--noprofile", "--noediting", "-i"]);
    pty.read_until("> ");
    pty.converse("sleep 600 &", "[1]");
    pty.converse("jobs", "Running");
    pty.converse(r"sh -c 'echo u\p; exec sleep 600'", "up");
    pty.press(CTRL_Z);
    pty.read_until("Stopped");
    pty.converse("bg", "[2]+ ");
    pty.converse("kill -9 %1 %2; wait; echo $((6*7))", "42");
    pty.converse(r"sh -c 'echo u\p; exec sleep 600'", "up");
    pty.press(CTRL_C);
    pty.read_until("> ");
    pty.converse("echo $((6*8))", "48");
    pty.press("exit 7\n");
    assert_eq!(pty.wait().code(), Some(7), "{}", pty.screen());
    assert!(!pty.screen().contains("no job control"), "{}", pty.screen());
    cluster.until_no_key_is_left();
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).exists())
}

#[test]
fn programs_that_take_the_whole_screen_work() {
    let cluster = Cluster::start(3);
    let text = (1..=100).map(|line| format!("line-{line}\n")).collect::<Vec<_>>().concat();
    let (path, seen) = (cluster.dir().join("text"), "line-1");
    // The keys, a text that appears if the whole screen is drawn again, the keys to leave, and the
    // first line of the file after that.
    let table: [(&[&str], &str, &str, &str, &str); 4] = [
        (&["vim", "-u", "NONE", "-N", "text"], "1G0imy ", seen, "\u{1b}:wq\n", "my line-1\n"),
        (&["vi", "text"], "1G0imy ", seen, "\u{1b}:wq\n", "my line-1\n"),
        (&["less", "text"], "50g", "line-50", "q", "line-1\n"),
        (&["more", "text"], " ", "line-30", "q", "line-1\n"),
    ];
    let table: Vec<_> = table.into_iter().filter(|(command, ..)| installed(command[0])).collect();
    assert!(
        !table.is_empty(),
        "this test needs one of vim, vi, less and more; the last is in util-linux"
    );
    for (command, keys, then, leave, first) in table {
        fs::write(&path, &text).unwrap();
        let mut pty = on_terminal(&cluster, "2s", command);
        pty.read_until(seen);
        pty.press(keys);
        if then != seen {
            pty.read_until(then);
        }
        pty.press(leave);
        assert_eq!(pty.wait().code(), Some(0), "{command:?}: {}", pty.screen());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(first), "{command:?} did not get what was typed: {text:?}");
        cluster.until_no_key_is_left();
    }
}

#[test]
fn ctrl_z_stops_and_fg_continues_within_the_ttl() {
    let cluster = Cluster::start(3);
    let monitor = Monitor::of(&cluster, 0);
    let mut pty = shell(&cluster);
    pty.press(&format!("\"$RL\" run --ttl 10s tty -- bash -c '{PATIENT}'; echo \"code $?\"\n"));
    pty.read_until("ready\r\n");
    for _ in 0..2 {
        pty.press(CTRL_Z);
        pty.read_until("Stopped");
        until_stopped(pid(&cluster), true);
        pty.press("fg\n");
        until_stopped(pid(&cluster), false);
        monitor.until_extended(KEY, 1);
    }
    touch(&cluster.dir().join("stop"));
    pty.read_until("done");
    pty.converse("echo \"then $?\"", "then 0");
    pty.press("exit\n");
    pty.wait();
    cluster.until_no_key_is_left();
}

#[test]
fn a_command_that_was_stopped_for_too_long_is_dead() {
    let cluster = Cluster::start(3);
    let mut pty = shell(&cluster);
    pty.press(&format!("\"$RL\" run --ttl 1s tty -- bash -c '{PATIENT}'\n"));
    pty.read_until("ready\r\n");
    pty.press(CTRL_Z);
    pty.read_until("Stopped");
    let command = pid(&cluster);
    until("the lock has expired", || (0..3).all(|i| cluster.get(i, KEY).is_none()));
    assert!(!processes::alive(command), "the command outlives its lock");
    (0..3).for_each(|i| cluster.occupy(i, KEY));
    touch(&cluster.dir().join("stop"));
    pty.press("fg\n");
    pty.read_until("lost");
    pty.converse("echo \"code $?\"", "code 74");
    assert!(!pty.screen().contains("\ndone"), "the command went on: {}", pty.screen());
    (0..3).for_each(|i| assert!(cluster.get(i, KEY).is_some(), "the new holder's key was touched"));
    pty.press("exit\n");
    pty.wait();
}

#[test]
fn closing_the_terminal_ends_the_command_and_frees_the_lock() {
    let cluster = Cluster::start(3);
    let mut pty = on_terminal(&cluster, "1m", &["sh", "-c", "echo ready; exec sleep 600"]);
    pty.read_until("ready");
    pty.hang_up();
    pty.wait();
    cluster.until_no_process_is_left();
    cluster.until_no_key_is_left();
}
