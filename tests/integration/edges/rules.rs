//! Rules that no other test of the real program covers. Each comment names the wrong rule with
//! which the test fails.

use super::{KEY, Stage};
use crate::support::clock::wall;
use crate::support::life::{assert_never_both, life};
use crate::support::proxy::{Fate, Way};
use crate::support::{Cluster, Monitor, Run, Running, until};

/// With the lease counted from the answer, the two live at once for 1.7 s.
#[test]
fn a_lease_counts_from_before_the_extension_was_sent() {
    let stage = Stage::new();
    let monitors: Vec<_> = (0..3).map(|i| Monitor::of(&stage.cluster, i)).collect();
    // The holder is stopped late, so that the command still runs when the answer comes.
    let holder = stage.holder(&["--ttl", "6s", "--kill-after", "20ms"]);
    for proxy in &stage.proxies {
        proxy.set(Way::Replies, Fate::Hold);
    }
    let cut = wall();
    let is_extended = |monitor: &Monitor| monitor.last_expiry_set(KEY) > cut;
    until("an extension has come that is not answered", || monitors.iter().all(is_extended));
    for proxy in &stage.proxies {
        proxy.set(Way::Requests, Fate::Hold);
    }
    until("a third of the lease is over", || (0..3).all(|i| stage.cluster.pttl(i, KEY) < 4_000));
    for proxy in &stage.proxies {
        proxy.set(Way::Replies, Fate::Pass);
    }
    let contender = stage.run("contender", &["--ttl", "6s"]).spawn();
    contender.until_ready();
    holder.wait().expect("no later extension came", 74);
    contender.finish().expect("its turn", 0);
    assert_never_both(&stage.cluster, "holder", "contender");
}

/// With the uptime taken off twice, the two live at once for 0.7 s.
#[test]
fn a_guard_is_over_when_the_server_has_been_up_for_it() {
    let mut stage = Stage::new();
    let monitors = [1, 2].map(|i| Monitor::of(&stage.cluster, i));
    let holder = stage.holder(&["--ttl", "8s"]);
    for monitor in &monitors {
        monitor.until_extended(KEY, 1);
    }
    stage.cut_off([1, 2]);
    for i in [1, 2] {
        stage.cluster.restart(i);
    }
    until("they have been up for less than the guard", || {
        [1, 2].into_iter().all(|i| stage.cluster.uptime(i) >= 3)
    });
    let run = stage
        .run("contender", &["--ttl", "8s", "--restart-guard", "8s"])
        .without("REDLOCK_RESTART_GUARD");
    let contender = run.spawn();
    holder.wait().expect("a majority has forgotten it", 74);
    contender.until_ready();
    contender.finish().expect("its turn", 0);
    assert_never_both(&stage.cluster, "holder", "contender");
}

/// With the clock read only on new connections, the holder goes on and ends with 0. A step of at
/// most the duration of the last extension is harmless, and is not noticed.
#[test]
fn a_clock_that_steps_forward_is_noticed_with_the_next_extension() {
    let mut cluster = Cluster::start(3);
    for i in 0..3 {
        cluster.restart_with_clock(i);
    }
    let stage = Stage::before(cluster);
    let monitors = [1, 2].map(|i| Monitor::of(&stage.cluster, i));
    let mut holder = stage.holder(&["--ttl", "12s"]);
    for monitor in &monitors {
        monitor.until_extended(KEY, 1);
    }
    // Both clocks step between two extensions. If they stepped one after the other, each server
    // would be confirmed again before the next step.
    stage.cut_off([1, 2]);
    for i in [1, 2] {
        stage.cluster.set_clock(i, 4);
    }
    stage.join([1, 2]);
    let rounds = monitors[0].extensions(KEY).len() + 2;
    until("it has noticed", || !holder.goes_on() || monitors[0].extensions(KEY).len() >= rounds);
    holder.finish().expect("what a majority kept may have expired 4 s early", 74);
    assert!(life(&stage.cluster, "holder").is_some(), "it lived");
}

/// A contender that needs the first server, since the third is dead. The first server has executed
/// its SET but the reply and every later request are held. The second server does not answer
/// either: otherwise the attempt would be over before the SET is sent.
fn unanswered(op_timeout: &str) -> (Stage, Running) {
    let mut cluster = Cluster::start(3);
    cluster.kill(2);
    let stage = Stage::before(cluster);
    stage.proxies[0].set(Way::Replies, Fate::Drop);
    stage.proxies[0].set(Way::Requests, Fate::HoldAfterFirst);
    stage.proxies[1].set(Way::Replies, Fate::Hold);
    let urls =
        format!("{},{},{}", stage.proxies[0].url(), stage.proxies[1].url(), stage.cluster.url(2));
    let options = ["run", "--ttl", "2m", "--op-timeout", op_timeout, "edge", "--", "true"];
    let contender = Run::redlock(&stage.cluster).env("REDLOCK_URLS", urls).args(options).spawn();
    until("the SET has come", || stage.cluster.get(0, KEY).is_some());
    stage.proxies[0].set(Way::Requests, Fate::Hold);
    (stage, contender)
}

/// Breaks the connection with all that is held on it. All works from then on.
fn gets_in_after_a_break(stage: &Stage, contender: Running) {
    let left = stage.cluster.get(0, KEY);
    stage.proxies[0].reset();
    assert!(left.is_some() && left == stage.cluster.get(0, KEY), "what it set is still there");
    stage.join([0, 1]);
    contender.finish().expect("two of three are free but for its own key", 0);
    until("nothing is left", || [0, 1].into_iter().all(|i| stage.cluster.keys(i).is_empty()));
}

/// With nothing released on the next connection, the contender waits for its own key of 2 min to
/// expire.
#[test]
fn keys_of_a_broken_connection_are_released_before_the_next_attempt() {
    let (stage, contender) = unanswered("2s");
    stage.proxies[0].until_held();
    gets_in_after_a_break(&stage, contender);
}

/// With only the newest attempt released on the next connection, the contender waits for the key of
/// its first attempt to expire.
#[test]
fn keys_of_all_attempts_on_a_broken_connection_are_released_before_the_next_attempt() {
    let (stage, contender) = unanswered("300ms");
    let monitor = Monitor::of(&stage.cluster, 1);
    until("it has tried again and again", || monitor.attempts(KEY).len() >= 3);
    gets_in_after_a_break(&stage, contender);
}
