//! Every row of the table of error replies (`src/instance/server_error.rs`), from real servers:
//! redlock's message and exit code.
//!
//! Some rows need another version than the server in PATH: `read only replica` and `OOM command not
//! allowed` are the texts of READONLY and OOM in a script of Redis 6.2, and `ACL failure in script`
//! is the text of Redis 7.2 and later for a command that a script may not call. `make test-servers`
//! tests them.

use crate::support::means::apart;
use crate::support::run::REDLOCK;
use crate::support::server::{BUS, PORTS, major_version};
use crate::support::{Cluster, Output, Run, until};
use std::fs;
use std::io::Write as _;
use std::net::TcpStream;

/// A run on these servers that does not wait, and has half a second for each operation.
fn run(cluster: &Cluster, urls: &str, options: &[&str]) -> Output {
    let run = Run::redlock(cluster).env("REDLOCK_URLS", urls);
    run.args(["run", "-n", "--op-timeout", "500ms"])
        .args(options)
        .args(["--", "sh", "-c", "echo ran"])
        .finish()
}

fn refuses(cluster: &Cluster, urls: &str, options: &[&str], code: i32, word: &str) {
    let output = run(cluster, urls, options).expect(word, code).expect_words(word, &[word]);
    assert_eq!(output.out(), "", "{word}: the command ran");
}

fn all(cluster: &Cluster, words: &[&str]) {
    (0..3).for_each(|i| drop(cluster.cli(i, words)));
}

#[test]
fn passwords_that_do_not_fit_are_told_apart() {
    let cluster = Cluster::start(3);
    let with =
        |credentials: &str| cluster.urls().replace("redis://", &format!("redis://{credentials}"));
    refuses(&cluster, &with(":secret@"), &["e"], 77, "without any password configured");
    refuses(&cluster, &with("nobody:secret@"), &["e"], 77, "WRONGPASS");
    all(&cluster, &["ACL", "SETUSER", "walled", "on", ">pw", "~*", "+@all", "-set"]);
    refuses(&cluster, &with("walled:pw@"), &["e"], 77, "NOPERM");
    all(&cluster, &["CONFIG", "SET", "requirepass", "right"]);
    refuses(&cluster, &cluster.urls(), &["e"], 77, "NOAUTH");
}

#[test]
fn rights_that_a_script_misses_are_noticed_before_the_command_starts() {
    for missing in ["-get", "-del", "-pexpire"] {
        let cluster = Cluster::start(3);
        all(&cluster, &["ACL", "SETUSER", "default", missing]);
        let output = run(&cluster, &cluster.urls(), &["e"]).expect(missing, 77);
        let words = ["The user executing the script can't", "ACL failure in script"];
        assert!(
            words.iter().any(|word| output.stderr.contains(word)),
            "{missing}: {}",
            output.stderr
        );
        assert!(!output.stderr.contains("user_script"), "{missing}: {}", output.stderr);
        assert_eq!(output.out(), "", "{missing}: the command ran");
    }
}

#[test]
fn databases_that_are_not_there_are_named() {
    let cluster = Cluster::start(3);
    for (db, word) in [("99", "DB index is out of range"), ("99999999999", "value is out of range")]
    {
        let urls = (0..3).map(|i| format!("{}/{db}", cluster.url(i))).collect::<Vec<_>>().join(",");
        refuses(&cluster, &urls, &["e"], 78, word);
    }
}

#[test]
fn a_missing_command_is_named() {
    let cluster = Cluster::start_with(3, &["--rename-command", "EVAL", ""]);
    refuses(&cluster, &cluster.urls(), &["e"], 78, "unknown command");
}

