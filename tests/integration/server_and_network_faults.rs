//! Faults of servers and of the network between.

use crate::support::clock::{let_pass, now, since};
use crate::support::processes::{children, stop};
use crate::support::proxy::{Fate, Proxy, Way};
use crate::support::{Cluster, HOLD, Monitor, Run, Running, hold, until};
use nix::sys::signal::Signal;
use std::fs;
use std::time::Duration;

const KEY: &str = "redlock:faults";

/// A proxy in front of each server.
fn proxies(cluster: &Cluster, size: usize) -> (Vec<Proxy>, String) {
    let proxies: Vec<_> = (0..size).map(|i| Proxy::before(cluster.port(i))).collect();
    let urls = proxies.iter().map(Proxy::url).collect::<Vec<_>>().join(",");
    (proxies, urls)
}

fn run(cluster: &Cluster, urls: &str, options: &[&str]) -> Run {
    Run::redlock(cluster).env("REDLOCK_URLS", urls).arg_line("run", options, &["faults", "--"])
}

fn start(cluster: &Cluster, urls: &str, options: &[&str]) -> Running {
    let running = run(cluster, urls, options).args(HOLD).spawn();
    running.until_ready();
    running
}

#[test]
fn servers_that_restart_empty_one_after_the_other_do_no_harm() {
    let mut cluster = Cluster::start(5);
    let watch = Monitor::of(&cluster, 4);
    let mut running = hold(&cluster, "faults", &["--ttl", "1s"]);
    let value = cluster.get(4, KEY);
    for i in 0..3 {
        cluster.kill(i);
        watch.until_extended(KEY, 1);
        cluster.restart(i);
        until("the key is back", || cluster.get(i, KEY) == value);
        Monitor::of(&cluster, i).until_extended(KEY, 2);
        running.assert_goes_on("one server at a time restarted");
    }
    running.finish().expect("one server at a time restarted", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_server_that_was_just_started_has_no_vote_while_the_guard_is_on() {
    let cluster = Cluster::start(3);
    let refused =
        run(&cluster, &cluster.urls(), &["-n", "--restart-guard", "1h"]).args(["true"]).finish();
    refused.expect("all were just started", 69).expect_words("all were just started", &["restart"]);
    cluster.until_no_key_is_left();
    let waited = run(&cluster, &cluster.urls(), &["--ttl", "2s", "--restart-guard", "2s"])
        .args(["true"])
        .finish();
    waited.expect("the guard is waited out", 0);
    let default = run(&cluster, &cluster.urls(), &["-n"]).without("REDLOCK_RESTART_GUARD");
    default.args(["true"]).finish().expect("the guard is on", 69);
    cluster.until_no_key_is_left();
}

#[test]
fn no_lease_is_longer_than_the_guard_that_all_hosts_share() {
    let cluster = Cluster::start(3);
    for (guard, lease, words) in [
        ("auto", ["--ttl", "2m"], ["--ttl of 2m", "guard of 1m"]),
        ("auto", ["--min-hold", "61s"], ["--min-hold of 1m 1s", "REDLOCK_RESTART_GUARD=1m1s"]),
        ("auto", ["--cooldown", "1h"], ["--cooldown of 1h", "guard of 1m"]),
        ("2s", ["--ttl", "3s"], ["--ttl of 3s", "guard of 2s"]),
    ] {
        let refused = run(&cluster, &cluster.urls(), &lease)
            .env("REDLOCK_RESTART_GUARD", guard)
            .args(["true"])
            .finish();
        refused.expect(guard, 64).expect_words(guard, &words);
    }
    let trusted =
        run(&cluster, &cluster.urls(), &["--ttl", "2m"]).env("REDLOCK_RESTART_GUARD", "off");
    trusted.args(["true"]).finish().expect("servers that lose nothing", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn replies_held_back_for_more_than_half_the_ttl_are_no_lock() {
    let cluster = Cluster::start(5);
    let (proxies, urls) = proxies(&cluster, 5);
    for proxy in &proxies {
        proxy.set(Way::Replies, Fate::Delay(Duration::from_millis(1200)));
    }
    let patient = ["-n", "--ttl", "2s", "--op-timeout", "1300ms", "--kill-after", "20ms"];
    for (label, options) in
        [("too late to be of use", &patient[..]), ("timed out", &["-n", "--ttl", "2s"])]
    {
        let output = run(&cluster, &urls, options).args(["sh", "-c", "echo ran"]).finish();
        assert_eq!(output.expect(label, 69).out(), "", "{label}: the command ran");
        cluster.until_no_key_is_left();
    }
}

#[test]
fn replies_that_never_come_leave_no_key() {
    let cluster = Cluster::start(3);
    let (proxies, urls) = proxies(&cluster, 3);
    let monitors: Vec<_> = (0..3).map(|i| Monitor::of(&cluster, i)).collect();
    for (lost, code) in [(1, 0), (2, 69), (3, 69)] {
        proxies[..lost].iter().for_each(|proxy| proxy.set(Way::Replies, Fate::Drop));
        let tried = monitors[0].attempts(KEY).len();
        let label = format!("{lost} of 3 never answer");
        run(&cluster, &urls, &["-n", "--ttl", "1m"]).args(["true"]).finish().expect(&label, code);
        until("the request has come", || monitors[0].attempts(KEY).len() > tried);
        cluster.until_no_key_is_left();
    }
}

#[test]
fn requests_that_come_when_all_is_over_leave_no_key() {
    let cluster = Cluster::start(3);
    let (proxies, urls) = proxies(&cluster, 3);
    let monitor = Monitor::of(&cluster, 0);
    for round in 1..=3 {
        proxies[0].set(Way::Requests, Fate::Hold);
        run(&cluster, &urls, &["--ttl", "1m"]).args(["true"]).finish().expect("two of three", 0);
        proxies[0].set(Way::Requests, Fate::Pass);
        until("the late SET has come", || monitor.attempts(KEY).len() == round);
        cluster.until_no_key_is_left();
    }
}

#[test]
fn a_connection_that_breaks_with_a_set_unanswered_is_made_again_for_the_release() {
    let cluster = Cluster::start(3);
    let (proxies, urls) = proxies(&cluster, 3);
    let monitor = Monitor::of(&cluster, 0);
    proxies[0].set(Way::Replies, Fate::Hold);
    let running = start(&cluster, &urls, &["--ttl", "1m"]);
    until("the SET has come", || cluster.get(0, KEY).is_some());
    proxies[0].reset();
    proxies[0].set(Way::Replies, Fate::Pass);
    running.finish().expect("two of three", 0);
    cluster.until_no_key_is_left();
    assert_eq!(monitor.attempts(KEY).len(), 1, "nobody may send the SET again");
}

#[test]
fn a_release_goes_to_a_server_that_was_restarted_while_redlock_was_frozen() {
    let mut cluster = Cluster::start_with(3, &["--appendonly", "yes", "--appendfsync", "always"]);
    let mut running = hold(&cluster, "faults", &["--ttl", "2m"]);
    let [guardian] = children(running.pid())[..] else { panic!("one guardian") };
    stop(running.pid());
    let value = cluster.get(0, KEY);
    cluster.kill(0);
    cluster.restart(0);
    assert!(value.is_some() && cluster.get(0, KEY) == value, "it knows the key from its log");
    // redlock learns of the end of the command and of the connection at the same time.
    running.let_go();
    until("the command is over", || children(guardian).is_empty());
    running.signal(Signal::SIGCONT);
    assert_eq!(running.wait().expect("released", 0).stderr, "");
    cluster.until_no_key_is_left();
}

/// Whether a connection to this port has something to read.
fn has_unread(port: u16) -> bool {
    let sockets = fs::read_to_string("/proc/net/tcp").expect("proc_net(5)");
    sockets.lines().any(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields[2].ends_with(&format!(":{port:04X}"))
            && fields[3] == "01"
            && !fields[4].ends_with(":00000000")
    })
}

#[test]
fn an_extension_that_had_to_wait_for_an_answer_does_not_follow_the_release() {
    let cluster = Cluster::start(3);
    let (proxies, urls) = proxies(&cluster, 3);
    let monitors: Vec<_> = (0..2).map(|i| Monitor::of(&cluster, i)).collect();
    let mut running = start(&cluster, &urls, &["--ttl", "3s"]);
    let [guardian] = children(running.pid())[..] else { panic!("one guardian") };
    proxies[0].set(Way::Replies, Fate::Hold);
    monitors[1].until_extended(KEY, 3);
    // redlock learns of the answer and of the end of the command at the same time.
    stop(running.pid());
    proxies[0].set(Way::Replies, Fate::Pass);
    until("the answer is there", || has_unread(proxies[0].port()));
    running.let_go();
    until("the command is over", || children(guardian).is_empty());
    running.signal(Signal::SIGCONT);
    running.wait().expect("released", 0);
    let position = |command| monitors[0].seen().iter().rposition(|seen| seen.is(command, KEY));
    // The first DEL is the one by which the acquisition tries the right.
    until("it is released", || position("DEL") > position("SET"));
    cluster.cli(0, &["SET", "end", "1"]);
    until("all was seen", || monitors[0].seen().iter().any(|seen| seen.is("SET", "end")));
    assert!(position("SET") < position("DEL"), "it was set again: {:?}", monitors[0].seen());
}

#[test]
fn a_minority_whose_connections_are_reset_is_extended_again() {
    let cluster = Cluster::start(5);
    let (proxies, urls) = proxies(&cluster, 5);
    let monitors: Vec<_> = (0..5).map(|i| Monitor::of(&cluster, i)).collect();
    let mut running = start(&cluster, &urls, &["--ttl", "1s"]);
    for (proxy, monitor) in proxies.iter().zip(&monitors) {
        monitor.until_extended(KEY, 1);
        let connections = proxy.accepted();
        proxy.reset();
        until("it is connected again", || proxy.accepted() > connections);
        monitor.until_extended(KEY, 2);
        running.assert_goes_on("a minority was reset");
    }
    running.finish().expect("one after the other was reset", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn all_connections_reset_at_once_lose_no_lock() {
    let cluster = Cluster::start(3);
    let (proxies, urls) = proxies(&cluster, 3);
    let monitors: Vec<_> = (0..3).map(|i| Monitor::of(&cluster, i)).collect();
    let mut running = start(&cluster, &urls, &["--ttl", "2s"]);
    monitors[0].until_extended(KEY, 1);
    proxies.iter().for_each(Proxy::reset);
    for monitor in &monitors {
        monitor.until_extended(KEY, 3);
    }
    running.assert_goes_on("they are connected again");
    running.finish().expect("all were reset", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn clients_that_the_server_disconnects_connect_again() {
    let cluster = Cluster::start(3);
    let mut running = hold(&cluster, "faults", &["--ttl", "2s"]);
    (0..3).for_each(|i| drop(cluster.cli(i, &["CLIENT", "KILL", "TYPE", "normal"])));
    let monitors: Vec<_> = (0..3).map(|i| Monitor::of(&cluster, i)).collect();
    for monitor in &monitors {
        monitor.until_extended(KEY, 3);
    }
    running.assert_goes_on("they are connected again");
    running.finish().expect("all were disconnected", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_server_that_has_answered_the_last_release_closes_the_connection() {
    let mut cluster = Cluster::start(3);
    let mut running = hold(&cluster, "faults", &["--ttl", "2m", "--op-timeout", "30s"]);
    // redlock stays until these two have answered.
    (1..3).for_each(|i| cluster.stop(i));
    running.let_go();
    until("it is released", || cluster.get(0, KEY).is_none());
    let clients = || cluster.ask::<String>(0, &["CLIENT", "LIST"]);
    until("only this one is left", || clients().lines().count() == 1);
    running.assert_goes_on("two are still to answer");
    (1..3).for_each(|i| cluster.cont(i));
    running.wait().expect("all have answered", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_server_that_reads_fine_and_hangs_on_writes_is_done_without() {
    const PAUSE: Duration = Duration::from_secs(8);
    let cluster = Cluster::start(3);
    cluster.cli(0, &["CLIENT", "PAUSE", &PAUSE.as_millis().to_string(), "WRITE"]);
    let paused = now();
    run(&cluster, &cluster.urls(), &["--ttl", "1m"])
        .args(["true"])
        .finish()
        .expect("two of three", 0);
    assert!(since(paused) < PAUSE, "it waited for the paused server");
    let_pass(PAUSE.saturating_sub(since(paused)));
    cluster.until_no_key_is_left();
}

#[test]
fn a_slow_network_is_no_reason_to_lose_a_lock() {
    let cluster = Cluster::start(5);
    let (proxies, urls) = proxies(&cluster, 5);
    for proxy in &proxies {
        proxy.set(Way::Requests, Fate::Delay(Duration::from_millis(40)));
        proxy.set(Way::Replies, Fate::Delay(Duration::from_millis(40)));
    }
    let monitor = Monitor::of(&cluster, 0);
    let mut running = start(&cluster, &urls, &["--ttl", "2s", "--op-timeout", "300ms"]);
    monitor.until_extended(KEY, 6);
    running.assert_goes_on("80 ms are no time");
    running.finish().expect("a slow network", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_stuck_script_on_a_minority_is_done_without() {
    let cluster = Cluster::start(3);
    cluster.cli(0, &["CONFIG", "SET", "lua-time-limit", "50"]);
    let endless =
        std::net::TcpStream::connect(("127.0.0.1", cluster.port(0))).expect("the server listens");
    std::io::Write::write_all(&mut &endless, b"EVAL \"while true do end\" 0\r\n")
        .expect("the server reads");
    let busy = |i: usize| cluster.try_ask(i, &["PING"]).is_err_and(|error| error.contains("BUSY"));
    until("the server is busy", || busy(0));
    run(&cluster, &cluster.urls(), &["--ttl", "1m"])
        .args(["true"])
        .finish()
        .expect("two of three", 0);
    cluster.cli(0, &["SCRIPT", "KILL"]);
    until("it answers again", || !busy(0));
    cluster.until_no_key_is_left();
}
