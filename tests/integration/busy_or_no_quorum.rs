//! Busy and no quorum are told apart if one of three servers is dead and no run waits.

use crate::support::proxy::{Fate, Proxy, Way};
use crate::support::{Cluster, Run, hold};
use std::time::Duration;

const ROUNDS: usize = 20;
/// Number of rounds in which each run takes a second.
const SLOW_ROUNDS: usize = 5;

/// Three servers, of which the first is dead and the last is slow, and a holder on the others.
fn urls(cluster: &Cluster, slow: &Proxy) -> String {
    slow.set(Way::Requests, Fate::Delay(Duration::from_millis(30)));
    format!("{},{},{}", cluster.url(0), cluster.url(1), slow.url())
}

#[test]
fn with_one_of_three_dead_a_held_lock_is_busy_and_a_free_one_is_free() {
    let mut cluster = Cluster::start(3);
    let slow = Proxy::before(cluster.port(2));
    let urls = urls(&cluster, &slow);
    let holder = hold(&cluster, "edge", &[]);
    cluster.kill(0);
    let run = |args: &[&str]| Run::redlock(&cluster).env("REDLOCK_URLS", &urls).args(args).finish();
    for _ in 0..ROUNDS {
        for args in [
            &["wait", "-w", "0", "edge"][..],
            &["run", "-w", "0", "edge", "--", "true"],
            &["run", "-n", "edge", "--", "true"],
        ] {
            run(args).expect("held", 75).expect_words("held", &["'edge' is busy"]);
        }
    }
    for _ in 0..SLOW_ROUNDS {
        run(&["wait", "-w", "1s", "edge"])
            .expect("held", 75)
            .expect_words("held", &["'edge' is busy"]);
    }
    holder.finish().expect("the holder", 0);
    for _ in 0..ROUNDS {
        run(&["wait", "-w", "0", "edge"]).expect("free", 0);
        run(&["run", "-w", "0", "edge", "--", "true"]).expect("free", 0);
    }
}

#[test]
fn a_slot_that_is_free_is_found_by_runs_that_do_not_wait() {
    let cluster = Cluster::start(3);
    let proxies: Vec<Proxy> = (0..3).map(|i| Proxy::before(cluster.port(i))).collect();
    let urls: Vec<String> = proxies.iter().map(Proxy::url).collect();
    let first = hold(&cluster, "edge", &["--slots", "3"]);
    let second = hold(&cluster, "edge", &["--slots", "3"]);
    for round in 0..ROUNDS {
        // A different one of the servers is late each time.
        for (i, proxy) in proxies.iter().enumerate() {
            let late = Duration::from_millis(if i == round % 3 { 20 } else { 0 });
            proxy.set(Way::Requests, Fate::Delay(late));
        }
        let run = Run::redlock(&cluster).env("REDLOCK_URLS", urls.join(","));
        run.args(["run", "-n", "--slots", "3", "edge", "--", "true"]).finish().expect("free", 0);
    }
    first.finish().expect("the first", 0);
    second.finish().expect("the second", 0);
}
