//! The queue under faults: a dead or frozen waiter holds up no other, and no two commands run at
//! once.

use crate::support::clock::{now, since, until};
use crate::support::line::{
    SHORT, all_have_their_turn, contender, has_begun, join, lengths, line_of, noting, numbers,
    order,
};
use crate::support::proxy::{Fate, Proxy, Way};
use crate::support::run::HOLD;
use crate::support::servers::FOREIGN;
use crate::support::{Cluster, hold, key_of};
use nix::sys::signal::Signal;
use std::time::Duration;

const NAME: &str = crate::support::line::NAME;

/// Waits until this run has its turn, and checks that it has it within `limit`.
fn has_its_turn_within(cluster: &Cluster, label: &str, limit: Duration) {
    let start = now();
    until(&format!("{label} has its turn"), || has_begun(cluster, label));
    let took = since(start);
    println!("{label} has its turn after {took:?}, of {limit:?}");
    assert!(took < limit, "{label} has its turn after {took:?}");
}

#[test]
fn a_run_that_is_killed_in_the_queue_holds_up_no_other() {
    let cluster = Cluster::start(5);
    let holder = hold(&cluster, NAME, &[]);
    let waiting = line_of(&cluster, &[], 10);
    let mut others = vec![];
    for (number, running) in waiting.into_iter().enumerate() {
        if number % 2 == 0 || number < 5 {
            running.signal(Signal::SIGKILL);
            running.wait().expect_death("killed in line", Signal::SIGKILL);
        } else {
            others.push(running);
        }
    }
    let start = now();
    holder.finish().expect("the holder", 0);
    has_its_turn_within(&cluster, "5", Duration::from_secs(1));
    all_have_their_turn(&cluster, others, [5, 7, 9]);
    println!("three hand-overs past seven dead ones took {:?}", since(start));
    cluster.until_no_key_is_left();
}

#[test]
fn the_first_in_line_follows_a_killed_holder_when_its_lease_is_over_and_the_rest_follow() {
    let cluster = Cluster::start(5);
    let holder = hold(&cluster, NAME, &["--ttl", "3s"]);
    let waiting = line_of(&cluster, &["--ttl", "3s"], 3);
    holder.signal(Signal::SIGKILL);
    holder.wait().expect_death("killed while it holds", Signal::SIGKILL);
    has_its_turn_within(&cluster, "0", Duration::from_millis(3500));
    all_have_their_turn(&cluster, waiting, 0..3);
    cluster.until_no_key_is_left();
}

