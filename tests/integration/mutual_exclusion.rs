//! Under any fault of servers, network and redlock: no other client has the lock while the command
//! of its last holder lives.
//!
//! A prober takes the lock as soon as a majority grants it. The command notes every few
//! milliseconds that it is alive. Its last note must be older than the prober's acquisition.

use crate::support::clock::{let_pass, wall};
use crate::support::prober::Prober;
use crate::support::processes::{self, children};
use crate::support::proxy::{Fate, Proxy, Way};
use crate::support::stamps::{self, STAMPING};
use crate::support::{Cluster, Run, Running, until};
use nix::sys::signal::Signal;
use std::net::TcpStream;
use std::time::Duration;

const KEY: &str = "redlock:job";
const TTL: &str = "1s";

/// A run with a proxy before each server, and a prober without.
struct Scene {
    cluster: Cluster,
    proxies: Vec<Proxy>,
    busy: Vec<TcpStream>,
}

impl Scene {
    fn new(options: &[&str]) -> Self {
        let cluster = Cluster::start_with(5, options);
        let proxies = (0..5).map(|i| Proxy::before(cluster.port(i))).collect();
        Self { cluster, proxies, busy: vec![] }
    }

    fn start(&self) -> Running {
        let urls = self.proxies.iter().map(Proxy::url).collect::<Vec<_>>().join(",");
        let run = Run::redlock(&self.cluster)
            .env("REDLOCK_URLS", urls)
            .args(["run", "--ttl", TTL, "job", "--"]);
        let running = run.args(["bash", "-c", STAMPING]).spawn();
        running.until_ready();
        until("all servers have the key", || (0..5).all(|i| self.cluster.get(i, KEY).is_some()));
        running
    }

    fn network(&self, way: Way, fate: Fate) {
        self.proxies[..3].iter().for_each(|proxy| proxy.set(way, fate));
    }

    fn cli(&self, words: &[&str]) {
        (0..3).for_each(|i| drop(self.cluster.cli(i, words)));
    }

    fn set(&self, name: &str, value: &str) {
        self.cli(&["CONFIG", "SET", name, value]);
    }

    /// Makes the servers fail to save, so that they refuse to write.
    fn loses_its_disk(&mut self) {
        for i in 0..3 {
            let gone = self.cluster.dir().join(format!("gone-{i}"));
            std::fs::create_dir(&gone).unwrap();
            self.cluster.cli(i, &["CONFIG", "SET", "dir", gone.to_str().unwrap()]);
            std::fs::remove_dir(&gone).unwrap();
            self.cluster.cli(i, &["CONFIG", "SET", "save", "3600 1"]);
            self.cluster.cli(i, &["BGSAVE"]);
        }
    }

    fn loops(&mut self) {
        self.set("lua-time-limit", "20");
        for i in 0..3 {
            let mut client = TcpStream::connect(("127.0.0.1", self.cluster.port(i)))
                .expect("the server listens");
            std::io::Write::write_all(&mut client, b"EVAL \"while true do end\" 0\r\n")
                .expect("the server reads");
            self.busy.push(client);
        }
    }
}

