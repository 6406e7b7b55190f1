//! Names that move to other servers, and servers that restart one after the other.

use super::{KEY, Stage};
use crate::support::clock::{now, since};
use crate::support::life::{assert_never_both, living};
use crate::support::means::{etc, flags, redlock_with_etc};
use crate::support::proxy::Proxy;
use crate::support::{Cluster, Monitor, Running, until};
use std::fs;
use std::time::Duration;

/// Three names for six servers: the old three at 127.0.0.1, the new three with the same ports at
/// 127.0.0.2.
struct Names {
    cluster: Cluster,
    old: Vec<Option<Proxy>>,
    new: Vec<Proxy>,
}

const NAMES: [&str; 3] = ["one.test", "two.test", "three.test"];

impl Names {
    fn new() -> Self {
        let cluster = Cluster::start(6);
        let old: Vec<_> = (0..3).map(|i| Proxy::before(cluster.port(i))).collect();
        let new = (0..3)
            .map(|i| Proxy::listening("127.0.0.2", old[i].port(), cluster.port(3 + i)))
            .collect();
        let names = Self { cluster, old: old.into_iter().map(Some).collect(), new };
        names.publish();
        until("all have been up for longer than the guard", || {
            (0..6).all(|i| names.cluster.uptime(i) >= 5)
        });
        names
    }

    /// Writes the address of each name into the file itself: it is mounted over another, so it must
    /// not be replaced.
    fn publish(&self) {
        let line = |(name, old): (&str, &Option<Proxy>)| {
            format!("127.0.0.{} {name}\n", if old.is_some() { 1 } else { 2 })
        };
        let text: String = NAMES.into_iter().zip(&self.old).map(line).collect();
        fs::write(etc(&self.cluster).join("hosts"), text).expect("a file");
    }

    /// Moves a name to its new server, and ends the old one.
    fn replace(&mut self, i: usize) {
        let old = self.old[i].take();
        self.publish();
        self.cluster.kill(i);
        drop(old);
    }

    /// redlock in a mount namespace that knows the names.
    fn run(&self, label: &str) -> Running {
        let url = |(name, new): (&str, &Proxy)| format!("redis://{name}:{}", new.port());
        let urls = NAMES.into_iter().zip(&self.new).map(url).collect::<Vec<_>>().join(",");
        let run = redlock_with_etc(&self.cluster, "", "true").expect("a mount namespace");
        let run = run.env("REDLOCK_URLS", urls).without("REDLOCK_RESTART_GUARD");
        run.args(["run", "--ttl", "3s", "--restart-guard", "3s", "edge", "--"])
            .args(living(label))
            .spawn()
    }
}

/// Before the rule, the two commands lived at once for 1.4 s.
#[test]
fn servers_that_are_replaced_behind_their_names_one_at_a_time_let_no_second_in() {
    let Some(_) = flags("m") else { return };
    let mut names = Names::new();
    let last = Monitor::of(&names.cluster, 2);
    let mut holder = names.run("holder");
    holder.until_ready();
    until("all have the key", || (0..3).all(|i| names.cluster.get(i, KEY).is_some()));
    names.replace(0);
    last.until_extended(KEY, 6);
    names.replace(1);
    let contender = names.run("contender");
    let rounds = last.extensions(KEY).len() + 4;
    until("they have met", || !holder.goes_on() || last.extensions(KEY).len() >= rounds);
    let output = holder.finish();
    contender.until_ready();
    contender.finish().expect("its turn", 0);
    assert_never_both(&names.cluster, "holder", "contender");
    output.expect("one server at a time was replaced", 0);
}

/// Two names move at once to servers that have been up for long and never had the lock.
///
/// Before the rule, the two commands lived at once for 2.8 s.
#[test]
fn a_server_that_is_new_behind_its_name_has_no_vote_while_others_know_of_a_lock() {
    let Some(_) = flags("m") else { return };
    let mut names = Names::new();
    let monitors = [0, 1].map(|i| Monitor::of(&names.cluster, i));
    let last = Monitor::of(&names.cluster, 2);
    let mut holder = names.run("holder");
    holder.until_ready();
    until("all have the key", || (0..3).all(|i| names.cluster.get(i, KEY).is_some()));
    for monitor in &monitors {
        monitor.until_extended(KEY, 1);
    }
    names.replace(0);
    names.replace(1);
    let contender = names.run("contender");
    let rounds = last.extensions(KEY).len() + 4;
    until("the holder has lost the lock, or has it again", || {
        !holder.goes_on() || last.extensions(KEY).len() >= rounds
    });
    let output = holder.finish();
    contender.until_ready();
    contender.finish().expect("its turn", 0);
    assert_never_both(&names.cluster, "holder", "contender");
    let code = output.status.code();
    assert!(
        matches!(code, Some(0 | 74)),
        "two of three servers were replaced, at once or one soon after the other: {code:?}"
    );
}

/// If a run looked up a name only once, it would wait at the old server for ever.
#[test]
fn a_run_that_waits_while_every_server_is_replaced_behind_its_name_gets_in() {
    let Some(_) = flags("m") else { return };
    let mut names = Names::new();
    let mut holder = names.run("holder");
    holder.until_ready();
    let waiting = names.run("waiting");
    let queue = format!("redlock-queue:{KEY}");
    let waits = |names: &Names, i| names.cluster.ask::<usize>(i, &["ZCARD", &queue]) == 1;
    until("it waits", || (0..3).all(|i| waits(&names, i)));
    for i in 0..3 {
        let monitor = Monitor::of(&names.cluster, 3 + i);
        names.replace(i);
        monitor.until_extended(KEY, 3);
    }
    holder.assert_goes_on("one server at a time was replaced");
    until("it waits at the new servers", || (3..6).all(|i| waits(&names, i)));
    holder.finish().expect("the holder", 0);
    waiting.until_ready();
    waiting.finish().expect("its turn", 0);
    assert_never_both(&names.cluster, "holder", "waiting");
}

const LOG: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// Restarts the servers one by one, each right after the server before it was extended again.
fn restarted_in_a_row(guard: &str) {
    let mut stage = Stage::before(Cluster::start_with(3, &LOG));
    until("all have been up for longer than the guard", || {
        (0..3).all(|i| stage.cluster.uptime(i) >= 8)
    });
    let mut holder = stage.holder(&["--ttl", "6s", "--restart-guard", guard]);
    for i in 0..3 {
        stage.cluster.restart(i);
        let monitor = Monitor::of(&stage.cluster, i);
        until("it is extended", || !holder.goes_on() || !monitor.extensions(KEY).is_empty());
        let extended = now();
        until("it could be asked once more", || since(extended) > Duration::from_millis(500));
        holder.assert_goes_on("nothing was lost");
    }
    holder.finish().expect("nothing was lost", 0);
    stage.cluster.until_no_key_is_left();
}

#[test]
fn servers_that_lose_nothing_and_are_trusted_end_no_job_when_they_are_restarted_in_a_row() {
    restarted_in_a_row("off");
}

/// With the guard on, a restarted server counts again after a round that a quorum of the others
/// confirmed.
///
/// Before redlock sent that round at once, the second restart ended the job with 74.
#[test]
fn a_server_that_was_restarted_counts_again_at_once() {
    restarted_in_a_row("6s");
}
