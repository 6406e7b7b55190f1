//! Two of three servers restart empty, and their uptime is wrong, late or missing. The holder has
//! no connection to them and runs until its deadline; the contender gets no vote before that.

use super::{KEY, Stage};
use crate::support::clock::{now, since};
use crate::support::life::{self, assert_never_both};
use crate::support::proxy::Proxy;
use crate::support::{Cluster, Monitor, Run, Running, until};
use nix::sys::signal::Signal;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

/// The servers that restart empty.
const LOST: [usize; 2] = [1, 2];

impl Stage {
    /// A holder that was just extended, and is then cut off from the servers that are to restart.
    fn cut_off_holder(&self, options: &[&str]) -> Running {
        let monitors = LOST.map(|i| Monitor::of(&self.cluster, i));
        let holder = self.holder(options);
        for monitor in &monitors {
            monitor.until_extended(KEY, 1);
        }
        self.cut_off(LOST);
        holder
    }

    /// A contender whose restart guard is on.
    fn guarded(&self, options: &[&str]) -> Running {
        self.run("contender", options).without("REDLOCK_RESTART_GUARD").spawn()
    }

    /// The holder loses the lock, and only then does the contender acquire the lock.
    fn is_lost_before_the_contender_is_in(&self, label: &str, holder: Running, contender: Running) {
        holder.wait().expect(label, 74);
        contender.until_ready();
        contender.finish().expect(label, 0);
        assert_never_both(&self.cluster, "holder", "contender");
    }
}

/// Before the rule, the two commands lived at once for 1.6 s.
#[test]
fn an_uptime_that_was_told_late_counts_from_when_it_was_told() {
    let mut stage = Stage::new();
    let holder = stage.cut_off_holder(&["--ttl", "6s"]);
    for i in LOST {
        stage.cluster.restart(i);
        stage.cluster.stop(i);
    }
    let contender = stage.guarded(&["--ttl", "6s", "--restart-guard", "6s"]);
    let begun = now();
    until("they have hung for four seconds", || since(begun) > Duration::from_secs(4));
    for i in LOST {
        stage.cluster.cont(i);
    }
    stage.is_lost_before_the_contender_is_in("the first answer came late", holder, contender);
}

/// Before the rule, the two commands lived at once for 4.6 s.
#[test]
fn a_server_that_was_too_busy_to_say_for_how_long_it_is_up_has_no_vote() {
    let mut stage = Stage::new();
    let holder = stage.cut_off_holder(&["--ttl", "5s"]);
    let mut busy = vec![];
    for i in LOST {
        stage.cluster.restart(i);
        stage.cluster.cli(i, &["CONFIG", "SET", "lua-time-limit", "20"]);
        let mut client =
            TcpStream::connect(("127.0.0.1", stage.cluster.port(i))).expect("the server listens");
        client.write_all(b"EVAL \"while true do end\" 0\r\n").expect("the server reads");
        busy.push(client);
        until("it is busy", || {
            stage.cluster.try_ask(i, &["PING"]).is_err_and(|error| error.contains("BUSY"))
        });
    }
    let proxies: Vec<_> = (0..3).map(|i| Proxy::before(stage.cluster.port(i))).collect();
    let urls = proxies.iter().map(Proxy::url).collect::<Vec<_>>().join(",");
    let run = stage
        .run("contender", &["--ttl", "5s", "--restart-guard", "5s"])
        .without("REDLOCK_RESTART_GUARD");
    let contender = run.env("REDLOCK_URLS", urls).spawn();
    for i in LOST {
        proxies[i].until_replied();
    }
    for i in LOST {
        drop(stage.cluster.cli(i, &["SCRIPT", "KILL"]));
    }
    stage.is_lost_before_the_contender_is_in("the first answer was BUSY", holder, contender);
}

/// For a user without the right to INFO there is no guard, since no later request would be answered
/// either. Before the rule, only `-v` said so.
#[test]
fn a_right_to_info_that_is_missing_turns_the_guard_off_and_is_said() {
    let stage = Stage::new();
    for i in 0..3 {
        stage.cluster.cli(i, &["ACL", "SETUSER", "default", "-info"]);
    }
    let output = stage.guarded(&["-n", "--restart-guard", "1h"]).finish();
    output.expect("its votes count", 0).expect_words("and it is said why", &["info"]);
}

/// Waits until the servers have been up for more than a guard of 3 s, and for one attempt after
/// that.
fn until_a_short_guard_is_over(stage: &Stage) {
    until("the guard is over", || LOST.iter().all(|&i| stage.cluster.uptime(i) >= 7));
}

