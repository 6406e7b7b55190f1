//! `redlock hold`: locks that are kept without a command, and keepers that are never left behind.

use crate::support::{Cluster, Output, Run, Running, key_of, processes, until};
use nix::sys::signal::Signal;
use std::fs;
use std::process::{Child, Command, Stdio};

/// A process for a keeper to watch.
struct Watched(Child);

impl Watched {
    fn start() -> Self {
        let mut command = Command::new("sleep");
        Self(command.arg("600").stdin(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn keep(cluster: &Cluster, more: &[&str]) -> Output {
    let run = Run::redlock(cluster).args(["hold", "a", "--background", "--handle", "h"]);
    run.args(more).finish()
}

fn step(cluster: &Cluster, verb: &str) -> Output {
    Run::redlock(cluster).args([verb, "--handle", "h"]).finish()
}

fn state(cluster: &Cluster) -> String {
    let text = fs::read_to_string(cluster.dir().join("h")).unwrap();
    text.split("\"state\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

fn in_front(cluster: &Cluster, more: &[&str]) -> Running {
    let run = Run::redlock(cluster).with_default_signals();
    let running = run.args(["hold", "a"]).args(more).spawn();
    running.until_stdout("redlock_handle");
    running
}

#[test]
fn a_keeper_extends_until_the_watched_process_is_killed() {
    let cluster = Cluster::start(3);
    let mut watched = Watched::start();
    let output = keep(&cluster, &["--while-pid", &watched.pid(), "--ttl", "600ms"]);
    output.expect("hold", 0).expect_silence("it leaves no pipe open");
    let first = fs::read_to_string(cluster.dir().join("h")).unwrap();
    until("it was extended", || {
        fs::read_to_string(cluster.dir().join("h")).is_ok_and(|text| text != first)
    });
    step(&cluster, "check").expect("check", 0);
    step(&cluster, "extend").expect("extend", 0).expect_silence("extend");
    let run = Run::redlock(&cluster).args(["run", "-n", "a", "--", "true"]).finish();
    run.expect("another run", 75);
    watched.kill();
    cluster.until_no_key_is_left();
    cluster.until_no_process_is_left();
    assert_eq!(state(&cluster), "released");
    step(&cluster, "check").expect("check", 74);
}

#[test]
fn a_release_ends_the_keeper_also_where_the_servers_are_dead() {
    let mut cluster = Cluster::start(3);
    let watched = Watched::start();
    keep(&cluster, &["--while-pid", &watched.pid()]).expect("hold", 0);
    step(&cluster, "release").expect("release", 0).expect_silence("release");
    cluster.until_no_process_is_left();
    cluster.until_no_key_is_left();
    assert_eq!(state(&cluster), "released");
    keep(&cluster, &["--max-hold", "1h"]).expect("hold", 0);
    (0..3).for_each(|i| cluster.kill(i));
    step(&cluster, "release").expect("release", 69);
    cluster.until_no_process_is_left();
}

#[test]
fn a_keeper_that_is_frozen_is_ended_and_one_that_was_killed_leaves_a_lease() {
    let cluster = Cluster::start(3);
    let keeper = |cluster: &Cluster| -> i32 {
        let text = fs::read_to_string(cluster.dir().join("h")).unwrap();
        let rest = text.split("\"keeper\":").nth(1).unwrap().split("\"pid\":").nth(1).unwrap();
        rest.split(',').next().unwrap().parse().unwrap()
    };
    keep(&cluster, &["--max-hold", "1h"]).expect("hold", 0);
    processes::stop(keeper(&cluster));
    step(&cluster, "release").expect("release", 0);
    cluster.until_no_process_is_left();
    keep(&cluster, &["--max-hold", "1h"]).expect("hold", 0);
    processes::send(keeper(&cluster), Signal::SIGKILL);
    cluster.until_no_process_is_left();
    step(&cluster, "extend").expect("within the lease", 0);
    step(&cluster, "release").expect("release", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_keeper_that_loses_the_lock_says_so() {
    let cluster = Cluster::start(3);
    keep(&cluster, &["--max-hold", "1h", "--ttl", "600ms"]).expect("hold", 0);
    (0..3).for_each(|i| cluster.occupy(i, &key_of("a")));
    until("it says so", || state(&cluster) == "lost");
    step(&cluster, "check").expect("check", 74).expect_words("check", &["'a' was lost"]);
    step(&cluster, "extend").expect("extend", 74);
    cluster.until_no_process_is_left();
    let output = in_front_of_loss(&cluster);
    output.expect("in front", 74).expect_words("in front", &["lost 'a': "]);
}

fn in_front_of_loss(cluster: &Cluster) -> Output {
    (0..3).for_each(|i| drop(cluster.cli(i, &["DEL", &key_of("a")])));
    let running = in_front(cluster, &["--ttl", "600ms"]);
    (0..3).for_each(|i| cluster.occupy(i, &key_of("a")));
    running.wait()
}

#[test]
fn a_hold_in_front_ends_with_its_input_its_process_its_time_or_a_signal() {
    let cluster = Cluster::start(3);
    in_front(&cluster, &["--until-eof"]).finish().expect("the end of its input", 0);
    let mut watched = Watched::start();
    let running = in_front(&cluster, &["--while-pid", &watched.pid()]);
    watched.kill();
    running.wait().expect("the end of its process", 0);
    in_front(&cluster, &["--max-hold", "100ms"]).wait().expect("the end of its time", 124);
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let running = in_front(&cluster, &[]);
        running.signal(signal);
        running.wait().expect_death("a signal", signal);
    }
    cluster.until_no_key_is_left();
}

#[test]
fn a_hold_that_has_no_end_or_whose_end_cannot_be_seen_locks_nothing() {
    let cluster = Cluster::start(3);
    let output = keep(&cluster, &[]).expect("no end", 64);
    output.expect_words("no end", &["needs an end", "--while-pid"]);
    let mut watched = Watched::start();
    let pid = watched.pid();
    watched.kill();
    let output = keep(&cluster, &["--while-pid", &pid]).expect("a dead process", 64);
    output.expect_words("a dead process", &["there is no process"]);
    let file = Run::shell(&cluster, r#""$RL" hold a --until-eof </dev/null"#).finish();
    file.expect("no end to wait for", 64).expect_words("a file", &["needs a pipe"]);
    cluster.until_no_key_is_left();
}

#[test]
fn a_keeper_whose_starter_dies_before_the_lock_is_held_ends_too() {
    let cluster = Cluster::start(3);
    (0..3).for_each(|i| cluster.occupy(i, &key_of("a")));
    let run = Run::redlock(&cluster).args(["hold", "a", "--background", "--max-hold", "1h"]);
    let starter = run.spawn();
    starter.until_stderr("waiting for 'a'");
    starter.signal(Signal::SIGKILL);
    cluster.until_no_process_is_left();
    let output = keep(&cluster, &["--max-hold", "1h", "-n"]).expect("busy", 75);
    output.expect_words("busy", &["'a' is busy"]);
    cluster.until_no_process_is_left();
}

#[test]
fn no_keeper_is_left_behind_in_many_cycles() {
    let cluster = Cluster::start(3);
    let cycles = std::env::var("REDLOCK_TEST_HOLDS").ok();
    let cycles: usize = cycles.and_then(|text| text.parse().ok()).unwrap_or(4);
    for cycle in 0..cycles {
        let mut watched = Watched::start();
        keep(&cluster, &["--while-pid", &watched.pid(), "-w", "20s"]).expect("hold", 0);
        if cycle % 2 == 0 {
            watched.kill();
            // The keeper writes the file until it has ended.
            cluster.until_no_process_is_left();
        } else {
            step(&cluster, "release").expect("release", 0);
        }
    }
    cluster.until_no_process_is_left();
    cluster.until_no_key_is_left();
}
