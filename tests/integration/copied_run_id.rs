//! A server that reports the `run_id` of another one: the two count once, and a run goes on if the
//! others are a quorum with that.

use crate::support::clock::{now, since};
use crate::support::{Cluster, Run, until};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// A proxy to the server at `target` that replaces the server's `run_id` by another of the same
/// length.
fn forger(target: u16, own: String, other: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("redis://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(("127.0.0.1", target)).expect("the server listens");
            let (own, other) = (own.clone().into_bytes(), other.clone().into_bytes());
            let (from, to) = (client.try_clone().expect("a handle"), server.try_clone());
            pass(from, to.expect("a handle"), |bytes| bytes);
            pass(server, client, move |mut bytes| {
                for at in 0..bytes.len().saturating_sub(own.len()) {
                    if bytes[at..].starts_with(&own) {
                        bytes[at..at + own.len()].copy_from_slice(&other);
                    }
                }
                bytes
            });
        }
    });
    url
}

/// Passes on all bytes, until the stream ends.
fn pass(
    mut from: TcpStream,
    mut to: TcpStream,
    change: impl Fn(Vec<u8>) -> Vec<u8> + Send + 'static,
) {
    thread::spawn(move || {
        let mut room = vec![0; 65536];
        while let Ok(count @ 1..) = from.read(&mut room) {
            if to.write_all(&change(room[..count].to_vec())).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}

#[test]
fn a_copied_run_id_ends_no_run_while_a_majority_is_left_without_it() {
    let mut cluster = Cluster::start(3);
    let copy = forger(cluster.port(2), cluster.info(2, "run_id"), cluster.info(0, "run_id"));
    for urls in
        [format!("{},{copy}", cluster.urls_of(0..2)), format!("{copy},{}", cluster.urls_of(0..2))]
    {
        let run = Run::redlock(&cluster).env("REDLOCK_URLS", urls).args(["run", "--ttl", "1s"]);
        let mut running =
            run.args(["copy", "--", "sh", "-c", "echo ready; cat >/dev/null"]).spawn();
        running.until_ready();
        // From now on, the copy has the key of another client.
        cluster.cli(2, &["SET", "redlock:copy", "other", "PX", "4000"]);
        let begun = now();
        until("it has been held for three times its ttl", || {
            !running.goes_on() || since(begun) > Duration::from_secs(3)
        });
        running.assert_goes_on("a server lies about who it is");
        running.finish().expect("held", 0).expect_words("the pair", &["are the same server"]);
        cluster.cli(2, &["DEL", "redlock:copy"]);
        cluster.until_no_key_is_left();
    }
    cluster.kill(1);
    let urls = format!("{},{copy}", cluster.urls_of(0..2));
    let run = Run::redlock(&cluster).env("REDLOCK_URLS", urls);
    let output = run.args(["run", "-w", "1s", "copy", "--", "echo", "ran"]).finish();
    assert_eq!((output.status.code(), output.out().as_str()), (Some(69), ""), "{output:?}");
    cluster.until_no_key_is_left();
}
