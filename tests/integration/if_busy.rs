//! `--if-busy`: the end of a run whose lock another holds.

use crate::support::clock::{now, since};
use crate::support::line::contender;
use crate::support::{Cluster, hold};
use std::time::Duration;

const NAME: &str = crate::support::line::NAME;

/// Much longer than such a run takes, and shorter than a lease.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_run_that_skips_a_busy_lock_succeeds_without_a_word() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, NAME, &[]);
    let run = |options: &[&str]| {
        let start = now();
        let output = contender(&cluster, options, ["echo", "ran"]).finish();
        (output, since(start))
    };
    let (output, took) = run(&["--if-busy", "skip"]);
    output.expect("skip", 0).expect_silence("skip");
    assert!(took < SOON, "it waited: {took:?}");
    let (output, took) = run(&["--if-busy", "fail"]);
    output.expect("fail", 75).expect_words("fail", &[NAME, "busy"]);
    assert!(took < SOON, "it waited: {took:?}");
    for (what, code) in [("skip", 0), ("fail", 75)] {
        let (output, took) = run(&["--if-busy", what, "-w", "600ms"]);
        output.expect(what, code);
        assert!(took >= Duration::from_millis(600), "{what}: it left after {took:?}");
    }
    run(&["--if-busy", "skip", "-E", "3"]).0.expect("skip has its own code", 64);
    run(&["--if-busy", "fail", "-E", "3"]).0.expect("fail has none", 3);
    run(&["--if-busy", "never"]).0.expect("no such word", 64);
    holder.finish().expect("the holder", 0);
    assert_eq!(run(&["--if-busy", "skip"]).0.expect("free", 0).out(), "ran\n");
    cluster.until_no_key_is_left();
}
