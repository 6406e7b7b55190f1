//! Hosts that disagree about the servers or the slots: the later run is refused with 78, in a
//! message that names both.

use super::{KEY, Stage};
use crate::support::life::{assert_never_both, life, living};
use crate::support::proxy::{Fate, Way};
use crate::support::{Cluster, Run, Running, until};

/// A run of `edge` over these servers, with a command that lives until its input is closed.
fn over(cluster: &Cluster, label: &str, which: &[usize], options: &[&str]) -> Run {
    Run::redlock(cluster)
        .env("REDLOCK_URLS", cluster.urls_of(which.iter().copied()))
        .with_default_signals()
        .arg_line("run", options, &["edge", "--"])
        .args(living(label))
}

/// A holder whose key is on all its servers.
fn holder(cluster: &Cluster, which: &[usize], options: &[&str]) -> Running {
    let running = over(cluster, "holder", which, options).spawn();
    running.until_ready();
    until("all its servers have the key", || which.iter().all(|i| !cluster.keys(*i).is_empty()));
    running
}

/// A run over other servers than the holder's is refused whether it waits or not, and leaves no
/// key.
fn is_refused(holds: &[usize], contends: &[usize], words: &[&str]) {
    let cluster = Cluster::start(5);
    let mut holder = holder(&cluster, holds, &["--ttl", "6s"]);
    for options in [&["--ttl", "6s"][..], &["--ttl", "6s", "-n"], &["--ttl", "6s", "-w", "10s"]] {
        let refused = over(&cluster, "contender", contends, options).finish();
        refused.expect(&format!("{options:?}"), 78).expect_words("both sides", words);
    }
    assert_eq!(life(&cluster, "contender"), None, "it never ran");
    assert!(
        contends.iter().all(|i| holds.contains(i) || cluster.keys(*i).is_empty()),
        "it left a key"
    );
    holder.assert_goes_on("it is not in the way");
    holder.finish().expect("it held the lock throughout", 0);
}

/// Before the rule the contender got in at once.
#[test]
fn a_host_that_shares_one_of_three_servers_with_the_holder_does_not_get_in() {
    is_refused(
        &[0, 1, 2],
        &[2, 3, 4],
        &["disagree", "edge", "names others instead of", "pid", "name the same servers"],
    );
}

/// Before the rule, the contender got in as soon as the holder of three of its five servers had
/// ended, and at once beside a holder of two of them.
#[test]
fn a_host_that_names_five_servers_does_not_get_in_beside_one_that_names_three() {
    is_refused(
        &[0, 1, 2],
        &[0, 1, 2, 3, 4],
        &["disagree", "names 5 servers", "names 3 servers", "name the same servers"],
    );
    is_refused(
        &[0, 1, 2, 3, 4],
        &[2, 3, 4],
        &["disagree", "names 3 servers", "names 5 servers", "name the same servers"],
    );
}

/// A roll-out: the host of the holder still names three servers, the host of the contender five. On
/// two of the five, the contender sees a value that tells three.
///
/// Before the rule, the contender got in at once.
#[test]
fn a_host_that_names_more_servers_than_the_holder_does_not_get_in() {
    let stage = Stage::before(Cluster::start(5));
    let urls = format!("{},{}", stage.cluster.urls_of(0..2), stage.proxies[2].url());
    stage.proxies[2].set(Way::Requests, Fate::Drop);
    let holder = stage.run("holder", &["--ttl", "6s"]).env("REDLOCK_URLS", urls).spawn();
    holder.until_ready();
    until("it holds two of its three", || (0..2).all(|i| stage.cluster.get(i, KEY).is_some()));
    let mut contender = stage.run("contender", &["--ttl", "6s"]).spawn();
    let is_in = || life(&stage.cluster, "contender").is_some();
    until("it is in, or has ended", || !contender.goes_on() || is_in());
    contender.finish().expect("it names five servers, and the holder three", 78);
    assert_never_both(&stage.cluster, "holder", "contender");
    holder.finish().expect("it held the lock throughout", 0);
}

/// Before the rule the contender took the second slot.
#[test]
fn a_run_with_slots_does_not_get_in_beside_a_holder_without() {
    let cluster = Cluster::start(3);
    let holder = holder(&cluster, &[0, 1, 2], &["--ttl", "6s"]);
    for options in [&["--ttl", "6s", "--slots", "2"][..], &["--ttl", "6s", "--slots", "2", "-n"]] {
        let refused = over(&cluster, "contender", &[0, 1, 2], options).finish();
        refused
            .expect("slots", 78)
            .expect_words("both sides", &["counts on 2 slots", "counts on 1", "--slots"]);
    }
    assert_eq!(life(&cluster, "contender"), None, "it never ran");
    holder.finish().expect("it held the lock throughout", 0);
}

