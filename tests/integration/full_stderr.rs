//! A stderr that blocks delays nothing: neither the extension, nor a kill, nor the release, nor the
//! exit.

use crate::support::pty::Pty;
use crate::support::stamps::{self, STAMPING};
use crate::support::{Cluster, HOLD, Monitor, Run, hold};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::write;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

const KEY: &str = "redlock:mute";
const TTL: Duration = Duration::from_secs(2);
const CTRL_S: &str = "\u{13}";

/// Fills a pipe or a socket that no process reads.
fn fill(far: &OwnedFd) {
    fcntl(far, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("an open file");
    for size in [4096, 1] {
        while write(far, &vec![b'x'; size]).is_ok() {}
    }
    fcntl(far, FcntlArg::F_SETFL(OFlag::empty())).expect("an open file");
}

/// Full streams, each with its other end, which has to stay open.
fn full_streams() -> [(&'static str, OwnedFd, OwnedFd); 2] {
    let (read, written) = std::io::pipe().expect("a pipe");
    let (near, far) = UnixStream::pair().expect("two sockets");
    let streams = [("a pipe", read.into(), written.into()), ("a socket", near.into(), far.into())];
    for (_, _, far) in &streams {
        fill(far);
    }
    streams
}

fn run(cluster: &Cluster, options: &[&str]) -> Run {
    Run::redlock(cluster).with_default_signals().arg_line("run", options, &["mute", "--"])
}

#[test]
fn a_full_stderr_stops_neither_the_extension_nor_the_release() {
    for (label, _near, far) in full_streams() {
        let mut cluster = Cluster::start(3);
        let monitor = Monitor::of(&cluster, 0);
        let running = run(&cluster, &["-v", "--ttl", "1s"]).args(HOLD).spawn_with_stderr(far);
        running.until_ready();
        // From now on, each round has a message.
        cluster.stop(2);
        monitor.until_extended(KEY, 6);
        cluster.cont(2);
        running.finish().expect(label, 0);
        cluster.until_no_key_is_left();
    }
}

#[test]
fn with_a_full_stderr_a_lost_lock_ends_the_command_before_the_deadline() {
    for (label, _near, far) in full_streams() {
        let mut cluster = Cluster::start(5);
        let monitors: Vec<_> = (0..3).map(|i| Monitor::of(&cluster, i)).collect();
        let stamping = ["bash", "-c", STAMPING];
        let running = run(&cluster, &["-v", "--ttl", "2s"]).args(stamping).spawn_with_stderr(far);
        running.until_ready();
        monitors[0].until_extended(KEY, 2);
        (0..3).for_each(|i| cluster.stop(i));
        running.wait().expect(label, 74);
        cluster.until_no_process_is_left();
        (0..3).for_each(|i| cluster.cont(i));
        let expiry =
            monitors.iter().map(|monitor| monitor.last_expiry_set(KEY) + TTL).max().expect("three");
        let dead = stamps::last(&cluster);
        assert!(
            dead < expiry,
            "{label}: the command lived for {:?} after the expiry",
            dead.saturating_sub(expiry)
        );
        cluster.until_no_key_is_left();
    }
}

#[test]
fn lines_that_waited_for_a_full_stderr_are_written_when_it_takes_more() {
    for (label, near, far) in full_streams() {
        let cluster = Cluster::start(3);
        let running = run(&cluster, &["-v"]).args(HOLD).spawn_with_stderr(far);
        running.until_ready();
        let reader = thread::spawn(move || {
            let mut said = String::new();
            File::from(near).read_to_string(&mut said).expect("text");
            said
        });
        running.finish().expect(label, 0);
        let said = reader.join().expect("no panic");
        let (_, said) =
            said.split_once("xredlock: ").unwrap_or_else(|| panic!("{label}: nothing was said"));
        // The line begins with the time.
        let said = said.split_once(' ').map_or("", |(_, said)| said);
        assert!(said.starts_with("acquired 'mute'"), "{label}: {said}");
    }
}

#[test]
fn a_full_stderr_holds_up_no_exit() {
    let cluster = Cluster::start(3);
    (0..3).for_each(|i| cluster.occupy(i, KEY));
    for (label, _near, far) in full_streams() {
        run(&cluster, &["-v", "-w", "1500ms"])
            .args(["true"])
            .spawn_with_stderr(far)
            .finish()
            .expect(label, 75);
    }
}

#[test]
fn a_stopped_terminal_holds_nothing_up() {
    let mut cluster = Cluster::start(3);
    let monitor = Monitor::of(&cluster, 0);
    let command = ["sh", "-c", "echo ready; exec sleep 600"];
    let mut pty = Pty::start(
        Run::redlock(&cluster).args(["run", "-v", "--ttl", "1s", "mute", "--"]).args(command),
    );
    pty.read_until("ready");
    pty.press(CTRL_S);
    cluster.stop(2);
    monitor.until_extended(KEY, 6);
    cluster.stop(1);
    assert_eq!(pty.wait().code(), Some(74), "{}", pty.screen());
    cluster.until_no_process_is_left();
    assert!(!pty.screen().contains("lost"), "the terminal was not stopped: {}", pty.screen());
    (1..3).for_each(|i| cluster.cont(i));
    cluster.until_no_key_is_left();
}

#[test]
fn in_the_background_of_a_terminal_that_wants_no_output_from_there_redlock_goes_on() {
    let cluster = Cluster::start(3);
    (0..3).for_each(|i| cluster.occupy(i, KEY));
    let mut pty = Pty::start(Run::program(&cluster, "bash").args([
        "--norc",
        "--noprofile",
        "--noediting",
        "-i",
    ]));
    pty.read_until("> ");
    pty.converse("stty tostop; \"$RL\" run -w 1500ms mute -- true &", "waiting for 'mute'");
    pty.converse("wait $!; echo \"code $?\"", "code 75");
    pty.press("exit\n");
    pty.wait();
}

#[test]
fn a_silent_run_has_no_thread_for_messages() {
    let cluster = Cluster::start(3);
    let running = hold(&cluster, "mute", &[]);
    let tasks = fs::read_dir(format!("/proc/{}/task", running.pid())).expect("it runs");
    let names = tasks.map(|task| {
        fs::read_to_string(task.expect("a task").path().join("comm")).unwrap_or_default()
    });
    let names: Vec<_> = names.collect();
    assert!(!names.iter().any(|name| name.trim() == "stderr"), "{names:?}");
    assert_eq!(running.finish().expect("success", 0).stderr, "");
}
