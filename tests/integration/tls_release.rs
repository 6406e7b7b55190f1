//! A release through TLS reaches the server, also if redlock ends right behind it.
#![cfg(feature = "tls")]

use crate::support::clock::let_pass;
use crate::support::proxy::{Fate, Proxy, Way};
use crate::support::{Cluster, Pki, Run, key_of, until};
use std::time::Duration;

#[test]
fn a_release_behind_a_first_request_that_was_not_answered_is_waited_for() {
    let pki = Pki::new();
    let cluster = Cluster::start_tls(3, &pki, &[]);
    let proxy = Proxy::before(cluster.tls_port(2));
    // The handshake passes. The session tickets and the replies are held.
    proxy.set(Way::Replies, Fate::HoldAfterFirst);
    let urls = format!("{},{}", cluster.tls_urls_of(0..2), proxy.tls_url());
    let run = Run::redlock(&cluster).env("REDLOCK_URLS", urls);
    let options = ["run", "--ttl", "2m", "--op-timeout", "15s", "--cacert", &pki.text("ca.crt")];
    let mut running = run.args(options).args(["release", "--", "true"]).spawn();
    let key = key_of("release");
    let is_set = |i: usize| cluster.get(i, &key).is_some();
    until("the server behind the proxy has the key", || is_set(2));
    until("the others were released", || !is_set(0) && !is_set(1));
    let_pass(Duration::from_millis(500));
    running.assert_goes_on("the server has not answered to the first request");
    proxy.set(Way::Replies, Fate::Pass);
    running.finish().expect("released", 0);
    cluster.until_no_key_is_left();
}
