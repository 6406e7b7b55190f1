//! `redlock list`: all locks under a prefix, merged by majority.

use crate::support::schema::{assert_valid, document};
use crate::support::{Cluster, Run, hold, key_of};

fn list(cluster: &Cluster, options: &[&str]) -> Run {
    Run::redlock(cluster).with_default_signals().arg_line("list", options, &[])
}

/// The words of each line.
fn told(cluster: &Cluster, options: &[&str]) -> Vec<String> {
    list(cluster, options).finish().expect("a list", 0).out().lines().map(str::to_owned).collect()
}

/// The first word of each line but the head.
fn names(cluster: &Cluster, options: &[&str]) -> Vec<String> {
    let first = |line: &String| line.split("  ").next().unwrap().to_owned();
    told(cluster, options)[1..].iter().map(first).collect()
}

#[test]
fn locks_are_listed_by_majority_sorted_and_with_their_holders() {
    let mut cluster = Cluster::start(3);
    assert_eq!(told(&cluster, &[]), ["NAME  HOLDER  FOR  LEFT  WAITING  REASON"]);
    let holders = [
        hold(&cluster, "b", &["--ttl", "1m", "--reason", "release 7"]),
        hold(&cluster, "a", &["--ttl", "1m"]),
        hold(&cluster, "deploy web", &["--ttl", "1m"]),
    ];
    cluster.occupy(0, &key_of("left"));
    cluster.cli(1, &["SET", "elsewhere", "x"]);
    cluster.cli(1, &["ZADD", &key_of("set"), "1", "x"]);
    assert_eq!(names(&cluster, &[]), ["a", "b", "deploy web"]);
    assert_eq!(names(&cluster, &["-a"]), ["a", "b", "deploy web", "left"]);
    assert_eq!(names(&cluster, &["dep*"]), ["deploy web"]);
    let line = &told(&cluster, &["b"])[1];
    for word in ["(sh, pid ", "  0  ", "release 7"] {
        assert!(line.contains(word), "no {word:?} in {line}");
    }
    assert!(told(&cluster, &["-a", "left"])[1].contains("(remnant on 1 of 3) another client"));
    let printed = list(&cluster, &["--json", "-a"]).finish().expect("JSON", 0).out();
    let printed = document(&printed);
    assert_valid(&printed);
    assert_eq!(printed["locks"][3]["state"], "remnant");
    assert_eq!(names(&cluster, &["--prefix", "else"]), Vec::<String>::new(), "a minority's");
    cluster.kill(2);
    let output = list(&cluster, &[]).finish().expect("two of three", 0);
    let output = output.expect_words("one is dead", &["1 of 3 servers", "refused"]);
    assert!(output.out().contains("(undetermined, on 1 of 3)"), "with the dead: {}", output.out());
    cluster.kill(1);
    let output = list(&cluster, &[]).finish().expect("one of three", 69);
    output.expect_words("two are dead", &["2 of 3 servers did not list"]);
    drop(holders);
}

#[test]
fn a_missing_right_to_scan_names_the_acl_word() {
    let cluster = Cluster::start(3);
    let allow = |words: &str| {
        let words = format!("ACL SETUSER lk on >s3cret ~redlock:* {words}");
        (0..3).for_each(|i| drop(cluster.cli(i, &words.split(' ').collect::<Vec<_>>())));
    };
    let run = || list(&cluster, &["--user", "lk"]).env("REDLOCK_PASSWORD", "s3cret").finish();
    allow("+get +pttl +eval");
    let output = run().expect("no SCAN", 77).expect_words("no SCAN", &["+scan", "127.0.0.1"]);
    assert_eq!(output.stderr.lines().count(), 1, "one sentence: {}", output.stderr);
    assert!(!output.stderr.contains("s3cret"));
    allow("+scan");
    run().expect("the right is there", 0);
}

/// A script that sets this many locks on one server in one step.
const FILL: &str = "for i = 1, tonumber(ARGV[1]) do \
    local v = '{\"v\":1,\"id\":\"' .. i .. '\",\"token\":\"0\",\"owner\":\"ops@web1\",\"pid\":1,\"cmd\":\"sh\",' \
        .. '\"since\":1,\"ttl_ms\":30000,\"n\":5,\"servers\":\"' .. string.rep('0', 200) .. '\"}' \
    redis.call('SET', 'redlock:lock-' .. i, v, 'PX', 600000) end";

#[test]
fn ten_thousand_locks_are_listed_without_keys() {
    let cluster = Cluster::start(5);
    (0..5).for_each(|i| drop(cluster.cli(i, &["EVAL", FILL, "0", "10000"])));
    cluster.cli(0, &["CONFIG", "RESETSTAT"]);
    let start = crate::support::clock::now();
    let lines = told(&cluster, &[]);
    println!("10,000 locks over five servers took {:?}", crate::support::clock::since(start));
    assert_eq!(lines.len(), 10_001);
    assert!(lines[1].starts_with("lock-1 ") && lines[10_000].starts_with("lock-9999 "));
    let stats: String = cluster.ask(0, &["INFO", "commandstats"]);
    assert!(stats.contains("cmdstat_scan:") && !stats.contains("cmdstat_keys:"), "{stats}");
}