#[test]
fn a_passing_error_is_no_refusal() {
    let table: [(&str, &[&str], &[&str]); 2] = [
        ("OOM", &["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]),
        (
            "NOREPLICAS",
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
        ),
    ];
    let cluster = Cluster::start(3);
    for (word, fault, mend) in table {
        all(&cluster, fault);
        refuses(&cluster, &cluster.urls(), &["e"], 69, word);
        all(&cluster, mend);
        run(&cluster, &cluster.urls(), &["e"]).expect(word, 0);
    }
    for i in 0..3 {
        let gone = cluster.dir().join(format!("gone-{i}"));
        fs::create_dir(&gone).unwrap();
        cluster.cli(i, &["CONFIG", "SET", "dir", gone.to_str().unwrap()]);
        fs::remove_dir(&gone).unwrap();
        cluster.cli(i, &["CONFIG", "SET", "save", "3600 1"]);
        cluster.cli(i, &["BGSAVE"]);
        let info = || cluster.ask::<String>(i, &["INFO", "persistence"]);
        until("the save has failed", || info().contains("rdb_last_bgsave_status:err"));
    }
    refuses(&cluster, &cluster.urls(), &["e"], 69, "MISCONF");
}

/// Keeps every server busy with a script of another client, until SCRIPT KILL.
fn keep_busy(cluster: &Cluster) -> Vec<TcpStream> {
    all(cluster, &["CONFIG", "SET", "lua-time-limit", "20"]);
    let busy = |i: usize| {
        let mut client =
            TcpStream::connect(("127.0.0.1", cluster.port(i))).expect("the server listens");
        client.write_all(b"EVAL \"while true do end\" 0\r\n").expect("the server reads");
        until("the server is busy", || {
            cluster.try_ask(i, &["PING"]).is_err_and(|error| error.contains("BUSY"))
        });
        client
    };
    (0..3).map(busy).collect()
}

#[test]
fn a_server_that_is_busy_with_a_script_says_so() {
    let cluster = Cluster::start(3);
    let _clients = keep_busy(&cluster);
    refuses(&cluster, &cluster.urls(), &["e"], 69, "BUSY");
    all(&cluster, &["SCRIPT", "KILL"]);
}

#[test]
fn no_request_follows_a_refused_select_on_its_connection() {
    let cluster = Cluster::start(3);
    let clients = keep_busy(&cluster);
    let urls = (0..3).map(|i| format!("{}/3", cluster.url(i))).collect::<Vec<_>>().join(",");
    let run = Run::redlock(&cluster).env("REDLOCK_URLS", urls);
    let args =
        ["run", "-v", "--op-timeout", "500ms", "e", "--", "sh", "-c", "echo ready; read go; true"];
    let mut run = run.args(args).spawn();
    run.until_stderr("BUSY");
    all(&cluster, &["SCRIPT", "KILL"]);
    drop(clients);
    run.until_ready();
    for i in 0..3 {
        assert_eq!(cluster.ask::<i64>(i, &["DBSIZE"]), 0, "server {i} has a key in database 0");
    }
    let keyspaces = (0..3).map(|i| cluster.ask::<String>(i, &["INFO", "keyspace"]));
    assert!(keyspaces.filter(|keyspace| keyspace.contains("db3:keys=")).count() >= 2);
    run.let_go();
    run.finish().expect("it has its lock", 0);
}

#[test]
fn a_server_that_loads_its_data_says_so() {
    // A server that loads its data answers once for every two megabytes: here every quarter of a
    // second, for five seconds.
    let mut cluster =
        Cluster::start_with(3, &["--key-load-delay", "1000", "--rdbcompression", "no"]);
    all(&cluster, &["DEBUG", "POPULATE", "5000", "key", "8000"]);
    all(&cluster, &["SAVE"]);
    (0..3).for_each(|i| cluster.restart_unready(i));
    let is_loading = |i: usize| {
        cluster
            .try_ask(i, &["GET", "x"])
            .is_err_and(|error| error.to_lowercase().contains("loading"))
    };
    (0..3).for_each(|i| until("the server loads", || is_loading(i)));
    refuses(&cluster, &cluster.urls(), &["e"], 69, "LOADING");
    (0..3).for_each(|i| cluster.kill(i));
}

#[test]
fn replicas_are_recognised_by_their_replies() {
    let cluster = Cluster::start(3);
    // The port has no listener, so the link to the master stays down.
    all(&cluster, &["REPLICAOF", "127.0.0.1", "1"]);
    refuses(&cluster, &cluster.urls(), &["e"], 78, "READONLY");
    all(&cluster, &["CONFIG", "SET", "replica-serve-stale-data", "no"]);
    refuses(&cluster, &cluster.urls(), &["e"], 69, "MASTERDOWN");
    all(&cluster, &["CONFIG", "SET", "replica-serve-stale-data", "yes"]);
    all(&cluster, &["CONFIG", "SET", "replica-read-only", "no"]);
    refuses(&cluster, &cluster.urls(), &["e"], 78, "this is a replica");
}

#[test]
fn a_server_that_does_not_say_how_long_it_has_been_up_is_named() {
    let cluster = Cluster::start(3);
    cluster.cli(1, &["ACL", "SETUSER", "blind", "on", ">pw", "~*", "&*", "+@all", "-info"]);
    let urls = cluster
        .urls()
        .replace(&cluster.url(1), &cluster.url(1).replace("redis://", "redis://blind:pw@"));
    for (guard, is_said) in [("1s", true), ("off", false)] {
        let args = ["run", "--ttl", "1s", "--restart-guard", guard, "e", "--", "true"];
        let output =
            Run::redlock(&cluster).env("REDLOCK_URLS", &urls).args(args).finish().expect(guard, 0);
        let said = format!("{} may not be asked for how long it has been up", cluster.address(1));
        assert_eq!(
            output.stderr.matches(&said).count(),
            usize::from(is_said),
            "{guard}: {}",
            output.stderr
        );
    }
}

/// Nodes of three clusters. The user has no right to INFO, so that redlock does not know their
/// mode.
fn nodes() -> (Cluster, String) {
    let cluster = Cluster::start_with(6, &["--cluster-enabled", "yes"]);
    let rights = ["ACL", "SETUSER", "blind", "on", ">pw", "~*", "&*", "+@all", "-info", "-hello"];
    (0..6).for_each(|i| drop(cluster.cli(i, &rights)));
    let urls = cluster.urls_of(0..3).replace("redis://", "redis://blind:pw@");
    (cluster, urls)
}

#[test]
fn nodes_of_a_cluster_are_recognised_by_their_replies() {
    let (cluster, urls) = nodes();
    refuses(&cluster, &urls, &["e"], 78, "CLUSTERDOWN");
    let elsewhere = urls.split(',').map(|url| format!("{url}/2")).collect::<Vec<_>>().join(",");
    // Valkey 9 has numbered databases in a cluster, up to a configured number.
    let word =
        if major_version() < 9 { "SELECT is not allowed" } else { "DB index is out of range" };
    refuses(&cluster, &elsewhere, &["e"], 78, word);
    let id = |i: usize| cluster.ask::<String>(i, &["CLUSTER", "MYID"]);
    for i in 0..3 {
        // A neighbour of each node, to which its slots can move.
        let port = cluster.port(3 + i).to_string();
        cluster.cli(i, &["CLUSTER", "MEET", "127.0.0.1", &port]);
        until("they know each other", || {
            cluster.ask::<String>(i, &["CLUSTER", "NODES"]).contains(&id(3 + i))
        });
        let slots: Vec<String> = (0..16384).map(|slot| slot.to_string()).collect();
        let words: Vec<&str> =
            ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
        cluster.cli(i, &words);
        until("the cluster is up", || {
            cluster.ask::<String>(i, &["CLUSTER", "INFO"]).contains("cluster_state:ok")
        });
    }
    refuses(&cluster, &urls, &["-l", "a", "-l", "b"], 78, "CROSSSLOT");
    for i in 0..3 {
        let slot = |key: &str| cluster.ask::<i64>(i, &["CLUSTER", "KEYSLOT", key]).to_string();
        cluster.cli(i, &["CLUSTER", "SETSLOT", &slot("redlock:e"), "NODE", &id(3 + i)]);
        cluster.cli(i, &["CLUSTER", "SETSLOT", &slot("redlock:f"), "MIGRATING", &id(3 + i)]);
        cluster.cli(i, &["SET", "redlock:{g}1", "there"]);
        cluster.cli(i, &["CLUSTER", "SETSLOT", &slot("redlock:{g}"), "MIGRATING", &id(3 + i)]);
    }
    refuses(&cluster, &urls, &["e"], 78, "MOVED");
    refuses(&cluster, &urls, &["f"], 78, "ASK");
    // Redis 6.2 replies ASK also if one of the keys is there.
    let (code, word) = if major_version() < 7 { (78, "ASK") } else { (69, "TRYAGAIN") };
    refuses(&cluster, &urls, &["-l", "{g}1", "-l", "{g}2"], code, word);
}

#[test]
fn a_server_with_too_many_clients_says_so() {
    let cluster = Cluster::start(3);
    let mut clients = Vec::new();
    all(&cluster, &["CONFIG", "SET", "maxclients", "1"]);
    for i in 0..3 {
        until("the only place is taken", || {
            clients.push(
                std::net::TcpStream::connect(("127.0.0.1", cluster.port(i)))
                    .expect("the server listens"),
            );
            cluster.try_ask(i, &["PING"]).is_err()
        });
    }
    // The server closes the connection at once, and the reset may discard the message.
    until("it says so", || {
        let output = run(&cluster, &cluster.urls(), &["e"]).expect("too many clients", 69);
        output.stderr.contains("max number of clients")
    });
}

#[test]
fn a_server_in_protected_mode_says_so() {
    // The server denies clients that do not come over loopback: a network of its own, with one more
    // address.
    let cluster = Cluster::start(1);
    let redlock = REDLOCK;
    let script = format!(
        "ip link set lo up && ip addr add 10.231.9.1/32 dev lo || exit 99
         for p in 1 2 3; do
             redis-server --port 700$p --protected-mode yes --save '' --set-proc-title no \
                 >server$p.log 2>&1 & pids=\"$pids $!\"
         done
         for p in 1 2 3; do until grep -q 'Ready to accept' server$p.log; do sleep 0.02; done; done
         export REDLOCK_URLS='10.231.9.1:7001 10.231.9.1:7002 10.231.9.1:7003' REDLOCK_RESTART_GUARD=off
         # It closes the connection at once, and the reset may be here before what it said was read.
         code=69; tries=0
         while [ $code = 69 ] && [ $tries -lt 200 ]; do
             {redlock} run -n e -- true 2>said; code=$?; tries=$((tries+1))
         done
         cat said >&2; kill $pids; wait; exit $code"
    );
    let Some(run) = apart(&cluster, "n") else { return };
    let output = run.args(["sh", "-c", &script]).finish().expect("protected mode", 78);
    assert!(output.stderr.contains("DENIED"), "{}", output.stderr);
}

#[test]
fn no_outgoing_connection_takes_the_port_of_a_server_or_of_its_bus() {
    let outgoing =
        std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").expect("ip(7)");
    let first: u16 = outgoing.split_whitespace().next().expect("a port").parse().expect("a port");
    const { assert!(PORTS.end <= PORTS.start + BUS, "a bus would have the port of a server") };
    assert!(PORTS.end + BUS <= first, "outgoing connections begin at {first}");
}
