//! The algorithm of the Redlock page, point by point, against five real servers.

use crate::support::clock::{now, since};
use crate::support::servers::FOREIGN;
use crate::support::{Cluster, Monitor, Run, hold, key_of, until};
use std::collections::BTreeSet;
use std::time::Duration;

const KEY: &str = "redlock:seed";

#[test]
fn fewer_than_three_instances_are_refused() {
    let cluster = Cluster::start(5);
    let table: [(&str, &[usize], &[&str], &str); 4] = [
        ("none", &[], &[], "three"),
        ("one without --single", &[0], &[], "--single"),
        ("two", &[0, 1], &[], "three"),
        ("two with --single", &[0, 1], &["--single"], "--single"),
    ];
    for (label, which, options, word) in table {
        let run =
            Run::redlock(&cluster).env("REDLOCK_URLS", cluster.urls_of(which.iter().copied()));
        let output = run.arg_line("run", options, &["seed", "--", "sh", "-c", "echo ran"]).finish();
        let output = output.expect(label, 78).expect_words(label, &[word]);
        assert_eq!(output.out(), "", "{label}: the command ran");
    }
    for (label, which, options) in
        [("three", vec![0, 1, 2], vec![]), ("one with --single", vec![0], vec!["--single"])]
    {
        let run = Run::redlock(&cluster).env("REDLOCK_URLS", cluster.urls_of(which));
        let output =
            run.arg_line("run", &options, &["seed", "--", "sh", "-c", "echo ran"]).finish();
        assert_eq!(output.expect(label, 0).out(), "ran\n", "{label}");
    }
}

#[test]
fn every_instance_gets_the_same_nonce_and_every_attempt_a_fresh_one() {
    let cluster = Cluster::start(5);
    let monitors: Vec<_> = (0..5).map(|i| Monitor::of(&cluster, i)).collect();
    for _ in 0..2 {
        Run::redlock(&cluster).args(["run", "seed", "--", "true"]).finish().expect("free", 0);
    }
    (0..3).for_each(|i| cluster.occupy(i, KEY));
    Run::redlock(&cluster)
        .args(["run", "-w", "2s", "seed", "--", "true"])
        .finish()
        .expect("busy", 75);

    let attempts = |i: usize| {
        monitors[i].attempts(KEY).into_iter().filter(|value| value != FOREIGN).collect::<Vec<_>>()
    };
    until("every instance has heard of every attempt", || {
        (1..5).all(|i| attempts(i).len() == attempts(0).len())
    });
    let of_first = attempts(0);
    assert!(
        of_first.len() >= 4,
        "two runs, and one that tried again, make four attempts: {of_first:?}"
    );
    for i in 1..5 {
        assert_eq!(attempts(i), of_first, "instance {i} saw other values than instance 0");
    }
    let tokens: BTreeSet<_> = of_first.iter().map(|value| token_of(value)).collect();
    assert_eq!(tokens.len(), of_first.len(), "a nonce was used twice: {of_first:?}");
}

/// The nonce in a value; it must be of 20 bytes.
fn token_of(value: &str) -> String {
    let fields: serde_json::Value = serde_json::from_str(value).expect("the value is JSON");
    let token = fields["token"].as_str().expect("the value has a token").to_owned();
    assert!(
        token.len() == 40 && token.chars().all(|digit| digit.is_ascii_hexdigit()),
        "no nonce: {token}"
    );
    token
}

#[test]
fn a_key_has_an_expiry_from_its_first_moment() {
    let cluster = Cluster::start(5);
    let monitors: Vec<_> = (0..5).map(|i| Monitor::of(&cluster, i)).collect();
    let running = hold(&cluster, "seed", &["--ttl", "4s"]);
    for (i, monitor) in monitors.iter().enumerate() {
        until("the instance has the key", || cluster.get(i, KEY).is_some());
        let left = cluster.pttl(i, KEY);
        assert!((1..=4000).contains(&left), "instance {i} keeps the key for {left} ms");
        monitor.until_extended(KEY, 1);
        let left = cluster.pttl(i, KEY);
        assert!(
            (1..=4000).contains(&left),
            "instance {i} keeps the key for {left} ms after an extension"
        );
    }
    running.finish().expect("held", 0);
    for (i, monitor) in monitors.iter().enumerate() {
        let seen = monitor.seen();
        let sets: Vec<_> =
            seen.iter().filter(|seen| seen.is("SET", KEY) && !seen.is_probe()).collect();
        assert!(!sets.is_empty(), "instance {i} was never asked");
        for set in sets {
            let options: Vec<_> =
                set.words[3..].iter().map(|word| word.to_ascii_uppercase()).collect();
            let with_expiry = options.windows(2).any(|pair| pair == ["PX", "4000"]);
            assert!(
                with_expiry && options.contains(&"NX".to_owned()),
                "instance {i} was told {:?}",
                set.words
            );
        }
    }
}

