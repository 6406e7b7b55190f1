//! Requests that are executed late.

use super::{KEY, Stage, has_come};
use crate::support::life::overlap;
use crate::support::processes::children;
use crate::support::proxy::{Fate, Way};
use crate::support::{Monitor, Run, processes, until};
use nix::sys::signal::Signal;
use std::time::Duration;

/// An extension reaches one server after its key has expired there. Meanwhile a second server has
/// lost the key, and another run has held the lock on these two. No rule can prevent that after the
/// loss of two keys of three, but the holder has to notice it.
///
/// Before the rule, the two commands lived at once for 0.3 s, the whole life of the second one, and
/// the holder ended with 0.
#[test]
fn a_late_extension_of_an_old_round_promotes_no_instance() {
    let stage = Stage::new();
    let monitor = Monitor::of(&stage.cluster, 2);
    let mut holder = stage.holder(&["--ttl", "6s"]);
    stage.proxies[0].set(Way::Requests, Fate::Hold);
    stage.proxies[0].until_held();
    until("the key has expired on one server", || stage.cluster.get(0, KEY).is_none());
    monitor.until_extended(KEY, 1);
    stage.cluster.cli(2, &["DEL", KEY]);
    let contender = stage.run("contender", &["-n"]).spawn();
    contender.until_ready();
    until("both live", || {
        overlap(&stage.cluster, "holder", "contender") > Duration::from_millis(300)
    });
    contender.finish().expect("two servers know of no lock", 0);
    stage.proxies[0].set(Way::Requests, Fate::Pass);
    let rounds = monitor.extensions(KEY).len() + 2;
    until("it has noticed, or all is as before", || {
        !holder.goes_on() || monitor.extensions(KEY).len() >= rounds
    });
    holder.finish().expect("a majority has had a gap", 74);
}

/// A holder that is killed with its guardian while an extension is on its way to each server.
fn dies_with_an_extension_on_its_way(stage: &Stage, ttl: &str) {
    let holder = stage.holder(&["--ttl", ttl]);
    stage.cut_off(0..3);
    for proxy in &stage.proxies {
        proxy.until_held();
    }
    let [guardian] = children(holder.pid())[..] else { panic!("one guardian") };
    processes::send(guardian, Signal::SIGKILL);
    holder.signal(Signal::SIGKILL);
    holder.wait().expect_death("killed", Signal::SIGKILL);
}

/// Before the rule, the keys of a dead holder were set again for a whole TTL of 3 s.
#[test]
fn an_extension_that_comes_when_the_lease_is_over_sets_no_key_again() {
    let stage = Stage::new();
    dies_with_an_extension_on_its_way(&stage, "3s");
    until("the keys have expired", || (0..3).all(|i| stage.cluster.keys(i).is_empty()));
    let monitors: Vec<_> = (0..3).map(|i| Monitor::of(&stage.cluster, i)).collect();
    stage.join(0..3);
    until("the extension has come", || monitors.iter().all(has_come));
    let next = Run::redlock(&stage.cluster).args(["run", "-n", "edge", "--", "true"]).finish();
    next.expect("a dead holder has no lock when its lease is over", 0);
}
