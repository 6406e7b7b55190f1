//! Replies of servers that cannot grant a lock. Transient errors are waited out; permanent ones end
//! the wait at once.

use crate::support::clock::since;
use crate::support::{Cluster, Output, Run, clock, until};
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

const WAIT: Duration = Duration::from_millis(1500);

fn run(cluster: &Cluster, urls: &str) -> (Output, Duration) {
    let start = clock::now();
    let run = Run::redlock(cluster)
        .knowing_localhost(cluster)
        .env("REDLOCK_URLS", urls)
        .args(["run", "-w", "1500ms", "reply", "--"]);
    let output = run.args(["sh", "-c", "echo ran"]).finish();
    (output, since(start))
}

/// If two of three servers reply with the error, a limited wait must run out, and a later run must
/// get the lock once they have recovered.
fn is_waited_out(cluster: &Cluster, label: &str, word: &str, recover: impl Fn(usize)) {
    let (output, took) = run(cluster, &cluster.urls());
    let output = output.expect(label, 69);
    assert_eq!(output.out(), "", "{label}: the command ran");
    assert!(took >= WAIT, "{label}: it may change, and yet the wait was over after {took:?}");
    let output = output.expect_words(label, &[word, &cluster.address(0), &cluster.address(1)]);
    assert!(!output.stderr.contains('\r'), "{label}: {:?}", output.stderr);
    (0..2).for_each(recover);
    assert_eq!(run(cluster, &cluster.urls()).0.expect(label, 0).out(), "ran\n", "{label}");
    cluster.until_no_key_is_left();
}

/// With these servers, the wait must end at once with this exit code.
fn ends_the_wait(cluster: &Cluster, label: &str, urls: &str, code: i32, words: &[&str]) {
    let (output, took) = run(cluster, urls);
    let output = output.expect(label, code).expect_words(label, words);
    assert_eq!(output.out(), "", "{label}: the command ran");
    assert!(took < WAIT, "{label}: it waited for what does not change");
}

#[test]
fn full_memory_is_waited_out() {
    let cluster = Cluster::start(3);
    let limit =
        |i: usize, bytes: &str| drop(cluster.cli(i, &["CONFIG", "SET", "maxmemory", bytes]));
    (0..2).for_each(|i| limit(i, "1"));
    is_waited_out(&cluster, "OOM", "memory", |i| limit(i, "0"));
}

#[test]
fn missing_replicas_are_waited_out() {
    let cluster = Cluster::start(3);
    let need = |i: usize, replicas: &str| {
        drop(cluster.cli(i, &["CONFIG", "SET", "min-replicas-to-write", replicas]));
    };
    (0..2).for_each(|i| need(i, "1"));
    is_waited_out(&cluster, "NOREPLICAS", "replica", |i| need(i, "0"));
}

#[test]
fn a_disk_that_cannot_be_written_is_waited_out() {
    let cluster = Cluster::start(3);
    for i in 0..2 {
        let gone = cluster.dir().join(format!("gone-{i}"));
        std::fs::create_dir(&gone).unwrap();
        cluster.cli(i, &["CONFIG", "SET", "dir", gone.to_str().unwrap()]);
        cluster.cli(i, &["CONFIG", "SET", "save", "3600 1"]);
        std::fs::remove_dir(&gone).unwrap();
        cluster.cli(i, &["BGSAVE"]);
        let info = || cluster.ask::<String>(i, &["INFO", "persistence"]);
        until("the save has failed", || info().contains("rdb_last_bgsave_status:err"));
    }
    is_waited_out(&cluster, "MISCONF", "misconf", |i| {
        drop(cluster.cli(i, &["CONFIG", "SET", "save", ""]));
    });
}

#[test]
fn a_script_that_does_not_end_is_waited_out() {
    let cluster = Cluster::start(3);
    let mut clients = Vec::new();
    for i in 0..2 {
        cluster.cli(i, &["CONFIG", "SET", "lua-time-limit", "50"]);
        let mut client =
            TcpStream::connect(("127.0.0.1", cluster.port(i))).expect("the server listens");
        client.write_all(b"EVAL \"while true do end\" 0\r\n").expect("the server reads");
        clients.push(client);
        until("the server is busy", || {
            cluster.try_ask(i, &["PING"]).is_err_and(|error| error.contains("BUSY"))
        });
    }
    is_waited_out(&cluster, "BUSY", "busy", |i| drop(cluster.cli(i, &["SCRIPT", "KILL"])));
}

