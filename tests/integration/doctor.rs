//! `redlock doctor`: each fault that a test makes has its line and its exit code, and there is no
//! other line.

mod faults;
mod rights;

use crate::support::schema::{assert_valid, document};
use crate::support::{Cluster, Run, hold, key_of};

fn doctor(cluster: &Cluster) -> Run {
    Run::redlock(cluster).with_default_signals().args(["doctor"])
}

/// The findings must be one line for each of these texts, in any order.
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
fn holders_that_name_other_servers_or_count_on_other_slots_are_named() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, "roll", &["--ttl", "1m"]);
    let value = cluster.get(0, &key_of("roll")).unwrap();
    holder.finish().expect("the holder", 0);
    let set = |i: usize, name: &str, value: &str| {
        cluster.cli(i, &["SET", &key_of(name), value, "PX", "60000"]);
    };
    let delete = |name: &str| (0..3).for_each(|i| drop(cluster.cli(i, &["DEL", &key_of(name)])));
    (0..2).for_each(|i| set(i, "roll", &value));
    finds(&cluster, "a remnant of a host that agrees", 0, &[HEALTHY.trim_end()]);
    let (before, list) = value.split_once("\"servers\":\"").unwrap();
    let own = list.trim_end_matches("\"}").split(',').collect::<Vec<_>>();
    let lists = (0..3).map(|other| {
        let names: Vec<&str> =
            (0..3).map(|i| if i == other { "~abcdef" } else { own[i] }).collect();
        format!("{before}\"servers\":\"{}\"}}", names.join(","))
    });
    // The names are in the order of their hashes, so it is by chance which list leaves out the
    // server without the key. One of the lists does.
    let lines: Vec<String> = lists
        .map(|other| {
            (0..2).for_each(|i| set(i, "roll", &other));
            doctor(&cluster).finish().out()
        })
        .collect();
    let told = lines.iter().filter(|text| text.contains("which does not name ")).count();
    assert_eq!(told, 1, "the server that lacks the key: {lines:?}");
    delete("roll");
    let slots = |slots: u32| value.replace("\"n\":3", &format!("\"n\":3,\"slots\":{slots}"));
    set(0, "roll", &slots(2));
    set(0, "roll#2", &slots(3));
    finds(&cluster, "slots", 78, &["the holders of 'redlock:roll' count on 2 slots and on 3"]);
}

#[test]
fn variables_that_nothing_reads_and_passwords_that_all_can_read_are_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let cluster = Cluster::start(3);
    let output = doctor(&cluster).env("REDLOCK_TLL", "1m").finish().expect("a variable", 0);
    assert_eq!(output.out(), "nothing reads the variable REDLOCK_TLL; did you mean REDLOCK_TTL?\n");
    let config = cluster.dir().join("config.toml");
    let urls: Vec<String> =
        (0..3).map(|i| cluster.url(i).replacen("://", "://:s3cret@", 1)).collect();
    std::fs::write(&config, format!("urls = {urls:?}")).unwrap();
    (0..3).for_each(|i| drop(cluster.cli(i, &["CONFIG", "SET", "requirepass", "s3cret"])));
    for (mode, lines) in [(0o600, 0), (0o644, 1)] {
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(mode)).unwrap();
        let run = doctor(&cluster).without("REDLOCK_URLS").env("REDLOCK_CONFIG", &config);
        let output = run.finish().expect("a password", 0);
        let found = "every user of this host can read a password in the configuration";
        assert_eq!(output.out().matches(found).count(), lines, "{mode:o}: {}", output.out());
        assert!(!(output.out() + &output.stderr).contains("s3cret"));
    }
}

#[cfg(feature = "tls")]
#[test]
fn a_certificate_that_expires_soon_is_named() {
    use crate::support::Pki;
    let pki = Pki::new();
    pki.issue("year", "ca", crate::support::pki::HERE, "365");
    for (name, expected) in [("server", "a certificate expires in 1 days; renew it"), ("year", "")]
    {
        let cluster = Cluster::start_tls_as(3, &pki.options(name), &[]);
        let run = doctor(&cluster).env("REDLOCK_URLS", cluster.tls_urls());
        let run = run.args(["--cacert", &pki.text("ca.crt")]);
        let text = run.finish().expect(name, 0).out();
        if expected.is_empty() {
            assert_eq!(text, HEALTHY, "{name}");
        } else {
            assert_eq!(text.matches(expected).count(), 3, "{name}: {text}");
        }
    }
}
