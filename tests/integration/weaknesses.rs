//! Weaknesses of a lock are named by default, in one line of a run.

use crate::support::{Cluster, Output, Run, hold, until};
use std::io::Read;
use std::net::TcpListener;
use std::thread;

const TRUE: [&str; 4] = ["run", "weak", "--", "true"];

fn expect_one_line(label: &str, output: Output, words: &[&str]) {
    let output = output.expect(label, 0).expect_words(label, words);
    assert_eq!(output.stderr.lines().count(), 1, "{label}: {}", output.stderr);
}

/// The URLs of the first two servers and of `third`.
fn with_third(cluster: &Cluster, third: &str) -> String {
    format!("{},{third}", cluster.urls_of(0..2))
}

#[test]
fn an_instance_that_cannot_vote_is_named_in_one_line_even_by_a_short_run() {
    let mut cluster = Cluster::start(5);
    cluster.require_password(2, "secret");
    cluster.cli(3, &["REPLICAOF", "127.0.0.1", &cluster.port(0).to_string()]);
    cluster.kill(1);
    for (label, third, words) in [
        ("down", cluster.url(1), "connection refused"),
        ("no password", cluster.url(2), "NOAUTH"),
        ("a wrong password", format!("redis://:wrong@127.0.0.1:{}", cluster.port(2)), "WRONGPASS"),
        ("a replica", cluster.url(3), "replica"),
    ] {
        let urls = format!("{},{},{third}", cluster.url(0), cluster.url(4));
        let run = |options: &[&str]| {
            let run = Run::redlock(&cluster).env("REDLOCK_URLS", &urls);
            run.arg_line("run", options, &["weak", "--", "sleep", "0.1"]).finish()
        };
        let words = ["'weak': 1 of 3 instances cannot vote, 2 must grant", words];
        expect_one_line(label, run(&[]), &words);
        run(&["-q"]).expect(label, 0).expect_silence(label);
    }
}

#[test]
fn a_right_that_is_missing_on_one_server_is_named() {
    let cluster = Cluster::start(3);
    cluster.cli(2, &["ACL", "SETUSER", "lk", "on", ">pw", "~*", "&*", "+@all", "-pexpire"]);
    let third = format!("redis://lk:pw@127.0.0.1:{}", cluster.port(2));
    let run = Run::redlock(&cluster).env("REDLOCK_URLS", with_third(&cluster, &third));
    let output = run.args(["run", "weak", "--", "sleep", "0.1"]).finish();
    let address = cluster.address(2);
    expect_one_line("a missing right", output, &["1 of 3 instances cannot vote", &address]);
}

#[test]
fn a_name_that_leads_nowhere_is_named_while_the_command_runs() {
    let cluster = Cluster::start(2);
    let urls = with_third(&cluster, "redis://lock-3.invalid:6379");
    let run = Run::redlock(&cluster).env("REDLOCK_URLS", urls);
    let running = run.args(["run", "weak", "--", "sh", "-c", "cat >/dev/null"]).spawn();
    running.until_stderr("lock-3.invalid");
    let output = running.finish();
    expect_one_line("a typo", output, &["1 of 3 instances cannot vote", "lock-3.invalid:6379"]);
}

#[test]
fn a_server_that_hangs_is_named_when_its_time_limit_is_over_and_nothing_waits_for_it() {
    let mut cluster = Cluster::start(3);
    cluster.stop(2);
    let running = hold(&cluster, "weak", &["--op-timeout", "300ms"]);
    running.until_stderr("timed out");
    let output = running.finish();
    expect_one_line("hung", output, &["1 of 3 instances cannot vote", &cluster.address(2)]);
    Run::redlock(&cluster).args(TRUE).finish().expect("a short run", 0).expect_silence("short");
    cluster.cont(2);
}