/// The key of a dead holder on one server of three. A host that names the same servers ignores the
/// key, and a host that names others waits for its expiry.
#[test]
fn a_dead_holders_key_on_a_minority_holds_up_no_run_beyond_its_ttl() {
    let cluster = Cluster::start(5);
    let dead = holder(&cluster, &[0, 1, 2], &["--ttl", "5s"]);
    let ghost = cluster.get(2, KEY).expect("a key");
    drop(dead);
    cluster.until_no_process_is_left();
    for i in 0..2 {
        cluster.cli(i, &["DEL", KEY]);
    }
    cluster.cli(2, &["SET", KEY, &ghost, "PX", "60000"]);
    let same = over(&cluster, "same", &[0, 1, 2], &["-n"]).finish().expect("of the same kind", 0);
    assert_eq!(same.stderr, "");
    over(&cluster, "other", &[2, 3, 4], &["-n"]).finish().expect("of another kind", 78);
    cluster.cli(2, &["PEXPIRE", KEY, "300"]);
    let waits = over(&cluster, "waits", &[2, 3, 4], &[]).finish();
    waits.expect("it has expired by the second look", 0);
}

#[test]
fn the_same_servers_by_other_names_and_after_a_restart_are_no_disagreement() {
    let mut cluster = Cluster::start(3);
    let names = (0..3)
        .map(|i| format!("redis://localhost:{}", cluster.port(i)))
        .collect::<Vec<_>>()
        .join(",");
    let sockets = (0..3)
        .map(|i| format!("unix://{}", cluster.socket(i).display()))
        .collect::<Vec<_>>()
        .join(",");
    let mixed = format!("{},unix://{}", cluster.urls_of(0..2), cluster.socket(2).display());
    for urls in [names, sockets, mixed] {
        let held = holder(&cluster, &[0, 1, 2], &["--ttl", "6s"]);
        let contender = |cluster: &Cluster, options| {
            over(cluster, "contender", &[0, 1, 2], options)
                .knowing_localhost(cluster)
                .env("REDLOCK_URLS", &urls)
        };
        contender(&cluster, &["-n"]).finish().expect(&urls, 75);
        cluster.restart(2);
        let waits = contender(&cluster, &["--ttl", "6s"]).spawn();
        until("it stands in line", || (0..2).all(|i| cluster.in_line(i, KEY) > 0));
        held.finish().expect("the holder", 0);
        waits.until_ready();
        waits.finish().expect(&urls, 0);
    }
}

#[test]
fn twenty_contenders_that_agree_are_never_refused() {
    let cluster = Cluster::start(3);
    let all: Vec<_> = (0..20)
        .map(|_| Run::redlock(&cluster).args(["run", "edge", "--", "true"]).spawn())
        .collect();
    for running in all {
        running.finish().expect("its turn", 0);
    }
    cluster.until_no_key_is_left();
}

#[test]
fn a_wait_does_not_call_a_lock_free_that_a_host_with_other_servers_holds() {
    let cluster = Cluster::start(5);
    let holder = holder(&cluster, &[0, 1, 2], &["--ttl", "6s"]);
    for options in [&["--ttl", "6s"][..], &["--ttl", "6s", "-w", "0"]] {
        let wait = Run::redlock(&cluster).env("REDLOCK_URLS", cluster.urls_of(2..5)).arg_line(
            "wait",
            options,
            &["edge"],
        );
        wait.finish()
            .expect("a wait", 78)
            .expect_words("both sides", &["disagree", "edge", "names others instead of"]);
    }
    holder.finish().expect("it held the lock throughout", 0);
}

#[test]
fn a_lease_that_is_longer_than_the_guard_of_another_host_is_told_there() {
    let cluster = Cluster::start(3);
    let long = ["--ttl", "20s", "--restart-guard", "20s"];
    until("all have been up for longer than a second", || (0..3).all(|i| cluster.uptime(i) >= 3));
    let holder = holder(&cluster, &[0, 1, 2], &["--ttl", "20s", "--restart-guard", "off"]);
    let short =
        over(&cluster, "short", &[0, 1, 2], &["-n", "--ttl", "1s", "--restart-guard", "1s"])
            .finish();
    let said = short
        .expect("it is busy", 75)
        .expect_words("a warning", &["lease", "20s", "--restart-guard", "edge"]);
    assert_eq!(said.stderr.matches("longer than").count(), 1, "{}", said.stderr);
    let covered = over(&cluster, "covered", &[0, 1, 2], &[&["-n"], &long[..]].concat()).finish();
    assert!(!covered.stderr.contains("longer than"), "{}", covered.stderr);
    holder.finish().expect("it held the lock throughout", 0);
}

/// The server that both hosts name answers the contender only after the contender's command has
/// started: a quorum does not wait for it for ever.
///
/// Before the rule, the contender went on beside the holder, after one warning.
#[test]
fn a_run_that_the_shared_server_denies_late_is_stopped() {
    let stage = Stage::before(Cluster::start(7));
    let holder = holder(&stage.cluster, &[0, 1, 2, 3, 4], &["--ttl", "6s"]);
    let urls = format!("{},{}", stage.proxies[2].url(), stage.cluster.urls_of(5..7));
    stage.proxies[2].set(Way::Replies, Fate::Hold);
    let options = ["--ttl", "6s", "--op-timeout", "500ms"];
    let contender = stage.run("contender", &options).env("REDLOCK_URLS", urls).spawn();
    contender.until_ready();
    stage.proxies[2].set(Way::Replies, Fate::Pass);
    contender.wait().expect("the holder was first", 78).expect_words(
        "both sides",
        &["first; stopping the command", "disagree", "names 3 servers", "names 5 servers"],
    );
    holder.finish().expect("it held the lock throughout", 0);
}
