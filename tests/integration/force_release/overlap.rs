//! A forced release never has two commands at once, whatever happens to the holder, and never takes
//! a lock from the next holder. Only `--now` may have two.

use super::{NAME, force_release, holder_id};
use crate::support::clock::let_pass;
use crate::support::life::{assert_never_both, life, living, overlap};
use crate::support::prober::Prober;
use crate::support::processes::{self, children, send, state};
use crate::support::{Cluster, Run, Running, key_of, until};
use nix::sys::signal::Signal;
use std::time::Duration;

/// A run whose command notes how long it lives.
fn alive(cluster: &Cluster, label: &str, ttl: &str) -> Running {
    let run = Run::redlock(cluster).args(["run", "--ttl", ttl, NAME, "--"]);
    run.args(living(label)).spawn()
}

/// Starts a holder, does `harm` to it, takes its lock away, and runs the next one.
fn next_one_after(cluster: &Cluster, harm: impl FnOnce(&Running), back: impl FnOnce(&Running)) {
    let holder = alive(cluster, "old", "2s");
    holder.until_ready();
    let id = holder_id(cluster, &[NAME]);
    let next = alive(cluster, "new", "2s");
    harm(&holder);
    force_release(cluster, &["--id", &id, "-y"]).finish().expect("taken away", 0);
    next.until_ready();
    back(&holder);
    until("it lives", || life(cluster, "new").is_some_and(|(from, to)| to > from));
    holder.wait().expect("the holder", 74);
    next.finish().expect("the next one", 0);
    assert_never_both(cluster, "old", "new");
    cluster.until_no_key_is_left();
}

/// The process and all its descendants, itself first.
fn tree(pid: i32) -> Vec<i32> {
    let mut all = vec![pid];
    let mut at = 0;
    while at < all.len() {
        all.extend(children(all[at]));
        at += 1;
    }
    all
}

#[test]
fn a_command_that_does_not_obey_is_dead_before_the_next_one_runs() {
    next_one_after(&Cluster::start(3), |_| {}, |_| {});
}

#[test]
fn a_holder_that_is_stopped_has_no_command_when_the_next_one_runs() {
    let stop = |holder: &Running| holder.signal(Signal::SIGSTOP);
    let cont = |holder: &Running| holder.signal(Signal::SIGCONT);
    next_one_after(&Cluster::start(3), stop, cont);
}

#[test]
fn a_holder_that_is_frozen_with_its_guardian_and_its_command_is_outlived() {
    let freeze = |holder: &Running| {
        for pid in tree(holder.pid()) {
            send(pid, Signal::SIGSTOP);
            until("it has stopped", || state(pid) == Some('T'));
        }
    };
    let thaw = |holder: &Running| {
        // The guardian is continued first: otherwise the command would live for a moment after the
        // pause.
        let [redlock, guardian, command] = tree(holder.pid())[..] else { panic!("three") };
        send(guardian, Signal::SIGCONT);
        until("it has killed the command", || !processes::alive(command));
        send(redlock, Signal::SIGCONT);
    };
    next_one_after(&Cluster::start(3), freeze, thaw);
}

#[test]
fn a_redlock_that_does_not_know_revocations_keeps_its_name_for_its_lease() {
    // Only the requests of such a redlock: extend and release a key that has its value.
    let cluster = Cluster::start(3);
    let value = "{\"v\":1,\"id\":\"4fa2c1d09e7b\",\"token\":\"00\",\"owner\":\"deploy@web1\",\"pid\":42,\
                 \"cmd\":\"migrate.sh\",\"since\":1700000000,\"ttl_ms\":3000,\"n\":3}";
    let set = |i| drop(cluster.cli(i, &["SET", &key_of(NAME), value, "PX", "3000"]));
    (0..3).for_each(set);
    let eval = |script: &str, i: usize| -> i64 {
        cluster.ask(i, &["EVAL", script, "1", &key_of(NAME), value])
    };
    let before = cluster.pttl(0, &key_of(NAME));
    let prober = Prober::of(&cluster, &key_of(NAME));
    let run = force_release(&cluster, &["--id", "4fa2c1d09e7b", "-y"]);
    run.finish().expect("taken away", 0);
    let after = cluster.pttl(0, &key_of(NAME));
    assert!(after <= before && after > 0, "{before} {after}");
    for i in 0..3 {
        let extend = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
                      return redis.call('PEXPIRE', KEYS[1], 60000) end return -1";
        let release = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
                       return redis.call('DEL', KEYS[1]) end return -1";
        assert_eq!((eval(extend, i), eval(release, i)), (-1, -1), "it finds another value");
        let value = cluster.get(i, &key_of(NAME)).unwrap();
        assert!(!prober.has_won() && value.starts_with("{\"revoked\":"), "{value}");
    }
    until("the lease is over", || prober.has_won());
}

