//! Tests that measure: they hold on a machine that does nothing else. `make perf-test` runs them,
//! one at a time.
//!
//! The cost of the servers' distance and of a faulty minority, in one run, pair by pair; the cost
//! of TLS; how fast bytes pass and a waiter leaves.

use crate::support::clock::{now, since};
use crate::support::line::{contender, join};
use crate::support::proxy::{Fate, Proxy, Way};
use crate::support::{Cluster, HOLD, Monitor, Pki, Run, hold, key_of};
use nix::sys::signal::Signal;
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const PAIRS: usize = 25;

/// How long `redlock run -- true` takes with these servers.
fn one_run(cluster: &Cluster, urls: &str) -> Duration {
    let run = Run::redlock(cluster).env("REDLOCK_URLS", urls).arg_line(
        "run",
        &[],
        &["quick", "--", "true"],
    );
    let start = now();
    run.finish().expect("a majority is there", 0);
    since(start)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// The medians of runs with one list of servers and with another, taken in turn.
fn paired(cluster: &Cluster, one: &str, other: &str) -> (Duration, Duration) {
    let pairs = (0..PAIRS).map(|_| (one_run(cluster, one), one_run(cluster, other)));
    let (with_one, with_other): (Vec<_>, Vec<_>) = pairs.unzip();
    (median(with_one), median(with_other))
}

#[test]
#[ignore = "measures a speed: make perf-test"]
fn a_run_waits_for_one_round_trip_before_the_command_and_for_one_after_it() {
    let half = Duration::from_millis(250);
    for (label, password, suffix) in
        [("plain", None, ""), ("a password and a database", Some("s3cret"), "/3")]
    {
        let mut cluster = Cluster::start_alone(3);
        let proxies: Vec<_> = (0..3).map(|i| Proxy::before(cluster.port(i))).collect();
        for (i, proxy) in proxies.iter().enumerate() {
            proxy.set(Way::Requests, Fate::Delay(half));
            proxy.set(Way::Replies, Fate::Delay(half));
            if let Some(password) = password {
                cluster.require_password(i, password);
            }
        }
        let urls = proxies.iter().map(|proxy| proxy.url() + suffix).collect::<Vec<_>>().join(",");
        let run = Run::redlock(&cluster)
            .env("REDLOCK_URLS", &urls)
            .env("REDLOCK_PASSWORD", password.unwrap_or_default());
        let start = now();
        let running = run
            .arg_line("run", &["--ttl", "2m", "--op-timeout", "10s"], &["far", "--"])
            .args(HOLD)
            .spawn();
        running.until_ready();
        let before = since(start);
        let end = now();
        running.finish().expect(label, 0);
        for (when, took) in [("before", before), ("after", since(end))] {
            // The kernel of the proxy's host accepts the connection, so that connecting takes no
            // time here.
            let is_one = took >= half * 2 && took < half * 3;
            assert!(
                is_one,
                "{label}: {took:?} {when} the command is not one round trip of {:?}",
                half * 2
            );
        }
    }
}

#[test]
#[ignore = "measures a speed: make perf-test"]
fn a_lock_is_handed_over_in_two_round_trips() {
    let half = Duration::from_millis(250);
    let cluster = Cluster::start(3);
    let proxies: Vec<_> = (0..3).map(|i| Proxy::before(cluster.port(i))).collect();
    for proxy in &proxies {
        proxy.set(Way::Requests, Fate::Delay(half));
        proxy.set(Way::Replies, Fate::Delay(half));
    }
    let urls = proxies.iter().map(Proxy::url).collect::<Vec<_>>().join(",");
    let far = || {
        contender(&cluster, &["--ttl", "2m", "--op-timeout", "10s"], HOLD)
            .env("REDLOCK_URLS", &urls)
    };
    let mut holder = far().spawn();
    holder.until_ready();
    let waiting = join(&cluster, far());
    let end = now();
    holder.let_go();
    waiting.until_ready();
    let took = since(end);
    // Four one-way trips: the release and the wake-up, the request and the votes.
    assert!(
        took >= half * 4 && took < half * 5,
        "{took:?} are not two round trips of {:?}",
        half * 2
    );
    holder.wait().expect("it was first", 0);
    waiting.finish().expect("it was second", 0);
    cluster.until_no_key_is_left();
}

/// An address that never completes a handshake: the queue of its listener is full, and no
/// connection is accepted (listen(2)).
struct BlackHole {
    listener: Socket,
    _first: TcpStream,
}

impl BlackHole {
    fn open() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
        listener.listen(0).expect("it listens");
        let first = TcpStream::connect(address(&listener)).expect("the queue has one place");
        Self { listener, _first: first }
    }

    fn url(&self) -> String {
        address(&self.listener).to_string()
    }
}

fn address(listener: &Socket) -> SocketAddr {
    listener.local_addr().expect("an address").as_socket().expect("one of the internet")
}