/// A fault of a majority, and its repair, so that another client can get in.
type Fault = (&'static str, fn(&mut Scene), fn(&mut Scene));

/// Checks that `fault` loses the lock, and that the command is dead before the prober gets in.
fn is_lost_in_time((label, fault, mend): Fault) {
    let mut scene = Scene::new(&[]);
    let running = scene.start();
    let prober = Prober::of(&scene.cluster, KEY);
    fault(&mut scene);
    let output = running.wait();
    assert_eq!(output.status.code(), Some(74), "{label}: {}", output.stderr);
    scene.cluster.until_no_process_is_left();
    let last = stamps::last(&scene.cluster);
    mend(&mut scene);
    until(&format!("the lock is free again: {label}"), || prober.has_won());
    let first = prober.first().expect("it has won");
    assert!(
        first > last,
        "{label}: another had the lock {:?} before the command was dead",
        last.saturating_sub(first)
    );
}

#[test]
fn a_network_that_keeps_a_majority_away_loses_the_lock_in_time() {
    let table: [Fault; 5] = [
        ("replies held", |s| s.network(Way::Replies, Fate::Hold), |_| {}),
        ("requests held", |s| s.network(Way::Requests, Fate::Hold), |_| {}),
        ("replies dropped", |s| s.network(Way::Replies, Fate::Drop), |_| {}),
        ("requests dropped", |s| s.network(Way::Requests, Fate::Drop), |_| {}),
        (
            "replies delayed beyond all use",
            |s| s.network(Way::Replies, Fate::Delay(Duration::from_secs(3))),
            |_| {},
        ),
    ];
    table.into_iter().for_each(is_lost_in_time);
}

#[test]
fn a_network_that_trickles_loses_the_lock_in_time() {
    let slow = |s: &mut Scene| s.network(Way::Requests, Fate::Trickle(Duration::from_millis(20)));
    is_lost_in_time(("requests byte by byte", slow, |_| {}));
}

#[test]
fn a_majority_that_dies_or_hangs_loses_the_lock_in_time() {
    let table: [Fault; 4] = [
        (
            "killed, and restarted when all was over",
            |s| (0..3).for_each(|i| s.cluster.kill(i)),
            |s| (0..3).for_each(|i| s.cluster.restart(i)),
        ),
        (
            "stopped",
            |s| (0..3).for_each(|i| s.cluster.stop(i)),
            |s| (0..3).for_each(|i| s.cluster.cont(i)),
        ),
        ("paused for writes", |s| s.cli(&["CLIENT", "PAUSE", "2500", "WRITE"]), |_| {}),
        ("busy with a script", Scene::loops, |s| s.cli(&["SCRIPT", "KILL"])),
    ];
    table.into_iter().for_each(is_lost_in_time);
}

#[test]
fn a_majority_that_sleeps_loses_the_lock_in_time() {
    let sleep = |s: &mut Scene| {
        for i in 0..3 {
            let mut client =
                TcpStream::connect(("127.0.0.1", s.cluster.port(i))).expect("the server listens");
            std::io::Write::write_all(&mut client, b"DEBUG SLEEP 2.5\r\n")
                .expect("the server reads");
            s.busy.push(client);
        }
    };
    is_lost_in_time(("DEBUG SLEEP", sleep, |_| {}));
}

#[test]
fn a_majority_that_refuses_loses_the_lock_in_time() {
    let table: [Fault; 3] = [
        ("a disk that cannot be written", Scene::loses_its_disk, |s| s.set("save", "")),
        (
            "rights taken away",
            |s| s.cli(&["ACL", "SETUSER", "default", "-eval", "-get"]),
            |s| s.cli(&["ACL", "SETUSER", "default", "+@all"]),
        ),
        (
            "made replicas",
            |s| {
                let master = s.cluster.port(4).to_string();
                s.cli(&["REPLICAOF", "127.0.0.1", &master]);
            },
            |s| s.cli(&["REPLICAOF", "NO", "ONE"]),
        ),
    ];
    table.into_iter().for_each(is_lost_in_time);
}

#[test]
fn faults_that_leave_the_keys_in_place_lose_no_lock() {
    let table: [Fault; 3] = [
        ("full memory", |s| s.set("maxmemory", "1"), |s| s.set("maxmemory", "0")),
        (
            "all connections reset",
            |s| s.proxies.iter().for_each(Proxy::reset),
            |s| s.proxies.iter().for_each(Proxy::reset),
        ),
        (
            "a short hang",
            |s| (0..3).for_each(|i| s.cluster.stop(i)),
            |s| (0..3).for_each(|i| s.cluster.cont(i)),
        ),
    ];
    for (label, fault, mend) in table {
        let mut scene = Scene::new(&[]);
        let running = scene.start();
        let prober = Prober::of(&scene.cluster, KEY);
        fault(&mut scene);
        let_pass(Duration::from_millis(300));
        mend(&mut scene);
        // Longer than a TTL.
        let_pass(Duration::from_millis(1700));
        running.signal(Signal::SIGTERM);
        running.wait().expect_death(label, Signal::SIGTERM);
        let last = stamps::last(&scene.cluster);
        if let Some(first) = prober.first() {
            assert!(
                first > last,
                "{label}: another had the lock {:?} too early",
                last.saturating_sub(first)
            );
        }
        scene.cluster.until_no_process_is_left();
    }
}

#[test]
fn a_majority_that_restarts_from_its_log_keeps_the_lock_where_it_is_trusted() {
    let mut scene = Scene::new(&["--appendonly", "yes", "--appendfsync", "always"]);
    let running = scene.start();
    let prober = Prober::of(&scene.cluster, KEY);
    (0..3).for_each(|i| scene.cluster.restart(i));
    // Longer than a TTL.
    let_pass(Duration::from_secs(2));
    running.signal(Signal::SIGTERM);
    running.wait().expect_death("the guard is off, and nothing was lost", Signal::SIGTERM);
    let last = stamps::last(&scene.cluster);
    if let Some(first) = prober.first() {
        assert!(first > last, "another had the lock {:?} too early", last.saturating_sub(first));
    }
}

#[test]
fn two_servers_that_restart_empty_within_a_ttl_let_no_second_holder_in() {
    let mut scene = Scene::new(&[]);
    let running = scene.start();
    let rival = Run::redlock(&scene.cluster).args([
        "run",
        "--ttl",
        TTL,
        "--restart-guard",
        TTL,
        "job",
        "--",
    ]);
    let rival = rival.args(["sh", "-c", "echo in"]).spawn();
    // For the prober, the two other servers must forget as well: one more than a minority of five.
    (0..2).for_each(|i| scene.cluster.restart(i));
    // Longer than a TTL.
    let_pass(Duration::from_secs(2));
    assert_eq!(rival.stdout(), "", "two held the lock");
    running.signal(Signal::SIGTERM);
    running.wait().expect_death("a majority remembers", Signal::SIGTERM);
    assert_eq!(rival.wait().expect("its turn", 0).out(), "in\n");
}

#[test]
fn a_prober_sees_an_overlap_where_a_majority_is_emptied() {
    // A fault beyond the promise shows that the prober would see an overlap.
    let scene = Scene::new(&[]);
    let running = scene.start();
    let prober = Prober::of(&scene.cluster, KEY);
    scene.cli(&["FLUSHALL"]);
    running.wait().expect("noticed at the next extension", 74);
    scene.cluster.until_no_process_is_left();
    let last = stamps::last(&scene.cluster);
    let first = prober.first().expect("it got in at once");
    assert!(
        first < last,
        "the prober is not greedy: it came {:?} late",
        first.saturating_sub(last)
    );
}

#[test]
fn another_client_that_came_and_went_after_a_loss_was_never_touched() {
    let cluster = Cluster::start(5);
    let run =
        Run::redlock(&cluster).args(["run", "--ttl", "3s", "job", "--", "bash", "-c", STAMPING]);
    let running = run.spawn();
    running.until_ready();
    for i in 0..3 {
        cluster.cli(i, &["DEL", KEY]);
        cluster.occupy(i, KEY);
    }
    for i in 0..3 {
        assert!(cluster.pttl(i, KEY) > 50_000, "its expiry was changed");
        assert_eq!(cluster.ask::<i64>(i, &["DEL", KEY]), 1, "its key was touched before it let go");
    }
    running.wait().expect("lost", 74);
    cluster.until_no_process_is_left();
    cluster.until_no_key_is_left();
}

/// Stops redlock and its guardian, so that they do not see the next events.
fn freeze(running: &Running) -> Vec<i32> {
    let mut all = vec![running.pid()];
    all.extend(children(running.pid()));
    for pid in &all {
        processes::send(*pid, Signal::SIGSTOP);
    }
    for pid in &all {
        until("it has stopped", || processes::state(*pid) == Some('T'));
    }
    all
}

#[test]
fn a_run_frozen_between_the_votes_and_the_start_never_starts() {
    let scene = Scene::new(&[]);
    scene.proxies.iter().for_each(|proxy| proxy.set(Way::Replies, Fate::Hold));
    let urls = scene.proxies.iter().map(Proxy::url).collect::<Vec<_>>().join(",");
    let options =
        ["run", "-n", "--ttl", "2s", "--op-timeout", "1200ms", "--kill-after", "20ms", "job", "--"];
    let run = Run::redlock(&scene.cluster).env("REDLOCK_URLS", urls).args(options);
    let running = run.args(["sh", "-c", "echo ran"]).spawn();
    until("all servers have the key", || (0..5).all(|i| scene.cluster.get(i, KEY).is_some()));
    let frozen = freeze(&running);
    scene.proxies.iter().for_each(|proxy| proxy.set(Way::Replies, Fate::Pass));
    // A TTL and two seconds.
    let_pass(Duration::from_secs(4));
    (0..5).for_each(|i| scene.cluster.occupy(i, KEY));
    frozen.iter().rev().for_each(|pid| processes::send(*pid, Signal::SIGCONT));
    let output = running.wait();
    assert_eq!(output.out(), "", "the command was started");
    assert_ne!(output.status.code(), Some(0), "{}", output.stderr);
    (0..5).for_each(|i| assert!(scene.cluster.pttl(i, KEY) > 40_000, "another's key was touched"));
}

#[test]
fn a_run_frozen_beyond_its_lock_ends_its_command_as_soon_as_it_wakes() {
    let cluster = Cluster::start(5);
    let run =
        Run::redlock(&cluster).args(["run", "--ttl", "1s", "job", "--", "bash", "-c", STAMPING]);
    let running = run.spawn();
    running.until_ready();
    let frozen = freeze(&running);
    // A TTL and two seconds.
    let_pass(Duration::from_secs(3));
    (0..5).for_each(|i| cluster.occupy(i, KEY));
    let woken = wall();
    frozen.iter().rev().for_each(|pid| processes::send(*pid, Signal::SIGCONT));
    running.wait().expect("the lock was lost meanwhile", 74);
    cluster.until_no_process_is_left();
    let lived = stamps::last(&cluster).saturating_sub(woken);
    assert!(lived < Duration::from_secs(1), "the command lived for {lived:?} after that");
    for i in 0..5 {
        assert!(cluster.pttl(i, KEY) > 50_000, "another's key was touched");
    }
}

#[test]
fn a_server_that_hung_through_fifty_runs_keeps_no_ghost() {
    let mut cluster = Cluster::start(3);
    cluster.stop(0);
    for number in 0..50 {
        let run = Run::redlock(&cluster).args([
            "run",
            "--ttl",
            "1m",
            &format!("ghost-{number}"),
            "--",
            "true",
        ]);
        run.finish().expect("two of three", 0);
    }
    cluster.cont(0);
    let executed = || cluster.ask::<String>(0, &["INFO", "commandstats"]);
    // Each acquisition first tries the right to SET.
    until("it has executed what it was sent", || executed().contains("cmdstat_set:calls=100,"));
    cluster.until_no_key_is_left();
}
