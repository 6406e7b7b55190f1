//! `redlock wait`: waiting until a lock is free, without taking it.

use crate::support::clock::{now, since, until};
use crate::support::line::{contender, lengths};
use crate::support::servers::FOREIGN;
use crate::support::{Cluster, Monitor, Run, Running, hold, key_of};
use nix::sys::signal::Signal;
use std::time::Duration;

const NAME: &str = crate::support::line::NAME;

/// Much longer than such a wait takes, and shorter than a lease.
const SOON: Duration = Duration::from_secs(10);

fn watch(cluster: &Cluster, options: &[&str]) -> Run {
    Run::redlock(cluster).with_default_signals().arg_line("wait", options, &[NAME])
}

fn nothing_is_taken(cluster: &Cluster) {
    assert!((0..3).all(|i| lengths(cluster)[i] == 0), "it stands in line");
}

#[test]
fn waiting_without_taking_ends_when_the_lock_is_free() {
    let cluster = Cluster::start(3);
    let monitor = Monitor::of(&cluster, 0);
    watch(&cluster, &[]).finish().expect("free", 0).expect_silence("free");
    let holder = hold(&cluster, NAME, &[]);
    let asked = |times: usize| {
        let asked = || {
            monitor
                .seen()
                .iter()
                .filter(|seen| seen.is("PTTL", &key_of(NAME)) && seen.by_script)
                .count()
        };
        let before = asked();
        until("it has looked", || asked() >= before + times);
    };
    let mut waiting = watch(&cluster, &["-q"]).spawn();
    asked(2);
    nothing_is_taken(&cluster);
    waiting.assert_goes_on("the lock is held");
    let start = now();
    holder.finish().expect("the holder", 0);
    waiting.wait().expect("free again", 0).expect_silence("free again");
    assert!(since(start) < SOON, "it came {:?} after the release", since(start));
    // A minority may get the release later.
    cluster.until_no_key_is_left();
    hold(&cluster, NAME, &["-n"]).finish().expect("it has taken nothing", 0);
    cluster.until_no_key_is_left();
    let (sets, lines) = (monitor.attempts(&key_of(NAME)).len(), monitor.seen());
    assert_eq!(sets, 2, "the holders alone tried to take it");
    assert!(
        !lines.iter().any(|seen| seen.words[0].eq_ignore_ascii_case("ZADD")),
        "somebody stood in line"
    );
}

#[test]
fn waiting_without_taking_names_the_holder_and_knows_of_slots_and_restarts() {
    let mut cluster = Cluster::start(3);
    let (options, command) = (&["-n", "--slots", "2"], ["sh", "-c", "echo ready; cat >/dev/null"]);
    let holders = [(); 2].map(|()| contender(&cluster, options, command).spawn());
    holders.iter().for_each(Running::until_ready);
    let waiting = watch(&cluster, &["--slots", "2"]).spawn();
    waiting.until_stderr("held by ");
    let [first, second] = holders;
    first.finish().expect("one of two", 0);
    let output = waiting
        .wait()
        .expect("one is free", 0)
        .expect_words("slots", &["waiting for", NAME, "(sh, ", "lease"]);
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    second.finish().expect("the other", 0);
    let output = watch(&cluster, &["-w", "0", "--restart-guard", "1h"])
        .finish()
        .expect("they have just started", 69);
    assert!(
        output.stderr.contains("servers that have just started do not vote for another"),
        "{}",
        output.stderr
    );
    let ttl = |length| {
        watch(&cluster, &["-w", "0", "--restart-guard", "auto"]).env("REDLOCK_TTL", length)
    };
    ttl("1h").finish().expect("they may have forgotten an hour", 69);
    (0..3).for_each(|i| cluster.stop(i));
    (0..2).for_each(|i| cluster.cont(i));
    // If the wait depended on the server that hangs, it would take longer.
    watch(&cluster, &["-w", "5s", "--op-timeout", "10s"]).finish().expect("one hangs", 0);
    cluster.cont(2);
}

#[test]
fn waiting_without_taking_ends_when_its_time_is_over() {
    let mut cluster = Cluster::start(3);
    (0..2).for_each(|i| cluster.occupy(i, &key_of(NAME)));
    let ends = |cluster: &Cluster, label: &str, code: i32| {
        let start = now();
        let output = watch(cluster, &["-w", "700ms"]).finish().expect(label, code);
        let took = since(start);
        assert!(took >= Duration::from_millis(700), "{label}: it left after {took:?}");
        assert!(took < SOON, "{label}: it left after {took:?} only");
        output
    };
    ends(&cluster, "busy", 75).expect_words("busy", &[NAME, "busy"]);
    assert_eq!(
        cluster.get(0, &key_of(NAME)).as_deref(),
        Some(FOREIGN),
        "the holder's key was touched"
    );
    let waiting: Running = watch(&cluster, &[]).spawn();
    until("it runs", || !cluster.processes().is_empty());
    waiting.signal(Signal::SIGTERM);
    waiting.wait().expect_death("it waits", Signal::SIGTERM);
    (0..2).for_each(|i| cluster.kill(i));
    ends(&cluster, "no quorum", 69).expect_words("no quorum", &["no quorum", NAME]);
    for options in [&["--key", "k", NAME][..], &[]] {
        let run = Run::redlock(&cluster).args(["wait"]).args(options);
        run.finish().expect("a name or a key", 64);
    }
}