#[test]
#[ignore = "measures a speed: make perf-test"]
fn two_of_five_that_are_dead_hung_or_swallow_everything_cost_less_than_twenty_milliseconds() {
    let mut cluster = Cluster::start_alone(8);
    let healthy = cluster.urls_of(0..5);
    cluster.kill(5);
    cluster.stop(6);
    cluster.stop(7);
    let holes = [BlackHole::open(), BlackHole::open()];
    for (label, gone) in [
        ("dead and hung", cluster.urls_of([5, 6])),
        ("hung", cluster.urls_of([6, 7])),
        ("black holes", holes.each_ref().map(BlackHole::url).join(",")),
    ] {
        let faulty = format!("{gone},{}", cluster.urls_of([0, 1, 2]));
        let (healthy, faulty) = paired(&cluster, &healthy, &faulty);
        let added = faulty.saturating_sub(healthy);
        assert!(
            added < Duration::from_millis(20),
            "{label}: they cost {added:?}: {healthy:?} became {faulty:?}"
        );
    }
    cluster.cont(6);
    cluster.cont(7);
}

#[test]
#[ignore = "measures a speed: make perf-test"]
fn a_gibibyte_passes_at_the_speed_of_cat() {
    let cluster = Cluster::start_alone(3);
    let timed = |script: &str| {
        let start = now();
        let output = Run::shell(&cluster, script).finish().expect(script, 0);
        assert_eq!(output.out().trim(), "1073741824", "{script}");
        since(start)
    };
    let plain = || timed("head -c 1G /dev/zero | cat | wc -c");
    let locked = || timed(r#"head -c 1G /dev/zero | "$RL" run pipe -- cat | wc -c"#);
    // The first measurement of each kind is for the caches.
    let (plain, locked) = ([plain(), plain(), plain()], [locked(), locked(), locked()]);
    let (plain, locked) = (plain.into_iter().min().unwrap(), locked.into_iter().min().unwrap());
    assert!(
        locked < plain * 2 + Duration::from_millis(200),
        "{locked:?}, and {plain:?} without a lock"
    );
}

#[cfg(feature = "tls")]
#[test]
#[ignore = "measures a speed: make perf-test"]
fn tls_costs_one_round_trip() {
    let pki = Pki::new();
    let half = Duration::from_millis(250);
    for (label, protocol, scheme, trips) in [
        ("no TLS", "TLSv1.3", "redis", 1),
        ("TLS 1.3", "TLSv1.3", "rediss", 2),
        ("TLS 1.2", "TLSv1.2", "rediss", 3),
    ] {
        let cluster = Cluster::start_tls_alone(3, &pki, &["--tls-protocols", protocol]);
        let port = |i| if scheme == "rediss" { cluster.tls_port(i) } else { cluster.port(i) };
        let proxies: Vec<_> = (0..3).map(|i| Proxy::before(port(i))).collect();
        for proxy in &proxies {
            proxy.set(Way::Requests, Fate::Delay(half));
            proxy.set(Way::Replies, Fate::Delay(half));
        }
        let urls =
            proxies.iter().map(Proxy::url).collect::<Vec<_>>().join(",").replace("redis", scheme);
        let start = now();
        let options = ["--ttl", "2m", "--op-timeout", "10s", "--cacert", &pki.text("ca.crt")];
        let run = Run::redlock(&cluster).env("REDLOCK_URLS", urls).arg_line(
            "run",
            &options,
            &["tls", "--"],
        );
        let running = run.args(HOLD).spawn();
        running.until_ready();
        let took = since(start);
        // The kernel of the proxy's host accepts the connection, so that connecting takes no time
        // here.
        let (least, most) = (half * 2 * trips, half * 2 * trips + half);
        assert!(
            took >= least && took < most,
            "{label}: {took:?} is not {trips} round trips of {:?}",
            half * 2
        );
        running.finish().expect(label, 0);
    }
}

#[test]
#[ignore = "measures a speed: make perf-test"]
fn a_lock_of_two_hundred_milliseconds_is_held() {
    let cluster = Cluster::start_alone(3);
    let monitor = Monitor::of(&cluster, 0);
    let mut running = hold(&cluster, "job", &["--ttl", "200ms"]);
    monitor.until_extended(&key_of("job"), 45);
    running.assert_goes_on("the shortest lock");
    running.finish().expect("the shortest lock", 0);
    cluster.until_no_key_is_left();
}

#[test]
#[ignore = "measures a speed: make perf-test"]
fn a_run_that_is_interrupted_in_the_queue_leaves_at_once() {
    let cluster = Cluster::start_alone(5);
    let holder = hold(&cluster, crate::support::line::NAME, &[]);
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let leave = || {
            let leaving = join(&cluster, contender(&cluster, &[], ["true"]));
            let start = now();
            leaving.signal(signal);
            leaving.wait().expect_death("it waits", signal);
            since(start)
        };
        let took = (0..5).map(|_| leave()).min().expect("five times");
        println!("{signal}: it left after {took:?}");
        assert!(took < Duration::from_millis(50), "{signal}: it left after {took:?}");
    }
    holder.finish().expect("the holder", 0);
}
