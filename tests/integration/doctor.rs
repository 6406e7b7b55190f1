//! `redlock doctor`: each fault that is planted has its line and its exit code, and nothing else is
//! said.

use crate::support::clock::{now, since};
use crate::support::schema::{assert_valid, document};
use crate::support::{Cluster, Run, hold, key_of};
use std::time::Duration;

fn doctor(cluster: &Cluster) -> Run {
    Run::redlock(cluster).with_default_signals().args(["doctor"])
}

/// The findings must be one line for each of these words, in any order.
fn finds(cluster: &Cluster, label: &str, code: i32, words: &[&str]) {
    let out = doctor(cluster).finish().expect(label, code).out();
    assert_eq!(out.lines().count(), words.len(), "{label}: {out}");
    for word in words {
        assert!(out.contains(word), "{label}: no {word:?} in: {out}");
    }
}

const HEALTHY: &str = "healthy: 3 servers and this host\n";

#[test]
fn a_healthy_cluster_is_one_line_and_no_lock_is_touched() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, "nightly", &["--ttl", "1m"]);
    let before: Vec<_> = (0..3).map(|i| cluster.get(i, &key_of("nightly"))).collect();
    assert_eq!(doctor(&cluster).finish().expect("healthy", 0).out(), HEALTHY);
    let printed = doctor(&cluster).args(["--json"]).finish().expect("JSON", 0).out();
    assert_valid(&document(&printed));
    let after: Vec<_> = (0..3).map(|i| cluster.get(i, &key_of("nightly"))).collect();
    assert_eq!(before, after);
    holder.finish().expect("it was not disturbed", 0);
    assert!((0..3).all(|i| cluster.keys(i).is_empty()), "a key is left");
}

#[test]
fn each_fault_of_a_server_has_its_line() {
    let cluster = Cluster::start(3);
    let set = |name: &str, value: &str| {
        cluster.cli(2, &["CONFIG", "SET", name, value]);
    };
    set("maxmemory", "1gb");
    set("maxmemory-policy", "allkeys-lru");
    finds(&cluster, "eviction", 78, &["set maxmemory-policy to noeviction"]);
    set("maxmemory-policy", "noeviction");
    set("maxmemory", "1");
    finds(&cluster, "memory", 69, &["% of its memory is used", "takes no new locks now: OOM"]);
    set("maxmemory", "0");
    set("min-replicas-to-write", "1");
    finds(&cluster, "replicas that are missing", 69, &["takes no new locks now: NOREPLICAS"]);
    set("min-replicas-to-write", "0");
    cluster.cli(2, &["SET", &key_of("old"), "x"]);
    finds(&cluster, "no expiry", 78, &["the key 'redlock:old' never expires"]);
    cluster.cli(2, &["DEL", &key_of("old")]);
    let value = r#"{"v":1,"id":"i","token":"0","owner":"ops@old","pid":1,"cmd":"sh","since":1,"ttl_ms":9,"n":5}"#;
    cluster.cli(1, &["SET", &key_of("roll"), value, "PX", "60000"]);
    finds(
        &cluster,
        "another count",
        78,
        &["held by ops@old, which counts on 5 servers and not on 3"],
    );
    cluster.cli(1, &["DEL", &key_of("roll")]);
    let (host, port) = (cluster.address(0), cluster.port(0).to_string());
    cluster.cli(2, &["REPLICAOF", host.split(':').next().unwrap(), &port]);
    let text = doctor(&cluster).finish().expect("a replica", 78).out();
    assert!(text.contains("this is a replica; expected an independent server"), "{text}");
    cluster.cli(2, &["REPLICAOF", "NO", "ONE"]);
    let guarded = doctor(&cluster).env("REDLOCK_RESTART_GUARD", "1h");
    let text = guarded.finish().expect("all have just started", 69).out();
    assert_eq!(text.matches("it has no vote yet").count(), 3, "{text}");
    assert!((0..3).all(|i| cluster.get(i, "redlock-memory").is_none()), "a mark is left");
    let twice = format!("{},unix://{}", cluster.urls_of(0..2), cluster.socket(0).display());
    let output = doctor(&cluster).env("REDLOCK_URLS", twice).finish().expect("twice", 78);
    assert!(output.out().contains("it is the same server as "), "{}", output.out());
}

#[test]
fn missing_rights_and_an_open_default_user_are_named() {
    let mut cluster = Cluster::start(3);
    let acl = |cluster: &Cluster, words: &str| {
        let words = format!("ACL SETUSER {words}");
        (0..3).for_each(|i| drop(cluster.cli(i, &words.split(' ').collect::<Vec<_>>())));
    };
    let run = |cluster: &Cluster, password: &str| {
        doctor(cluster).args(["--user", "lk"]).env("REDLOCK_PASSWORD", password).finish()
    };
    acl(
        &cluster,
        "lk on >s3cret ~redlock:* ~redlock-memory ~redlock-queue:* &redlock-wake:* +@all -del",
    );
    let output = run(&cluster, "s3cret").expect("no DEL, and an open default user", 77);
    let text = output.out();
    assert_eq!(
        text.matches("may not DEL, so nothing can be locked; give it +del").count(),
        3,
        "{text}"
    );
    assert_eq!(text.matches("obeys whoever says no password").count(), 3, "{text}");
    assert_eq!(text.lines().count(), 6, "{text}");
    let output = run(&cluster, "wr0ng").expect("a wrong password", 77);
    assert_eq!(output.out().matches("WRONGPASS").count(), 3, "{}", output.out());
    assert!(!(output.out() + &output.stderr).contains("wr0ng"));
    acl(&cluster, "lk +del -scan");
    (0..3).for_each(|i| cluster.require_password(i, "other"));
    let text = run(&cluster, "s3cret").expect("only the list does not work", 0).out();
    assert_eq!(text.matches("'redlock list' does not work; give it +scan").count(), 3, "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[test]
fn it_ends_soon_with_servers_that_are_dead_or_hang() {
    let mut cluster = Cluster::start(5);
    cluster.kill(0);
    cluster.stop(1);
    cluster.stop(2);
    let start = now();
    let text = doctor(&cluster).finish().expect("one is dead, and two hang", 69).out();
    let took = since(start);
    println!("with one dead and two hung of five it took {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(text.lines().count(), 3, "{text}");
    assert_eq!(text.matches("timed out; start it, or mend the way to it").count(), 2, "{text}");
    cluster.cont(1);
    cluster.cont(2);
}
