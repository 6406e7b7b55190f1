//! Connections that a firewall or a load balancer forgets: their bytes are lost, neither
//! side learns of an end, and new connections work at once.

use super::{KEY, Stage, has_come};
use crate::support::life::life;
use crate::support::proxy::{Fate, Way};
use crate::support::{Monitor, Running, until};

/// Ends the command once every server has been extended five times after its connection was
/// forgotten.
fn outlives(stage: &Stage, mut holder: Running, label: &str) {
    let monitors: Vec<_> = (0..3).map(|i| Monitor::of(&stage.cluster, i)).collect();
    let rounds = |monitor: &Monitor| monitor.extensions(KEY).len();
    until(label, || !holder.goes_on() || monitors.iter().all(|monitor| rounds(monitor) >= 5));
    holder.finish().expect(label, 0);
    assert!(life(&stage.cluster, "holder").is_some(), "{label}: it lived");
}

/// Before the rule, the lock was lost: no time limit closes a connection, and no second connection
/// was made.
#[test]
fn connections_that_are_forgotten_in_silence_lose_no_lock() {
    let stage = Stage::new();
    let holder = stage.holder(&["--ttl", "3s"]);
    for proxy in &stage.proxies {
        proxy.set_open(Fate::Swallow);
    }
    outlives(&stage, holder, "new connections work");
    assert!(
        (0..3).all(|i| stage.cluster.keys(i).is_empty()),
        "a key is there, and its holder is gone"
    );
}

/// The connections to one server are forgotten before its first answer.
///
/// Before the rule, that server was never extended: only a connection that had answered was
/// replaced.
#[test]
fn a_connection_that_is_forgotten_before_its_first_answer_is_replaced() {
    let stage = Stage::new();
    stage.proxies[2].set(Way::Replies, Fate::Hold);
    // The connection must be forgotten before redlock replaces it.
    let holder = stage.holder(&["--ttl", "4s", "--op-timeout", "800ms"]);
    stage.proxies[2].set_open(Fate::Swallow);
    stage.proxies[2].set(Way::Replies, Fate::Pass);
    outlives(&stage, holder, "new connections work");
}

/// The same, and the firewall delivers the bytes of the old connections after the end of redlock.
///
/// Before the rule the lock was lost.
#[test]
fn requests_on_a_connection_that_was_replaced_leave_no_key() {
    let stage = Stage::new();
    let holder = stage.holder(&["--ttl", "3s"]);
    for proxy in &stage.proxies {
        proxy.set_open(Fate::Hold);
    }
    outlives(&stage, holder, "new connections work");
    let monitors: Vec<_> = (0..3).map(|i| Monitor::of(&stage.cluster, i)).collect();
    for proxy in &stage.proxies {
        proxy.set_open(Fate::Pass);
    }
    until("it has come", || monitors.iter().all(has_come));
    for proxy in &stage.proxies {
        proxy.until_closed();
    }
    assert!(
        (0..3).all(|i| stage.cluster.keys(i).is_empty()),
        "a key is there, and its holder is gone"
    );
}