/// Before the rule, the two commands lived at once for 3.8 s, until the holder ended.
#[test]
fn the_guard_of_a_short_ttl_covers_the_lease_of_a_long_one() {
    let mut stage = Stage::new();
    let mut holder = stage.holder(&["--ttl", "60s"]);
    stage.cut_off(LOST);
    for i in LOST {
        stage.cluster.restart(i);
    }
    let contender = stage.guarded(&["--ttl", "3s", "-w", "30s"]);
    until_a_short_guard_is_over(&stage);
    holder.assert_goes_on("nothing was lost that it could know of");
    holder.finish().expect("it held the lock throughout", 0);
    contender.signal(Signal::SIGTERM);
    drop(contender.finish());
    assert_never_both(&stage.cluster, "holder", "contender");
}

/// Before the rule, the contender got in after the guard of its own TTL, long before the keys would
/// have expired.
#[test]
fn the_guard_of_a_short_ttl_covers_a_lock_that_is_kept_after_a_run() {
    let table = [
        ("--min-hold", "a command that was over at once"),
        ("--cooldown", "a pause after the command"),
    ];
    for (option, label) in table {
        let mut stage = Stage::new();
        let options = ["--ttl", "3s", option, "60s"];
        let holder = stage.holder(&options);
        holder.finish().expect(label, 0);
        assert!((0..3).all(|i| stage.cluster.pttl(i, KEY) > 40_000), "{label}: the key is kept");
        for i in LOST {
            stage.cluster.restart(i);
        }
        let contender = stage.guarded(&["--ttl", "3s", "-w", "30s"]);
        until_a_short_guard_is_over(&stage);
        contender.signal(Signal::SIGTERM);
        drop(contender.finish());
        assert_eq!(
            life::life(&stage.cluster, "contender"),
            None,
            "{label}: another was in after a restart"
        );
        assert!(
            stage.cluster.pttl(0, KEY) > 30_000,
            "{label}: the key is kept where nothing was lost"
        );
    }
}

/// Two servers restart empty, and then their wall clock is set.
fn an_uptime_by_a_clock_that_was_set(seconds: i64, label: &str) {
    let mut stage = Stage::new();
    let holder = stage.cut_off_holder(&["--ttl", "5s"]);
    for i in LOST {
        stage.cluster.restart_with_clock(i);
        stage.cluster.set_clock(i, seconds);
        until("its uptime is wrong", || stage.cluster.uptime(i).abs() > 1_000);
    }
    let contender = stage.guarded(&["--ttl", "5s", "--restart-guard", "5s"]);
    stage.is_lost_before_the_contender_is_in(label, holder, contender);
}

/// Before the rule, the two commands lived at once for 4.4 s.
#[test]
fn an_uptime_by_a_clock_that_was_set_forward_gives_no_vote_early() {
    an_uptime_by_a_clock_that_was_set(3_600, "an hour ahead");
}

/// Before the rule, the two commands lived at once for 4.4 s.
#[test]
fn an_uptime_by_a_clock_that_was_set_back_gives_no_vote_early() {
    an_uptime_by_a_clock_that_was_set(-3_600, "an hour behind");
}

/// A host whose clock was an hour ahead has marked all servers, or their own clocks were set back
/// by an hour after that. One server has no such mark: if none had, all would count as never used.
#[test]
fn a_mark_that_was_made_later_than_now_is_made_anew() {
    let cluster = Cluster::start(3);
    until("all have been up for longer than the guard", || (0..3).all(|i| cluster.uptime(i) >= 4));
    let wall = || {
        u64::try_from(SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_micros())
            .expect("a number")
    };
    for (label, by_server, by_host) in
        [("the host was ahead", 0, 3_600), ("the server was set back", 3_600, 0)]
    {
        for i in 0..3 {
            let run_id = cluster.info(i, "run_id");
            let ahead =
                |seconds: u64| wall() - 60_000_000 + if i == 0 { 0 } else { seconds * 1_000_000 };
            let mark = format!("{run_id} {} {}", ahead(by_server), ahead(by_host));
            cluster.cli(i, &["SET", "redlock-memory", &mark]);
        }
        let options =
            ["run", "--ttl", "2s", "--restart-guard", "2s", "-w", "15s", "edge", "--", "true"];
        let run = Run::redlock(&cluster).without("REDLOCK_RESTART_GUARD").args(options);
        run.finish().expect(label, 0);
    }
}
