//! Names of servers and of locks: names with dead addresses, resolvers that hang, and what messages
//! call a lock.

use crate::support::clock::{now, since};
use crate::support::proxy::Proxy;
use crate::support::run::REDLOCK;
use crate::support::{Cluster, Run, hold};
use socket2::{Domain, Socket, Type};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The program in a network of its own, where `script` has prepared the addresses and the files of
/// names. The servers are reached by their sockets.
fn apart(cluster: &Cluster, script: &str) -> Run {
    let unshare = if nix::unistd::geteuid().is_root() { "-nm" } else { "-rnm" };
    let script = format!("ip link set lo up && {script} && exec \"$@\"");
    Run::program(cluster, "unshare").args([unshare, "sh", "-c", &script, "sh", REDLOCK])
}

/// URLs of the sockets of the first servers, and of `name` for the others of three.
fn urls(cluster: &Cluster, sockets: usize, name: &str) -> String {
    let socket = |i| format!("unix://{}", cluster.socket(i).display());
    (0..3)
        .map(|i| if i < sockets { socket(i) } else { format!("redis://{name}:{}", 7000 + i) })
        .collect::<Vec<_>>()
        .join(",")
}

/// A resolver that never answers.
const SILENT: &str = "ip route add 192.0.2.53 dev lo && mount --bind resolv.conf /etc/resolv.conf";

fn write_resolver(cluster: &Cluster) {
    fs::write(
        cluster.dir().join("resolv.conf"),
        "nameserver 192.0.2.53\noptions timeout:30 attempts:2\n",
    )
    .unwrap();
}

/// Longer than any of the limits that were given, and much shorter than the resolver takes.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_resolver_that_hangs_holds_up_no_end() {
    let cluster = Cluster::start(2);
    write_resolver(&cluster);
    let from = |sockets, args: &[&str]| {
        let started = now();
        let urls = urls(&cluster, sockets, "lock.example");
        let output = apart(&cluster, SILENT).env("REDLOCK_URLS", urls).args(args).finish();
        assert!(since(started) < SOON, "{args:?} took {:?}: {}", since(started), output.stderr);
        output
    };
    from(2, &["wait", "slow"]).expect("a lock that is free", 0);
    from(2, &["run", "slow", "--", "true"]).expect("a majority", 0);
    let said = ["timed out while its name was looked up"];
    from(1, &["wait", "-w", "2s", "slow"])
        .expect("waiting without a majority", 69)
        .expect_words("wait", &said);
    from(1, &["run", "-n", "slow", "--", "true"])
        .expect("no majority", 69)
        .expect_words("run", &said);
}

/// A port at which connections are taken by nobody and refused by nobody.
struct Dead {
    _listener: Socket,
    _waiting: Vec<TcpStream>,
}

impl Dead {
    fn at(address: SocketAddr) -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&address.into()).unwrap();
        listener.listen(0).unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
        let waiting: Vec<TcpStream> = std::iter::from_fn(connect).take(1000).collect();
        assert!(waiting.len() < 1000, "the port takes any number of connections");
        Self { _listener: listener, _waiting: waiting }
    }
}

#[test]
fn a_name_with_dead_addresses_before_the_good_one_is_reached() {
    let mut cluster = Cluster::start(3);
    cluster.kill(1);
    // Of several addresses the resolver prefers those that share more with our own, which is
    // 127.0.0.1.
    let good = Proxy::listening("127.0.0.9", 0, cluster.port(2));
    let port = good.port();
    let at = |last: u8| SocketAddr::from(([127, 0, 0, last], port));
    let _dead: Vec<Dead> = [1, 2, 3].map(|last| Dead::at(at(last))).into();
    let file = cluster.dir().join("hosts");
    let publish = |hosts: &[u8]| {
        let lines: Vec<String> =
            hosts.iter().map(|last| format!("127.0.0.{last} lock.test\n")).collect();
        fs::write(&file, lines.concat()).unwrap();
    };
    let socket = |i| format!("unix://{}", cluster.socket(i).display());
    let urls = format!("{},{},redis://lock.test:{port}", socket(0), socket(1));
    let unshare = if nix::unistd::geteuid().is_root() { "-m" } else { "-rm" };
    let run = |options: &[&str]| {
        let run = Run::program(&cluster, "unshare").env("REDLOCK_URLS", &urls);
        let run = run.args([
            unshare,
            "sh",
            "-c",
            "mount --bind hosts /etc/hosts && exec \"$@\"",
            "sh",
            REDLOCK,
            "run",
        ]);
        run.args(options).args(["dead", "--", "true"]).finish()
    };
    publish(&[1, 2, 3, 9]);
    run(&["-w", "20s", "--op-timeout", "2s"]).expect("the fourth address", 0);
    publish(&[1, 2]);
    let words = format!("timed out while connecting to 127.0.0.1:{port} and 127.0.0.2:{port}");
    run(&["-n"]).expect("dead addresses", 69).expect_words("both are named", &[&words]);
    publish(&[4, 5]);
    let words = format!("connection refused at 127.0.0.4:{port} and 127.0.0.5:{port}");
    run(&["-n"]).expect("closed ports", 69).expect_words("both are named", &[&words]);
}

#[test]
fn messages_about_a_key_name_the_key() {
    let cluster = Cluster::start(3);
    let mut holder = hold(&cluster, "ignored", &["--key", "other:key"]);
    let busy =
        Run::redlock(&cluster).args(["run", "-n", "--key", "other:key", "--", "true"]).finish();
    busy.expect("busy", 75).expect_words("busy", &["'other:key' is busy"]);
    let wait = Run::redlock(&cluster).args(["wait", "-w", "0", "--key", "other:key"]).finish();
    wait.expect("wait", 75).expect_words("wait", &["'other:key' is busy"]);
    holder.let_go();
    holder.wait().expect("the holder", 0);
    let show = ["--", "sh", "-c", "echo $REDLOCK_NAME $REDLOCK_KEY"];
    let shown = Run::redlock(&cluster)
        .args(["run", "--key", "other:key"])
        .args(show)
        .finish()
        .expect("the command", 0);
    assert_eq!(shown.out(), "other:key other:key\n");
    let bad = Run::redlock(&cluster).args(["run", "--key", "", "--", "true"]).finish();
    bad.expect("an empty key", 64).expect_words("an empty key", &["--key"]);
}

#[test]
fn a_reason_may_begin_with_a_hyphen() {
    let cluster = Cluster::start(3);
    for reason in ["-fix bug", "--fix the bug", "-1", "- "] {
        let args = ["run", "--reason", reason, "why", "--", "true"];
        Run::redlock(&cluster).args(args).finish().expect(reason, 0).expect_silence(reason);
    }
    for line in [
        &["run", "--reason", "--ttl", "5s", "--", "true"][..],
        &["run", "--reason", "-n", "name", "--", "true"],
        &["run", "name", "--reason", "--", "true"],
        &["run", "--user", "-fix", "name", "--", "true"],
        &["run", "--ttl", "--", "true"],
    ] {
        let output =
            Run::redlock(&cluster).args(line).finish().expect("a value that is missing", 64);
        assert!(
            !output.stderr.contains("REDLOCK_"),
            "a variable that is not set is blamed: {}",
            output.stderr
        );
    }
    cluster.until_no_key_is_left();
}