#[test]
fn a_run_behind_many_dead_ones_gets_in_soon_after_the_lease_of_a_dead_holder() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, NAME, &["--ttl", "10s"]);
    let dead = line_of(&cluster, &[], 6);
    let waiting = join(&cluster, contender(&cluster, &[], noting("alive", SHORT)));
    for running in dead.into_iter().chain([holder]) {
        running.signal(Signal::SIGKILL);
        running.wait().expect_death("killed", Signal::SIGKILL);
    }
    has_its_turn_within(&cluster, "alive", Duration::from_secs(12));
    waiting.wait().expect("its turn", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_run_that_becomes_the_first_in_the_queue_notices_a_release_by_another_client() {
    let cluster = Cluster::start(3);
    let key = key_of(NAME);
    (0..3).for_each(|i| cluster.occupy(i, &key));
    let first = join(&cluster, contender(&cluster, &["--key", &key], HOLD));
    let second = join(&cluster, contender(&cluster, &["--key", &key], noting("second", SHORT)));
    first.signal(Signal::SIGTERM);
    first.wait().expect_death("it leaves", Signal::SIGTERM);
    (0..3).for_each(|i| drop(cluster.cli(i, &["DEL", &key])));
    has_its_turn_within(&cluster, "second", Duration::from_secs(4));
    second.wait().expect("its turn", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_run_that_misses_its_wake_up_looks_when_the_lease_is_over() {
    let cluster = Cluster::start(3);
    let proxies: Vec<_> = (0..3).map(|i| Proxy::before(cluster.port(i))).collect();
    let urls = proxies.iter().map(Proxy::url).collect::<Vec<_>>().join(",");
    let set = |fate| proxies.iter().for_each(|proxy| proxy.set(Way::Replies, fate));
    for label in ["lost", "cut"] {
        let holder = hold(&cluster, NAME, &["--ttl", "2s"]);
        let run =
            contender(&cluster, &["--ttl", "2s"], noting(label, SHORT)).env("REDLOCK_URLS", &urls);
        let waiting = join(&cluster, run);
        match label {
            "lost" => set(Fate::Drop),
            _ => proxies.iter().for_each(Proxy::reset),
        }
        holder.finish().expect("the holder", 0);
        until("it was woken in vain", || lengths(&cluster) == [0; 3]);
        set(Fate::Pass);
        has_its_turn_within(&cluster, label, Duration::from_millis(3500));
        waiting.wait().expect(label, 0);
        cluster.until_no_key_is_left();
    }
}

#[test]
fn a_run_that_is_disconnected_in_the_queue_takes_its_place_again_and_is_woken() {
    let cluster = Cluster::start(3);
    // Without a wake-up the next poll is half a minute away.
    let holder = hold(&cluster, NAME, &["--ttl", "2m"]);
    let waiting = join(&cluster, contender(&cluster, &["--ttl", "2m"], noting("cut", SHORT)));
    let listens =
        || (0..3).all(|i| !cluster.ask::<Vec<String>>(i, &["PUBSUB", "CHANNELS"]).is_empty());
    for _ in 0..3 {
        until("it listens on each server", listens);
        for kind in ["normal", "pubsub"] {
            (0..3).for_each(|i| drop(cluster.cli(i, &["CLIENT", "KILL", "TYPE", kind])));
        }
    }
    until("it listens again on each server", listens);
    until("it stands in line", || lengths(&cluster) == [1; 3]);
    holder.finish().expect("the holder", 0);
    has_its_turn_within(&cluster, "cut", Duration::from_secs(10));
    waiting.wait().expect("its turn", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn one_server_that_restarts_empty_holds_up_no_run() {
    let mut cluster = Cluster::start(5);
    let holder = hold(&cluster, NAME, &[]);
    let waiting = line_of(&cluster, &[], 4);
    cluster.restart(0);
    holder.finish().expect("the holder", 0);
    all_have_their_turn(&cluster, waiting, 0..4);
    cluster.until_no_key_is_left();
}

#[test]
fn two_of_five_servers_that_hang_hold_up_no_run() {
    let mut cluster = Cluster::start(5);
    let holder = hold(&cluster, NAME, &["--ttl", "1m"]);
    let waiting = line_of(&cluster, &["--ttl", "1m"], 4);
    (0..2).for_each(|i| cluster.stop(i));
    holder.finish().expect("the holder", 0);
    all_have_their_turn(&cluster, waiting, 0..4);
    (0..2).for_each(|i| cluster.cont(i));
    cluster.until_no_key_is_left();
}

#[test]
fn another_client_that_wakes_no_run_is_noticed_by_the_first_in_the_queue() {
    let cluster = Cluster::start(3);
    let key = key_of(NAME);
    let take = |lease: &str| {
        (0..2).for_each(|i| drop(cluster.cli(i, &["SET", &key, FOREIGN, "NX", "PX", lease])));
    };
    take("60000");
    let options = ["--key", &key];
    let waiting = line_of(&cluster, &options, 2);
    (0..2).for_each(|i| drop(cluster.cli(i, &["DEL", &key])));
    has_its_turn_within(&cluster, "0", Duration::from_millis(1200));
    for running in waiting {
        running.wait().expect("its turn", 0);
    }
    take("1500");
    let waiting = join(&cluster, contender(&cluster, &options, noting("2", SHORT)));
    until("its key has expired", || cluster.get(0, &key).is_none_or(|value| value != FOREIGN));
    has_its_turn_within(&cluster, "2", Duration::from_millis(1200));
    waiting.wait().expect("its turn", 0);
    // The second run in the queue polls too, if less often, and may be the one that sees the free
    // key.
    let mut served = order(&cluster);
    served.sort();
    assert_eq!(served, numbers(0..3));
    cluster.until_no_key_is_left();
}

#[test]
fn a_user_without_the_rights_to_the_queue_gets_in_and_harms_no_run_in_the_queue() {
    let cluster = Cluster::start(3);
    let all = "on >pw +@all -@dangerous +info resetchannels ~redlock:*";
    for (user, keys) in [("bare", None), ("deaf", Some("~redlock-queue:*"))] {
        for i in 0..3 {
            let words: Vec<_> =
                ["ACL", "SETUSER", user].into_iter().chain(all.split(' ')).chain(keys).collect();
            cluster.cli(i, &words);
        }
        let limited = |command: [String; 3]| {
            let run = contender(&cluster, &["--ttl", "2s"], command);
            run.env("REDLOCK_USER", user).env("REDLOCK_PASSWORD", "pw")
        };
        let [alone, waits] =
            ["alone", "waits"].map(|label| noting(&format!("{user}-{label}"), "0.1"));
        limited(alone).finish().expect("it acquires and releases", 0).expect_silence(user);

        // The limited run waits outside of the queue, and a later run in the queue. A release wakes
        // the later one, and nothing must keep it from the lock.
        let holder = hold(&cluster, NAME, &[]);
        let poor = limited(waits).spawn();
        poor.until_stderr("waiting for");
        let rich = join(&cluster, contender(&cluster, &[], noting("rich", "0.1")));
        let start = now();
        holder.finish().expect("the holder", 0);
        poor.wait().expect("it gets in", 0);
        rich.wait().expect("so does the other", 0);
        println!("{user}: both had their turn within {:?}", since(start));
        assert!(since(start) < Duration::from_secs(2), "{user}: it took {:?}", since(start));

        // The release of a limited run can wake no run. The first in the queue keeps its place and
        // notices by its polls.
        let poor = limited(HOLD.map(Into::into)).spawn();
        poor.until_ready();
        let behind = join(&cluster, contender(&cluster, &["--ttl", "1m"], noting("behind", "0")));
        poor.finish().expect("it holds and releases", 0);
        let keeps_its_place = lengths(&cluster) == [1; 3] || has_begun(&cluster, "behind");
        assert!(keeps_its_place, "{user}: the run that it could not wake lost its place");
        println!("the next one after a run as {user}");
        has_its_turn_within(&cluster, "behind", Duration::from_secs(3));
        behind.wait().expect("after it", 0);
        order(&cluster);
        std::fs::remove_file(cluster.dir().join("journal")).expect("a journal");
        cluster.until_no_key_is_left();
    }
}

#[test]
fn a_run_that_is_interrupted_in_the_queue_leaves_without_a_trace() {
    let cluster = Cluster::start(5);
    let holder = hold(&cluster, NAME, &[]);
    let before = join(&cluster, contender(&cluster, &[], noting("before", SHORT)));
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let leaving = join(&cluster, contender(&cluster, &[], noting("leaving", SHORT)));
        leaving.signal(signal);
        leaving.wait().expect_death("it waits", signal);
        until("its place is gone", || lengths(&cluster) == [1; 5]);
    }
    holder.finish().expect("the holder", 0);
    before.wait().expect("its turn", 0);
    assert_eq!(order(&cluster), ["before"]);
    cluster.until_no_key_is_left();
}

#[test]
fn a_wake_up_for_one_that_is_leaving_reaches_the_next() {
    let cluster = Cluster::start(5);
    let wait = || join(&cluster, contender(&cluster, &["-q"], HOLD));
    let mut holder = hold(&cluster, NAME, &[]);
    let mut slowest = Duration::ZERO;
    for round in 0..20 {
        let (leaving, next) = (wait(), wait());
        let start = now();
        // Alternately, so that each is first in some rounds.
        if round % 2 == 0 {
            holder.let_go();
        }
        leaving.signal(Signal::SIGTERM);
        holder.let_go();
        next.until_ready();
        let took = since(start);
        slowest = slowest.max(took);
        assert!(
            took < Duration::from_secs(1),
            "round {round}: the wake-up was lost, it took {took:?}"
        );
        leaving.wait().expect_death("it leaves", Signal::SIGTERM);
        holder.wait().expect("the holder", 0);
        holder = next;
    }
    println!("the slowest of 20 took {slowest:?}");
    holder.finish().expect("the last", 0);
    cluster.until_no_key_is_left();
}
