//! `--jitter`: a random delay before the first attempt.

use crate::support::clock::{now, since, until};
use crate::support::line::contender;
use crate::support::{Cluster, Monitor};
use nix::sys::signal::Signal;
use std::time::Duration;

#[test]
fn a_random_delay_comes_before_anything_is_sent() {
    let cluster = Cluster::start(3);
    let monitors: Vec<_> = (0..3).map(|i| Monitor::of(&cluster, i)).collect();
    let running = contender(&cluster, &["--jitter", "1h"], ["true"]).spawn();
    // Once there is a guardian, redlock receives signals.
    until("the guardian is there", || cluster.processes().len() >= 2);
    running.signal(Signal::SIGTERM);
    running.wait().expect_death("it is in no hurry", Signal::SIGTERM);
    assert!(
        monitors.iter().all(|monitor| monitor.seen().is_empty()),
        "something was sent: {:?}",
        monitors[0].seen()
    );
    for _ in 0..4 {
        let start = now();
        contender(&cluster, &["--jitter", "400ms"], ["true"]).finish().expect("its time came", 0);
        assert!(
            since(start) < Duration::from_millis(1400),
            "it was delayed for {:?}",
            since(start)
        );
    }
    contender(&cluster, &["--jitter", "soon"], ["true"]).finish().expect("no length", 64);
    cluster.until_no_key_is_left();
}
