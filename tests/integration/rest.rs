//! What goes with waiting: a rest after the command, skipping, a random delay, and waiting without
//! taking the lock.

use crate::support::clock::{now, since, until};
use crate::support::line::{contender, has_begun, join, lengths, noting, order, turns};
use crate::support::servers::FOREIGN;
use crate::support::{Cluster, Monitor, Run, Running, hold, key_of};
use nix::sys::signal::Signal;
use std::time::Duration;

const NAME: &str = crate::support::line::NAME;

/// From the beginning, or the end, of the first turn to the beginning of the second.
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
fn who_skips_a_busy_lock_succeeds_without_a_word() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, NAME, &[]);
    let run = |options: &[&str]| {
        let start = now();
        let output = contender(&cluster, options, ["echo", "ran"]).finish();
        (output, since(start))
    };
    let (output, took) = run(&["--if-busy", "skip"]);
    output.expect("skip", 0).expect_silence("skip");
    assert!(took < Duration::from_secs(1), "it waited: {took:?}");
    let (output, took) = run(&["--if-busy", "fail"]);
    output.expect("fail", 75).expect_words("fail", &[NAME, "busy"]);
    assert!(took < Duration::from_secs(1), "it waited: {took:?}");
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

#[test]
fn a_random_delay_comes_before_anything_is_sent() {
    let cluster = Cluster::start(3);
    let monitors: Vec<_> = (0..3).map(|i| Monitor::of(&cluster, i)).collect();
    let running = contender(&cluster, &["--jitter", "1h"], ["true"]).spawn();
    // By then redlock listens to signals.
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
    assert!(
        since(start) < Duration::from_millis(1500),
        "it came {:?} after the release",
        since(start)
    );
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
fn waiting_without_taking_says_what_for_and_knows_of_slots_and_restarts() {
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
        output.stderr.contains("restarted") && output.stderr.contains("cannot vote"),
        "{}",
        output.stderr
    );
    let ttl = |length| {
        watch(&cluster, &["-w", "0", "--restart-guard", "auto"]).env("REDLOCK_TTL", length)
    };
    ttl("1h").finish().expect("they may have forgotten an hour", 69);
    (0..3).for_each(|i| cluster.stop(i));
    (0..2).for_each(|i| cluster.cont(i));
    let start = now();
    watch(&cluster, &["-w", "600ms", "--op-timeout", "5s"]).finish().expect("one hangs", 0);
    assert!(
        since(start) < Duration::from_secs(3),
        "it waited for the one that hangs: {:?}",
        since(start)
    );
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
        assert!(took < Duration::from_secs(3), "{label}: it left after {took:?} only");
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
