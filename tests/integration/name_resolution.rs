//! Names of servers: names with dead addresses, and resolvers that hang.

use crate::support::clock::{now, since};
use crate::support::means::{etc, redlock_with_etc};
use crate::support::proxy::Proxy;
use crate::support::{Cluster, Run, until_some};
use socket2::{Domain, Socket, Type};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// redlock in namespaces of its own, for which `script` prepares the addresses and the files of
/// names. The servers are reached by their sockets.
fn apart(cluster: &Cluster, script: &str) -> Option<Run> {
    redlock_with_etc(cluster, "n", &format!("ip link set lo up && {script}"))
}

/// URLs of the first servers by their sockets, and of `name` for the rest of three.
fn urls(cluster: &Cluster, sockets: usize, name: &str) -> String {
    let socket = |i| format!("unix://{}", cluster.socket(i).display());
    (0..3)
        .map(|i| if i < sockets { socket(i) } else { format!("redis://{name}:{}", 7000 + i) })
        .collect::<Vec<_>>()
        .join(",")
}

/// A resolver that never answers.
const SILENT: &str = "ip route add 192.0.2.53 dev lo";

fn write_resolver(cluster: &Cluster) {
    fs::write(
        etc(cluster).join("resolv.conf"),
        "nameserver 192.0.2.53\noptions timeout:30 attempts:2\n",
    )
    .unwrap();
}

/// Longer than any time limit in these tests, and much shorter than the resolver takes.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_resolver_that_hangs_holds_up_no_end() {
    let cluster = Cluster::start(2);
    write_resolver(&cluster);
    let from = |sockets, args: &[&str]| {
        let run = apart(&cluster, SILENT)?;
        let started = now();
        let urls = urls(&cluster, sockets, "lock.example");
        let output = run.env("REDLOCK_URLS", urls).args(args).finish();
        assert!(since(started) < SOON, "{args:?} took {:?}: {}", since(started), output.stderr);
        Some(output)
    };
    let Some(output) = from(2, &["wait", "slow"]) else { return };
    output.expect("a lock that is free", 0);
    let from = |sockets, args: &[&str]| from(sockets, args).expect("as before");
    from(2, &["run", "slow", "--", "true"]).expect("a majority", 0);
    let said = ["timed out while its name was looked up"];
    from(1, &["wait", "-w", "2s", "--op-timeout", "1s", "slow"])
        .expect("waiting without a majority", 69)
        .expect_words("wait", &said);
    from(1, &["run", "-n", "--op-timeout", "1s", "slow", "--", "true"])
        .expect("no majority", 69)
        .expect_words("run", &said);
}

/// A port at which connections are neither accepted nor refused.
struct Dead {
    _listener: Socket,
    _waiting: Vec<TcpStream>,
}

impl Dead {
    /// `None` if another program has the port at this address.
    fn at(address: SocketAddr) -> Option<Self> {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&address.into()).ok()?;
        listener.listen(0).unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
        let waiting: Vec<TcpStream> = std::iter::from_fn(connect).take(1000).collect();
        assert!(waiting.len() < 1000, "the port takes any number of connections");
        Some(Self { _listener: listener, _waiting: waiting })
    }
}

#[test]
fn a_name_with_dead_addresses_before_the_good_one_is_reached() {
    let mut cluster = Cluster::start(3);
    cluster.kill(1);
    // The resolver prefers addresses that have a long prefix in common with 127.0.0.1.
    let (good, _dead) = until_some("a port is free at all four addresses", || {
        let good = Proxy::listening("127.0.0.9", 0, cluster.port(2));
        let at = |last: u8| SocketAddr::from(([127, 0, 0, last], good.port()));
        let dead: Option<Vec<Dead>> = (1..=3).map(|last| Dead::at(at(last))).collect();
        Some((good, dead?))
    });
    let port = good.port();
    let file = etc(&cluster).join("hosts");
    let publish = |hosts: &[u8]| {
        let lines: Vec<String> =
            hosts.iter().map(|last| format!("127.0.0.{last} lock.test\n")).collect();
        fs::write(&file, lines.concat()).unwrap();
    };
    let socket = |i| format!("unix://{}", cluster.socket(i).display());
    let urls = format!("{},{},redis://lock.test:{port}", socket(0), socket(1));
    let start = || redlock_with_etc(&cluster, "", "true");
    let Some(_) = start() else { return };
    let run = |options: &[&str]| {
        let run = start().expect("as before").env("REDLOCK_URLS", &urls);
        run.args(["run"]).args(options).args(["dead", "--", "true"]).finish()
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
