//! The queue of waiters: first come, first served; one release wakes one; the others send nothing.

use crate::support::calls::{calls, reset, total};
use crate::support::clock::{let_pass, now, since, until, until_some};
use crate::support::line::{
    SHORT, all_have_their_turn, contender, first, has_begun, join, lengths, line_of, noting, order,
};
use crate::support::run::HOLD;
use crate::support::{Cluster, Monitor, hold, key_of};
use nix::sys::signal::Signal;
use std::time::Duration;

const NAME: &str = crate::support::line::NAME;
const WAITERS: usize = 200;

#[test]
fn waiting_runs_are_served_first_come_first_served() {
    let cluster = Cluster::start(5);
    let holder = hold(&cluster, NAME, &[]);
    let waiting = line_of(&cluster, &[], 10);
    for i in 0..5 {
        let left = cluster.pttl(i, &format!("redlock-queue:{}", key_of(NAME)));
        assert!(
            (1..=3_600_000).contains(&left),
            "server {i} would keep the queue of the dead for {left} ms"
        );
    }
    holder.finish().expect("the holder", 0);
    all_have_their_turn(&cluster, waiting, 0..10);
    cluster.until_no_key_is_left();
}

#[test]
fn one_release_wakes_one_of_two_hundred_and_the_others_send_nothing() {
    let cluster = Cluster::start_alone(5);
    let mut holder = hold(&cluster, NAME, &["--ttl", "5m"]);
    let start = now();
    let wait = || contender(&cluster, &["-q", "--ttl", "5m"], HOLD).spawn();
    let mut waiting = vec![];
    while waiting.len() < WAITERS {
        waiting.extend((0..10).map(|_| wait()));
        until("they stand in line", || lengths(&cluster) == [waiting.len(); 5]);
    }
    println!("{WAITERS} stood in line after {:?}", since(start));

    reset(&cluster);
    let_pass(Duration::from_secs(6));
    assert_eq!(total(&cluster), 0, "an idle waiter sends nothing: {:?}", calls(&cluster, 0));

    // The runs came at once, so only the queue knows which is first.
    let mut costs = vec![];
    for round in 0..10 {
        reset(&cluster);
        holder.finish().expect("the holder", 0);
        let next = until_some("one has the lock", || {
            waiting.iter().position(|one| one.stdout().contains("ready"))
        });
        holder = waiting.swap_remove(next);
        // If the SET of the next run comes before the release, there is no run left to wake.
        until("all have heard of it", || {
            let all: Vec<_> = (0..5).map(|i| calls(&cluster, i)).collect();
            let woke = all.iter().filter(|calls| calls.contains_key("zpopmin")).count();
            woke >= 3
                && all
                    .iter()
                    .all(|calls| ["eval", "set"].iter().all(|name| calls.contains_key(*name)))
        });
        let seen: Vec<_> = (0..5).map(|i| calls(&cluster, i)).collect();
        let most =
            |name: &str| seen.iter().map(|calls| calls.get(name).copied().unwrap_or(0)).max();
        assert_eq!(
            most("publish"),
            Some(1),
            "round {round}: one is woken on each server: {seen:?}"
        );
        assert!(
            most("set") <= Some(2) && most("zadd") <= Some(1),
            "round {round}: only one tries: {seen:?}"
        );
        costs.push(total(&cluster));
    }
    costs.sort_unstable();
    println!("commands for one hand-over, on five servers, those in scripts too: {costs:?}");
    assert!(costs[costs.len() / 2] <= 40, "a hand-over costs too much: {costs:?}");

    let start = now();
    waiting.iter_mut().for_each(crate::support::Running::let_go);
    holder.finish().expect("the holder", 0);
    let left = waiting.len();
    for running in waiting {
        running.wait_within(Duration::from_secs(60)).expect("its turn", 0);
    }
    println!("{left} hand-overs took {:?}", since(start));
    cluster.until_no_key_is_left();
}

#[test]
fn a_run_that_gets_in_at_once_never_stands_in_the_queue() {
    let cluster = Cluster::start(5);
    let monitor = Monitor::of(&cluster, 0);
    contender(&cluster, &[], ["true"]).finish().expect("free", 0);
    until("it has left", || monitor.seen().iter().any(|seen| seen.is("DEL", &key_of(NAME))));
    for seen in monitor.seen() {
        let word = seen.words[0].to_uppercase();
        assert!(!["SUBSCRIBE", "ZADD", "PUBLISH"].contains(&word.as_str()), "{seen:?}");
    }
    cluster.until_no_key_is_left();
}

