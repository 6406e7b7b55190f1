//! Servers that are none, or mean harm: one of three can only abstain, and all of them can only
//! deny.

use crate::support::clock::{now, since, within};
use crate::support::{Cluster, Run, Running, until};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// What a server does with a connection.
type Deed = fn(TcpStream, &AtomicUsize);

/// Reads until the end, and counts.
fn swallow(mut stream: TcpStream, came: &AtomicUsize) {
    let mut room = [0; 4096];
    while let Ok(count) = stream.read(&mut room) {
        if count == 0 {
            return;
        }
        came.fetch_add(count, Ordering::Relaxed);
    }
}

/// Writes `first`, and then `again` for as long as that is read.
fn flood(mut stream: TcpStream, first: &[u8], again: &[u8], pause: Duration) {
    let _ = stream.read(&mut [0; 4096]);
    let mut result = stream.write_all(first);
    while result.is_ok() {
        result = stream.write_all(again);
        within(pause, || None::<()>);
    }
}

const PIECE: usize = 60_000;

fn pushes(stream: TcpStream, _: &AtomicUsize) {
    let push = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$12\r\nredlock:harm\r\n";
    flood(stream, b"", &push.repeat(PIECE / push.len()), Duration::ZERO);
}

const DEEDS: [(&str, Deed); 14] = [
    ("says nothing", swallow),
    ("closes at once", |stream, _| drop(stream)),
    ("speaks another protocol", |stream, _| {
        flood(stream, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"<html>", Duration::ZERO);
    }),
    ("writes pushes without end", pushes),
    ("writes replies without end", |stream, _| {
        flood(stream, b"", &b"+OK\r\n".repeat(PIECE / 5), Duration::ZERO);
    }),
    ("sends an array of a million parts", |stream, _| {
        flood(stream, b"*1000000\r\n", &b"_\r\n".repeat(9), Duration::ZERO);
    }),
    ("sends arrays in arrays", |stream, _| {
        flood(stream, b"", &b"*1\r\n".repeat(9), Duration::ZERO);
    }),
    ("sends one byte at a time", |stream, _| {
        flood(stream, b"$60000\r\n", b"x", Duration::from_millis(10));
    }),
    ("announces a block of exabytes", |stream, _| {
        flood(stream, b"$9223372036854775807\r\n", b"x", Duration::ZERO);
    }),
    ("never ends a line", |stream, _| flood(stream, b"+", &[b'x'; 4096], Duration::ZERO)),
    ("says errors of a megabyte", |stream, _| {
        let error = [b"-ERR ".as_slice(), &[0x1b; 1 << 20], b"\r\n"].concat();
        flood(stream, b"", &error, Duration::ZERO);
    }),
    ("answers with numbers", |stream, _| flood(stream, b"", b":1\r\n", Duration::from_millis(1))),
    ("answers with nothing", |stream, _| flood(stream, b"", b"_\r\n", Duration::from_millis(1))),
    ("sends an empty map and an empty push", |stream, _| {
        flood(stream, b"%0\r\n>0\r\n", b"*0\r\n", Duration::from_millis(1));
    }),
];

/// A server with this habit, and how many bytes it was sent. Its threads end with their
/// connections.
fn server(deed: Deed) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("redis://{}", listener.local_addr().expect("an address"));
    let came = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&came);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counter = Arc::clone(&counter);
            thread::spawn(move || deed(stream, &counter));
        }
    });
    (url, came)
}

/// The most memory that redlock ever had, in KiB.
fn peak(running: &Running) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn one_of_three_servers_can_do_no_more_than_abstain() {
    let cluster = Cluster::start(2);
    for (label, deed) in DEEDS {
        let (url, _) = server(deed);
        let urls = format!("{url},{}", cluster.urls());
        let run = Run::redlock(&cluster)
            .env("REDLOCK_URLS", urls)
            .args(["run", "--ttl", "600ms", "harm", "--"]);
        let mut holder = run.args(["sh", "-c", "echo ready; cat >/dev/null"]).spawn();
        holder.until_ready();
        let begun = now();
        until("it has been held for five times its ttl", || {
            !holder.goes_on() || since(begun) > Duration::from_secs(3)
        });
        assert!(holder.goes_on(), "{label}: the lock is lost: {:?}", holder.finish());
        let peak = peak(&holder);
        assert!(peak < 32 << 10, "{label}: {peak} KiB");
        let output = holder.finish().expect(label, 0);
        assert!(
            output.stderr.len() < 4096 && !output.stderr.contains('\u{1b}'),
            "{label}: {}",
            output.stderr
        );
    }
    cluster.until_no_key_is_left();
}

#[test]
fn three_of_three_servers_can_do_no_more_than_deny() {
    let cluster = Cluster::start(1);
    for (label, deed) in DEEDS {
        let urls = (0..3).map(|_| server(deed).0).collect::<Vec<_>>().join(",");
        let run = Run::redlock(&cluster).env("REDLOCK_URLS", urls).without("REDLOCK_RESTART_GUARD");
        let begun = now();
        let output =
            run.args(["run", "-w", "1s", "--ttl", "2s", "harm", "--", "echo", "ran"]).finish();
        assert!(
            [69, 75, 77, 78].contains(&output.status.code().unwrap_or(0)),
            "{label}: {output:?}"
        );
        assert!(
            output.stdout.is_empty() && since(begun) < Duration::from_secs(10),
            "{label}: {output:?}"
        );
        assert!(
            output.stderr.len() < 8192 && !output.stderr.contains('\u{1b}'),
            "{label}: {}",
            output.stderr
        );
    }
}

#[test]
fn a_waiter_sends_no_more_to_servers_that_never_answer_however_long_it_waits() {
    let cluster = Cluster::start(1);
    let servers = [(); 3].map(|()| server(swallow));
    let urls = servers.iter().map(|(url, _)| url.clone()).collect::<Vec<_>>().join(",");
    let options = ["run", "--ttl", "1s", "--op-timeout", "1ms", "harm", "--", "true"];
    let mut waiter = Run::redlock(&cluster).env("REDLOCK_URLS", urls).args(options).spawn();
    let sent = || servers.iter().map(|(_, came)| came.load(Ordering::Relaxed)).sum::<usize>();
    until("much was asked", || sent() > 3 * 4_000);
    let mut last = (sent(), now());
    until("nothing more is sent for some seconds", || {
        let sent = sent();
        if sent != last.0 {
            last = (sent, now());
        }
        !waiter.goes_on() || since(last.1) > Duration::from_secs(6)
    });
    assert!(waiter.goes_on(), "it waits");
    waiter.signal(nix::sys::signal::Signal::SIGTERM);
    waiter.wait().expect_death("by the signal", nix::sys::signal::Signal::SIGTERM);
}

#[test]
fn a_holder_from_the_end_of_time_ends_no_waiter() {
    let cluster = Cluster::start(3);
    let claim = format!(
        "{{\"v\":1,\"id\":\"\",\"token\":\"\",\"owner\":\"x\",\"pid\":1,\"cmd\":\"c\",\"since\":{},\"ttl_ms\":1,\"n\":3}}",
        u64::MAX
    );
    (0..3).for_each(|i| drop(cluster.cli(i, &["SET", "redlock:harm", &claim, "PX", "60000"])));
    let output = Run::redlock(&cluster)
        .args(["run", "-n", "harm", "--", "true"])
        .finish()
        .expect("busy", 75);
    assert!(output.stderr.contains("9999"), "{}", output.stderr);
}
