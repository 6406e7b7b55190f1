//! The log of `--verbose`: with the time, each fact once.

use crate::support::clock::until;
use crate::support::proxy::Proxy;
use crate::support::{Cluster, HOLD, Monitor, Run, hold, key_of};

const NAME: &str = "log";

/// The lines of a log without their times. Each line must have a time.
fn facts(log: &str) -> Vec<String> {
    let fact = |line: &str| {
        let line = line.strip_prefix("redlock: ").expect("redlock says so");
        let (time, fact) = line.split_once(' ').expect("a time in front");
        humantime::parse_rfc3339(time).expect("RFC 3339");
        assert_eq!(time.len(), "2026-01-02T03:04:05.678Z".len(), "milliseconds: {line}");
        fact.to_owned()
    };
    log.lines().map(fact).collect()
}

#[test]
fn a_log_has_the_time_and_says_each_fact_once() {
    let mut cluster = Cluster::start(3);
    let monitor = Monitor::of(&cluster, 0);
    let running = hold(&cluster, NAME, &["-v", "--ttl", "1500ms"]);
    let value: serde_json::Value =
        serde_json::from_str(&cluster.get(0, &key_of(NAME)).expect("held")).expect("JSON");
    let id = value["id"].as_str().expect("an id").to_owned();
    running.until_stderr("extended");
    let gone = cluster.address(2);
    cluster.kill(2);
    running.until_stderr("did not extend");
    monitor.until_extended(&key_of(NAME), 4);
    let output = running.finish().expect("two of three hold it", 0);
    let facts = facts(&output.stderr);
    let count = |part: &str| facts.iter().filter(|fact| fact.contains(part)).count();
    for (part, times) in [
        (format!("acquired '{NAME}' at attempt "), 1),
        (format!("id {id}; granted by "), 1),
        (format!("extended '{NAME}' for "), 1),
        (format!("'{NAME}': {gone} did not extend"), 1),
        (format!("released '{NAME}' after "), 1),
    ] {
        assert_eq!(count(&part), times, "{part}: {}", output.stderr);
    }
    assert!(facts.len() <= 8, "a fact is said again: {}", output.stderr);
}

#[test]
fn a_server_that_has_answered_is_not_taken_for_one_with_tls() {
    let cluster = Cluster::start(3);
    let proxy = Proxy::before(cluster.port(2));
    let running = Run::redlock(&cluster)
        .env("REDLOCK_URLS", format!("{},{}", cluster.urls_of(0..2), proxy.url()))
        .args(["run", "-v", "--ttl", "1500ms", NAME, "--"])
        .args(HOLD)
        .spawn();
    running.until_ready();
    until("all have the key", || (0..3).all(|i| cluster.get(i, &key_of(NAME)).is_some()));
    // The proxy accepts each connection and closes it.
    proxy.redirect(None);
    running.until_stderr("did not extend");
    let output = running.finish().expect("two of three hold it", 0);
    assert!(!output.stderr.contains("TLS"), "{}", output.stderr);
}

#[test]
fn a_server_that_restarts_is_not_called_another_server_outright() {
    let mut cluster = Cluster::start(3);
    let running = hold(&cluster, NAME, &["-v", "--ttl", "2s", "--restart-guard", "2s"]);
    until("all have the key", || (0..3).all(|i| cluster.get(i, &key_of(NAME)).is_some()));
    cluster.kill(2);
    cluster.restart(2);
    running.until_stderr("lost the lock: it has restarted, or is another server");
    running.until_stderr("confirmed the lock");
    running.finish().expect("two of three held it", 0);
}

#[test]
fn without_verbose_no_message_has_a_time() {
    let mut cluster = Cluster::start(3);
    cluster.kill(2);
    let running = hold(&cluster, NAME, &[]);
    until("it speaks", || !running.stderr().is_empty());
    let output = running.finish().expect("two of three", 0);
    assert!(output.stderr.starts_with(&format!("redlock: '{NAME}'")), "{}", output.stderr);
}
