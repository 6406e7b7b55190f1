//! Replicas: one that is promoted under the address of its master, and servers that have replicas.

use super::{KEY, Stage};
use crate::support::life::{assert_never_both, living};
use crate::support::proxy::{Fate, Proxy, Way};
use crate::support::{Cluster, Monitor, Run, until};

/// Makes server `i` a replica of another one, and waits until it has all keys.
fn replicate(cluster: &Cluster, i: usize, of: usize) {
    cluster.cli(i, &["REPLICAOF", "127.0.0.1", &cluster.port(of).to_string()]);
    until("it is a replica", || {
        cluster.ask::<String>(i, &["INFO", "replication"]).contains("master_link_status:up")
    });
    until("it has what its master has", || {
        cluster.get(i, "redlock-memory") == cluster.get(of, "redlock-memory")
    });
}

/// A replica is promoted under the address of its master and does not have the lock. The contender
/// reaches two of the holder's three servers, one of them the promoted one. That has the mark of
/// another server's start by replication, so it has no vote.
#[test]
fn a_promoted_replica_has_no_vote_though_the_mark_was_replicated() {
    let mut stage = Stage::before(Cluster::start(4));
    let guarded = ["--ttl", "9s", "--restart-guard", "9s"];
    let run = |stage: &Stage, label: &str, options: &[&str]| {
        let urls = stage.proxies.iter().map(Proxy::url).collect::<Vec<_>>().join(",");
        Run::redlock(&stage.cluster)
            .with_default_signals()
            .env("REDLOCK_URLS", urls)
            .arg_line("run", &[&guarded, options].concat(), &["edge", "--"])
            .args(living(label))
    };
    until("all have been up for longer than the guard", || {
        (0..4).all(|i| stage.cluster.uptime(i) >= 11)
    });
    run(&stage, "first", &[]).finish().expect("it marks the servers", 0);
    replicate(&stage.cluster, 3, 0);
    let marks: Vec<_> =
        (0..3).map(|i| stage.cluster.get(i, "redlock-memory").expect("a mark")).collect();
    until("the marks are older than the guard", || {
        let by_server = |mark: &String| {
            mark.split(' ').nth(1).and_then(|at| at.parse::<u64>().ok()).expect("a time")
        };
        let [seconds, _]: [String; 2] = stage.cluster.ask(1, &["TIME"]);
        let now: u64 = seconds.parse().expect("a number");
        marks.iter().all(|mark| now * 1_000_000 > by_server(mark) + 11_000_000)
    });
    // From here on, the replica gets no more keys.
    stage.cluster.cli(3, &["REPLICAOF", "NO", "ONE"]);
    stage.proxies[2].set(Way::Requests, Fate::Drop);
    let holder = run(&stage, "holder", &[]).spawn();
    holder.until_ready();
    assert!(
        stage.cluster.get(0, KEY).is_some() && stage.cluster.get(1, KEY).is_some(),
        "it holds two of three"
    );
    stage.proxies[2].set(Way::Requests, Fate::Pass);
    stage.cluster.kill(0);
    stage.proxies[0].redirect(Some(stage.cluster.port(3)));
    run(&stage, "contender", &["-n"])
        .finish()
        .expect("the promoted replica has the key as well, and one is free", 75);
    holder.finish();
    assert_never_both(&stage.cluster, "holder", "contender");
}

#[test]
fn a_server_with_a_replica_is_named_once() {
    let cluster = Cluster::start(4);
    let run =
        || Run::redlock(&cluster).env("REDLOCK_URLS", cluster.urls_of(0..3)).with_default_signals();
    run()
        .args(["run", "edge", "--", "true"])
        .finish()
        .expect("no replica yet", 0)
        .expect_silence("none");
    replicate(&cluster, 3, 0);
    let monitor = Monitor::of(&cluster, 0);
    let holder = run().args(["run", "--ttl", "600ms", "edge", "--"]).args(living("holder")).spawn();
    monitor.until_extended(KEY, 4);
    let output = holder
        .finish()
        .expect("held", 0)
        .expect_words("a warning", &[&cluster.address(0), "has a replica"]);
    assert_eq!(output.stderr.lines().count(), 1, "once, and of that one: {}", output.stderr);
}