#[test]
fn faults_that_all_servers_have_are_one_line_too() {
    let cluster = Cluster::start(3);
    let rights = "~* &* +@all -info -time".split(' ');
    for i in 0..3 {
        let words = ["ACL", "SETUSER", "lk", "on", ">pw"].into_iter().chain(rights.clone());
        cluster.cli(i, &words.collect::<Vec<_>>());
        cluster.cli(i, &["CONFIG", "SET", "maxmemory", "100mb"]);
        cluster.cli(i, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    }
    let addresses: Vec<String> = (0..3).map(|i| cluster.address(i)).collect();
    for (label, user, guard, words) in [
        ("eviction", "", "off", "set its maxmemory-policy to noeviction"),
        ("INFO refused", "lk:pw@", "1m", "give its user +info"),
    ] {
        let urls: Vec<String> =
            addresses.iter().map(|address| format!("redis://{user}{address}")).collect();
        let run = Run::redlock(&cluster)
            .env("REDLOCK_URLS", urls.join(","))
            .env("REDLOCK_RESTART_GUARD", guard)
            .args(["run", "weak", "--", "sleep", "0.1"]);
        let output = run.finish();
        expect_one_line(label, output, &[words, &addresses[0], &addresses[1], &addresses[2]]);
    }
}

#[test]
fn time_that_may_not_be_asked_for_is_said_without_v() {
    let cluster = Cluster::start(3);
    for i in 0..3 {
        cluster.cli(i, &["ACL", "SETUSER", "lk", "on", ">pw", "~*", "&*", "+@all", "-time"]);
    }
    let urls: Vec<String> =
        (0..3).map(|i| format!("redis://lk:pw@127.0.0.1:{}", cluster.port(i))).collect();
    until("their votes count", || (0..3).all(|i| cluster.uptime(i) > 2));
    let run = Run::redlock(&cluster)
        .env("REDLOCK_URLS", urls.join(","))
        .env("REDLOCK_RESTART_GUARD", "1s")
        .args(["run", "--ttl", "1s", "weak", "--", "sleep", "0.1"]);
    expect_one_line("TIME refused", run.finish(), &["give its user +time"]);
}

#[test]
fn a_lost_lock_that_stops_nothing_is_said_beforehand() {
    let cluster = Cluster::start(3);
    let run = |options: &[&str]| {
        Run::redlock(&cluster).arg_line("run", options, &["weak", "--", "true"]).finish()
    };
    let words = ["--on-lost warn", "two can run at once"];
    expect_one_line("warn", run(&["--on-lost", "warn"]), &words);
    run(&["-q", "--on-lost", "warn"]).expect("quiet", 0).expect_silence("quiet");
    run(&["--on-lost", "stop"]).expect("stop", 0).expect_silence("stop");
}

#[test]
fn a_run_that_waits_behind_a_holder_is_told_that_the_servers_are_gone() {
    let mut cluster = Cluster::start(3);
    let holder = hold(&cluster, "weak", &["--ttl", "3s"]);
    let run = Run::redlock(&cluster).args(["run", "--ttl", "3s", "weak", "--", "true"]);
    let waiting = run.spawn();
    waiting.until_stderr("held by");
    (0..2).for_each(|i| cluster.stop(i));
    waiting.until_stderr("no quorum");
    holder.wait().expect("lost", 74);
    (0..2).for_each(|i| cluster.cont(i));
    let output = waiting.wait().expect("its turn", 0);
    assert!(!output.stderr.contains("lease left 0"), "{}", output.stderr);
}

/// The URL of a server that closes each connection at the first request.
fn closing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let _ = client.read(&mut vec![0; 65536]);
        }
    });
    format!("redis://127.0.0.1:{port}")
}

#[test]
fn a_connection_that_is_closed_at_once_is_no_proof_of_tls() {
    let cluster = Cluster::start(0);
    let urls = [closing(), closing(), closing()].join(",");
    let run = Run::redlock(&cluster).env("REDLOCK_URLS", urls);
    let output = run.args(["run", "-n", "weak", "--", "true"]).finish().expect("no quorum", 69);
    let words = ["as a server with TLS does (rediss://) or a proxy", "?protocol=2"];
    output.expect_words("both", &words);
}