#[test]
fn a_majority_suffices_and_a_minority_does_not() {
    let table = [
        ("all five", 5, 0, 0, 0),
        ("four of five, one dead", 5, 1, 0, 0),
        ("three of five, two dead", 5, 2, 0, 0),
        ("two of five, three dead", 5, 3, 0, 69),
        ("none of five", 5, 5, 0, 69),
        ("three of five, two held by another", 5, 0, 2, 0),
        ("two of five, three held by another", 5, 0, 3, 75),
        ("none of five, all held by another", 5, 0, 5, 75),
        ("three of five, one dead and one held by another", 5, 1, 1, 0),
        ("two of three", 3, 1, 0, 0),
        ("one of three", 3, 2, 0, 69),
        ("three of four", 4, 1, 0, 0),
        ("half of four", 4, 2, 0, 69),
        ("half of four, half held by another", 4, 0, 2, 75),
    ];
    for (label, size, dead, held, code) in table {
        let mut cluster = Cluster::start(size);
        (0..dead).for_each(|i| cluster.kill(i));
        (dead..dead + held).for_each(|i| cluster.occupy(i, KEY));
        let run = Run::redlock(&cluster).args(["run", "-n", "seed", "--", "sh", "-c", "echo ran"]);
        let output = run.finish().expect(label, code);
        assert_eq!(output.out(), if code == 0 { "ran\n" } else { "" }, "{label}");
        for i in dead..dead + held {
            assert_eq!(
                cluster.get(i, KEY).as_deref(),
                Some(FOREIGN),
                "{label}: the other's key on {i} was touched"
            );
        }
    }
}

#[test]
fn a_failed_attempt_leaves_no_key_anywhere() {
    let mut cluster = Cluster::start(5);
    let attempt = |cluster: &Cluster| {
        Run::redlock(cluster).args(["run", "--ttl", "1m", "-n", "seed", "--", "true"])
    };

    (0..3).for_each(|i| cluster.occupy(i, KEY));
    attempt(&cluster).finish().expect("busy", 75);
    for i in [3, 4] {
        until("the granted keys were given back", || cluster.keys(i).is_empty());
    }
    for i in 0..3 {
        assert_eq!(
            cluster.get(i, KEY).as_deref(),
            Some(FOREIGN),
            "the holder's key on {i} was touched"
        );
        cluster.cli(i, &["DEL", KEY]);
    }

    let monitors: Vec<_> = (0..3).map(|i| Monitor::of(&cluster, i)).collect();
    (0..3).for_each(|i| cluster.stop(i));
    attempt(&cluster).finish().expect("three hang", 69);
    cluster.until_no_key_is_left();
    (0..3).for_each(|i| cluster.cont(i));
    for monitor in &monitors {
        until("the late SET has come", || !monitor.attempts(KEY).is_empty());
    }
    cluster.until_no_key_is_left();

    (0..3).for_each(|i| cluster.kill(i));
    attempt(&cluster).finish().expect("three are dead", 69);
    cluster.until_no_key_is_left();
}

#[test]
fn release_deletes_only_our_own_value_and_on_all_instances() {
    let cluster = Cluster::start(5);
    let running = hold(&cluster, "seed", &["--ttl", "1m"]);
    until("all instances have the key", || {
        (0..5).all(|i| cluster.get(i, &key_of("seed")).is_some())
    });
    cluster.occupy(4, KEY);
    let start = now();
    running.finish().expect("held by a majority to the end", 0);
    for i in 0..4 {
        until("our own key is gone", || cluster.get(i, KEY).is_none());
    }
    assert!(since(start) < Duration::from_secs(20), "the keys were not deleted, they expired");
    assert_eq!(cluster.get(4, KEY).as_deref(), Some(FOREIGN), "the other's key was touched");
    assert!(cluster.pttl(4, KEY) > 30_000, "the other's expiry was touched");
}