#[test]
fn a_newcomer_may_get_in_first_and_the_woken_one_keeps_its_place() {
    let cluster = Cluster::start(5);
    let holder = hold(&cluster, NAME, &["--ttl", "1m"]);
    let woken = join(&cluster, contender(&cluster, &[], noting("first", SHORT)));
    let place = first(&cluster, 0).expect("it stands in line");
    let other = join(&cluster, contender(&cluster, &[], noting("second", SHORT)));
    // The woken run is stopped, so that the newcomer is certainly faster.
    woken.signal(Signal::SIGSTOP);
    holder.finish().expect("the holder", 0);
    let newcomer = hold(&cluster, NAME, &["--ttl", "1m"]);
    woken.signal(Signal::SIGCONT);
    until("it stands in line again", || {
        (0..5).all(|i| first(&cluster, i).as_ref() == Some(&place))
    });
    assert_eq!(lengths(&cluster), [2; 5]);
    newcomer.finish().expect("the newcomer", 0);
    woken.wait().expect("the first in line", 0);
    other.wait().expect("the second", 0);
    assert_eq!(order(&cluster), ["first", "second"]);
    cluster.until_no_key_is_left();
}

#[test]
fn one_that_is_frozen_in_line_swallows_one_wake_up_and_no_more() {
    let cluster = Cluster::start(5);
    let holder = hold(&cluster, NAME, &["--ttl", "2s"]);
    let frozen = join(&cluster, contender(&cluster, &["--ttl", "1m"], noting("frozen", SHORT)));
    frozen.signal(Signal::SIGSTOP);
    let second = join(&cluster, contender(&cluster, &["--ttl", "1m"], HOLD));
    let third = join(&cluster, contender(&cluster, &["--ttl", "1m"], noting("third", SHORT)));
    let start = now();
    holder.finish().expect("the holder", 0);
    second.until_ready();
    let took = since(start);
    println!("the one behind a frozen one got in after {took:?}");
    assert!(
        took < Duration::from_secs(5),
        "it got in {took:?} later, where the holder's lease was two seconds"
    );
    let start = now();
    second.finish().expect("the second", 0);
    third.wait().expect("the third", 0);
    let took = since(start);
    assert!(took < Duration::from_secs(1), "another wake-up was lost: {took:?}");
    frozen.signal(Signal::SIGCONT);
    frozen.wait().expect("it goes on", 0);
    assert_eq!(order(&cluster), ["third", "frozen"]);
    cluster.until_no_key_is_left();
}

#[test]
fn a_run_that_waits_for_a_holder_while_memory_is_full_does_not_hammer() {
    let cluster = Cluster::start(3);
    let monitor = Monitor::of(&cluster, 0);
    let holder = hold(&cluster, NAME, &["--ttl", "1m"]);
    (0..3).for_each(|i| drop(cluster.cli(i, &["CONFIG", "SET", "maxmemory", "1"])));
    let waiting = contender(&cluster, &[], noting("waiting", SHORT)).spawn();
    // A waiting run prints its message after a second.
    waiting.until_stderr("waiting for");
    let attempts = monitor.seen().iter().filter(|seen| seen.is("PTTL", &key_of(NAME))).count();
    assert!(attempts <= 6, "it looked {attempts} times in a second");
    holder.finish().expect("a full memory keeps no run from releasing", 0);
    (0..3).for_each(|i| drop(cluster.cli(i, &["CONFIG", "SET", "maxmemory", "0"])));
    waiting.wait().expect("there is room again", 0);
    assert!(has_begun(&cluster, "waiting"));
    cluster.until_no_key_is_left();
}

#[test]
fn a_run_that_waits_while_two_of_five_servers_are_dead_stands_in_the_queue_on_the_others() {
    let mut cluster = Cluster::start(5);
    (0..2).for_each(|i| cluster.kill(i));
    let monitor = Monitor::of(&cluster, 2);
    let holder = hold(&cluster, NAME, &["--ttl", "1m"]);
    let waiting = line_of(&cluster, &[], 2);
    // A waiting run prints its message after a second.
    for running in &waiting {
        running.until_stderr("held by");
    }
    let attempts = monitor.attempts(&key_of(NAME)).len();
    assert_eq!(attempts, 3, "each tries once");
    holder.finish().expect("the holder", 0);
    all_have_their_turn(&cluster, waiting, 0..2);
    cluster.until_no_key_is_left();
}