#[test]
fn a_holder_that_is_cut_off_is_dead_before_the_next_one_runs() {
    use crate::support::proxy::{Fate, Proxy};
    let cluster = Cluster::start(3);
    let proxies: Vec<Proxy> = (0..3).map(|i| Proxy::before(cluster.port(i))).collect();
    let urls = proxies.iter().map(Proxy::url).collect::<Vec<_>>().join(",");
    let run = Run::redlock(&cluster).env("REDLOCK_URLS", urls).args(["run", "--ttl", "2s", NAME]);
    let holder = run.args(["--"]).args(living("old")).spawn();
    holder.until_ready();
    let id = holder_id(&cluster, &[NAME]);
    for proxy in &proxies {
        proxy.set_open(Fate::Hold);
    }
    force_release(&cluster, &["--id", &id, "-y"]).finish().expect("taken away", 0);
    // The holder names the servers by other addresses than the cluster. A redlock would disagree,
    // so a prober takes the lock.
    let prober = Prober::of(&cluster, &key_of(NAME));
    holder.wait().expect("cut off", 74);
    let (_, dead) = life(&cluster, "old").unwrap();
    until("it is free", || prober.has_won());
    assert!(prober.first().unwrap() > dead);
}

#[test]
fn with_now_the_next_one_runs_beside_a_command_that_is_still_alive() {
    let cluster = Cluster::start(3);
    let holder = alive(&cluster, "old", "1m");
    holder.until_ready();
    let id = holder_id(&cluster, &[NAME]);
    let next = alive(&cluster, "new", "1m");
    let text = force_release(&cluster, &["--id", &id, "-y", "--now"]).finish();
    let text = text.expect("at once", 0).out();
    assert!(text.contains("the next one runs beside it"), "{text}");
    next.until_ready();
    until("both live", || !overlap(&cluster, "old", "new").is_zero());
    holder.finish().expect("it did not hear of it", 0);
    next.finish().expect("the next one", 0);
    cluster.until_no_key_is_left();
}

/// 50 races; `REDLOCK_TEST_RACES=1000` has more.
#[test]
fn a_lock_that_is_just_handed_over_is_never_taken_from_the_next_one() {
    let cluster = Cluster::start(3);
    let races = std::env::var("REDLOCK_TEST_RACES").ok();
    let races: usize = races.map_or(50, |races| races.parse().expect("a number of races"));
    let start = || {
        let script = "echo id=$REDLOCK_ID; echo ready; cat >/dev/null";
        let run = Run::redlock(&cluster).args(["run", "--ttl", "30s", NAME, "--", "sh", "-c"]);
        run.args([script]).spawn()
    };
    let mut holder = start();
    let mut outcomes = [0; 3];
    for race in 0..races {
        holder.until_ready();
        let id =
            holder.stdout().lines().find_map(|line| Some(line.strip_prefix("id=")?.to_owned()));
        let id = id.expect("an id");
        let next = start();
        until("it stands in line", || (0..3).all(|i| cluster.in_line(i, &key_of(NAME)) > 0));
        // At a random moment of the handover, which takes some milliseconds, as the start of a
        // process does.
        let release = || force_release(&cluster, &["--id", &id, "-y", "--json"]).spawn();
        let delay = Duration::from_micros(700 * (race as u64 % 20));
        let operator = if race % 2 == 0 {
            let operator = release();
            let_pass(delay);
            holder.let_go();
            operator
        } else {
            holder.let_go();
            let_pass(delay / 4);
            release()
        };
        let operator = operator.wait();
        let code = operator.status.code();
        outcomes[[Some(0), Some(75), Some(69)].iter().position(|known| *known == code).unwrap()] +=
            1;
        let code = holder.wait().status.code();
        assert!(matches!(code, Some(0 | 74)), "race {race}: the holder ended with {code:?}");
        next.until_ready();
        for i in 0..3 {
            let value = cluster.get(i, &key_of(NAME)).unwrap_or_default();
            assert!(!value.starts_with("{\"revoked\":"), "race {race}: the next one has {value}");
        }
        holder = next;
    }
    println!("taken away or free, held by the next one, undetermined: {outcomes:?}");
    holder.finish().expect("the last one", 0);
    cluster.until_no_key_is_left();
}
