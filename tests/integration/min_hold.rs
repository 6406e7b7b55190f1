//! `--min-hold` and `--cooldown`: a lock that is kept for a while without its redlock.

use crate::support::clock::until;
use crate::support::line::{contender, has_begun, join, noting, order, turns};
use crate::support::{Cluster, key_of};
use std::time::Duration;

const NAME: &str = crate::support::line::NAME;

/// The time from the beginning (or the end) of the first command to the beginning of the second.
fn between(cluster: &Cluster, from_end: bool) -> Duration {
    let turns = turns(cluster);
    let from = if from_end { turns[0].to.expect("it ended") } else { turns[0].from };
    turns[1].from.saturating_sub(from)
}

#[test]
fn a_lock_is_kept_for_a_while_without_its_redlock() {
    let cluster = Cluster::start(3);
    for (options, from_end, least, most) in
        [(["--min-hold", "2s"], false, 1800, 2000), (["--cooldown", "1500ms"], true, 1480, 1500)]
    {
        let label = options[0];
        let first =
            contender(&cluster, &["--ttl", "1m", options[0], options[1]], noting("first", "0.1"))
                .spawn();
        until("it has begun", || has_begun(&cluster, "first"));
        let second = join(&cluster, contender(&cluster, &["--ttl", "1m"], noting("second", "0")));
        first.wait().expect(label, 0);
        assert!(!has_begun(&cluster, "second"), "{label}: the lock was free at once");
        for i in 0..3 {
            let left = cluster.pttl(i, &key_of(NAME));
            assert!(left > 0 && left <= most, "{label}: server {i} keeps the key for {left} ms");
        }
        second.wait().expect("it is over", 0);
        let between = between(&cluster, from_end);
        println!("{label}: the next got in after {between:?}");
        assert!(between >= Duration::from_millis(least), "{label}: {between:?}");
        assert!(between < Duration::from_millis(least + 1200), "{label}: {between:?}");
        order(&cluster);
        std::fs::remove_file(cluster.dir().join("journal")).expect("a journal");
        cluster.until_no_key_is_left();
    }
}

#[test]
fn nothing_is_kept_for_a_command_that_took_long_enough_or_never_ran() {
    let cluster = Cluster::start(3);
    contender(&cluster, &["--min-hold", "10ms"], ["sleep", "0.1"])
        .finish()
        .expect("it took longer", 0);
    cluster.until_no_key_is_left();
    for options in [["--min-hold", "1m"], ["--cooldown", "1m"]] {
        contender(&cluster, &options, ["/there/is/no/such"]).finish().expect("not found", 127);
        cluster.until_no_key_is_left();
    }
    for (flag, value) in
        [("--min-hold", "25h"), ("--cooldown", "25h"), ("--min-hold", "soon"), ("--cooldown", "-1")]
    {
        contender(&cluster, &[&format!("{flag}={value}")], ["true"]).finish().expect(flag, 64);
    }
}

#[test]
fn with_min_hold_on_success_a_failed_command_lets_another_host_try_at_once() {
    let cluster = Cluster::start(3);
    for (on, command, is_kept) in
        [("success", "false", false), ("success", "true", true), ("always", "false", true)]
    {
        let options = ["--ttl", "10s", "--min-hold", "30s", "--min-hold-on", on];
        let code = i32::from(command == "false");
        contender(&cluster, &options, [command]).finish().expect(command, code);
        if is_kept {
            let left = cluster.pttl(0, &key_of(NAME));
            assert!(left > 10_000, "{on}, {command}: kept for {left} ms");
            (0..3).for_each(|i| drop(cluster.cli(i, &["DEL", &key_of(NAME)])));
        }
        cluster.until_no_key_is_left();
    }
    let options = ["--min-hold", "30s", "--min-hold-on", "success", "--max-runtime", "100ms"];
    contender(&cluster, &options, ["sleep", "60"]).finish().expect("it ran for too long", 124);
    cluster.until_no_key_is_left();
}