#[test]
fn replicas_are_no_instances() {
    let mut cluster = Cluster::start(5);
    for i in 0..2 {
        let port = cluster.port(3 + i).to_string();
        cluster.cli(i, &["REPLICAOF", "127.0.0.1", &port]);
        until("it is a replica", || {
            cluster.ask::<String>(i, &["INFO", "replication"]).contains("role:slave")
        });
    }
    let urls = cluster.urls_of(0..3);
    let words = [cluster.address(0), cluster.address(1)];
    ends_the_wait(&cluster, "replicas", &urls, 78, &[&words[0], &words[1], "replica"]);
    cluster.kill(3);
    cluster.kill(4);
    ends_the_wait(
        &cluster,
        "replicas without a master",
        &urls,
        78,
        &[&words[0], &words[1], "replica"],
    );
}

#[test]
fn nodes_of_a_cluster_are_no_instances() {
    let cluster = Cluster::start_with(3, &["--cluster-enabled", "yes"]);
    let words = [cluster.address(0), cluster.address(1)];
    ends_the_wait(
        &cluster,
        "nodes of a cluster",
        &cluster.urls(),
        78,
        &[&words[0], &words[1], "cluster"],
    );
}

/// Two more URLs of a server, each with its name in messages.
fn aliases(cluster: &Cluster, i: usize) -> [(String, String); 2] {
    let (host, socket) =
        (format!("localhost:{}", cluster.port(i)), cluster.socket(i).display().to_string());
    [(format!("redis://{host}"), host), (format!("unix://{socket}"), socket)]
}

#[test]
fn one_server_under_three_names_is_no_three_instances() {
    let cluster = Cluster::start(1);
    let [(host, _), (socket, _)] = aliases(&cluster, 0);
    let urls = format!("{},{host},{socket}", cluster.url(0));
    // Which two servers are compared first is by chance. Without a quorum of servers no command can
    // start.
    ends_the_wait(&cluster, "three names", &urls, 78, &["' and '", "are the same server"]);
    cluster.until_no_key_is_left();
}

#[test]
fn one_server_under_two_names_counts_once() {
    let cluster = Cluster::start(2);
    let [_, (alias, shown)] = aliases(&cluster, 0);
    let urls = format!("{alias},{}", cluster.urls());
    let run = || Run::redlock(&cluster).env("REDLOCK_URLS", &urls);
    let script = "echo ready; cat >/dev/null";
    let running = run().args(["run", "--ttl", "1s", "reply", "--", "sh", "-c", script]).spawn();
    running.until_ready();
    running.until_stderr("are the same server");
    run().args(["run", "-n", "reply", "--", "true"]).finish().expect("busy", 75);
    let output = running.finish().expect("two servers of three", 0);
    output.expect_words("both names", &[&cluster.address(0), &shown]);
    cluster.until_no_key_is_left();

    // The server under two names alone is no quorum of three.
    cluster.occupy(1, "redlock:reply");
    let output = run().args(["run", "-n", "reply", "--", "echo", "ran"]).finish();
    assert!(matches!(output.status.code(), Some(69 | 75)), "{output:?}");
    assert_eq!(output.out(), "", "{output:?}");
    drop(cluster.cli(1, &["DEL", "redlock:reply"]));
    cluster.until_no_key_is_left();
}

#[test]
fn users_without_the_right_to_lock_are_refused() {
    let table: [(&str, &[&str]); 2] = [
        ("no SET", &["ACL", "SETUSER", "default", "-set"]),
        ("other keys", &["ACL", "SETUSER", "default", "resetkeys", "~elsewhere:*"]),
    ];
    for (label, rights) in table {
        let cluster = Cluster::start(3);
        (0..2).for_each(|i| drop(cluster.cli(i, rights)));
        let words = [cluster.address(0), cluster.address(1)];
        ends_the_wait(&cluster, label, &cluster.urls(), 77, &[&words[0], &words[1]]);
    }
}

#[test]
fn the_smallest_rights_that_are_documented_suffice() {
    let cluster = Cluster::start(3);
    let rights = "on >pw ~redlock:* +set +get +del +pexpire +pttl +eval";
    let words: Vec<_> = ["ACL", "SETUSER", "locker"].into_iter().chain(rights.split(' ')).collect();
    (0..3).for_each(|i| drop(cluster.cli(i, &words)));
    let urls = (0..3)
        .map(|i| format!("redis://locker:pw@{}", cluster.address(i)))
        .collect::<Vec<_>>()
        .join(",");
    let script = "echo ready; sleep 1.2; exit 4";
    let run = Run::redlock(&cluster)
        .env("REDLOCK_URLS", urls)
        .args(["run", "--ttl", "1s", "reply", "--"]);
    run.args(["sh", "-c", script]).finish().expect("held, extended and released", 4);
    cluster.until_no_key_is_left();
}
