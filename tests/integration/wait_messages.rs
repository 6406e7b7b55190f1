//! Messages of a waiting run, and warnings about servers that are unfit to hold locks.
//!
//! `src/policy/session/tests.rs` shows that another line follows after half a minute, and only with
//! news.

use crate::support::clock::{let_pass, now, since, until};
use crate::support::line::{contender, join};
use crate::support::pty::Pty;
use crate::support::{Cluster, Monitor, Run, hold, key_of};
use std::time::Duration;

const NAME: &str = crate::support::line::NAME;

#[test]
fn after_a_second_one_line_tells_the_holder_and_the_number_before_us() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, NAME, &["--reason", "release 9", "--ttl", "45s"]);
    let claim: serde_json::Value =
        serde_json::from_str(&cluster.get(0, &key_of(NAME)).unwrap()).unwrap();
    let start = now();
    let first = join(&cluster, contender(&cluster, &[], ["true"]));
    let second = join(&cluster, contender(&cluster, &[], ["true"]));
    let quiet = join(&cluster, contender(&cluster, &["-q"], ["true"]));
    first.until_stderr("\n");
    let spoke = since(start);
    assert!(spoke >= Duration::from_millis(900), "it spoke after {spoke:?}");
    second.until_stderr("\n");
    holder.finish().expect("the holder", 0);
    let owner = claim["owner"].as_str().expect("an owner");
    let pid = format!("pid {}", claim["pid"]);
    for (running, place) in [(first, "1st in line"), (second, "2nd in line")] {
        let words = [
            &format!("waiting for '{NAME}'"),
            owner,
            "(reason: release 9, sh, ",
            &pid,
            ") for ",
            "lease left",
            place,
        ];
        let output = running.wait().expect("its turn", 0).expect_words(place, &words);
        assert_eq!(output.stderr.lines().count(), 1, "one line is enough: {}", output.stderr);
        let left = output.stderr.split_once("lease left ").expect("a lease").1;
        let left: u64 = left.split_once('s').expect("seconds").0.parse().expect("seconds");
        assert!((30..=45).contains(&left), "the lease is 45 s at most: {}", output.stderr);
    }
    quiet.wait().expect("its turn", 0).expect_silence("quiet");
    cluster.until_no_key_is_left();
}

#[test]
fn on_a_terminal_the_line_is_kept_up_to_date_and_taken_away() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, NAME, &["--ttl", "45s"]);
    let mut pty = Pty::start(contender(&cluster, &["--ttl", "1m"], ["echo", "my turn"]));
    for _ in 0..3 {
        pty.read_until("1st in line");
    }
    holder.finish().expect("the holder", 0);
    pty.read_until("my turn");
    assert!(pty.wait().success());
    let screen = pty.screen();
    let (line, rest) = screen.rsplit_once("\u{1b}[?7h").expect("it was shown");
    assert!(!line.contains('\n'), "each takes the place of the one before: {screen:?}");
    let shown: Vec<_> = line.split("\r\u{1b}[K").collect();
    assert!(shown.len() >= 3, "each is taken away before the next: {screen:?}");
    let mut leases: Vec<_> =
        shown.iter().map(|line| line.split_once("lease left ").expect("a lease").1).collect();
    leases.dedup();
    assert!(leases.len() >= 3, "the lease runs down: {screen:?}");
    assert!(
        rest.starts_with("\r\u{1b}[Kmy turn"),
        "it is taken away before the command speaks: {screen:?}"
    );
    assert_eq!(
        screen.matches("\u{1b}[?7l").count(),
        screen.matches("\u{1b}[?7h").count(),
        "{screen:?}"
    );
}

#[test]
fn a_run_in_the_background_or_on_a_plain_terminal_says_one_line() {
    let cluster = Cluster::start(3);
    let script = format!("set -m; \"$RL\" run --color never {NAME} -- true & echo typed; wait");
    let plain = format!("TERM=dumb exec \"$RL\" run {NAME} -- true");
    for (label, script) in [("in the background", script), ("a plain terminal", plain)] {
        let holder = hold(&cluster, NAME, &[]);
        let mut pty = Pty::start(Run::program(&cluster, "sh").args(["-c", &script]));
        pty.read_until("waiting for");
        pty.read_until(") for ");
        pty.read_until("\n");
        holder.finish().expect("the holder", 0);
        assert!(pty.wait().success(), "{label}");
        assert!(!pty.screen().contains('\u{1b}'), "{label}: {:?}", pty.screen());
    }
}

#[test]
fn on_a_narrow_terminal_the_line_shows_the_holder_and_the_reason_first() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, NAME, &["--ttl", "45s", "--reason", &"long ".repeat(40)]);
    let mut pty =
        Pty::start(Run::program(&cluster, "sh").args([
            "-c",
            &format!("stty rows 20 cols 60; exec \"$RL\" run {NAME} -- echo my turn"),
        ]));
    pty.read_until("in line");
    pty.read_until("\u{1b}[?7h");
    holder.finish().expect("the holder", 0);
    pty.read_until("my turn");
    assert!(pty.wait().success());
    let screen = pty.screen();
    let line = screen
        .split("\u{1b}[?7l")
        .nth(1)
        .expect("a line")
        .split("\u{1b}[?7h")
        .next()
        .expect("its end");
    let bare = line.replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
    assert!(bare.chars().count() <= 60, "{bare:?}");
    let (holder, reason) = bare.split_once(": long lo").expect("the reason");
    assert!(holder.starts_with("redlock: waiting for ") && holder.contains('@'), "{bare:?}");
    assert!(reason.ends_with(", 1st in line"), "{bare:?}");
}

#[test]
fn a_quiet_run_says_nothing_on_a_terminal_either() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, NAME, &[]);
    let mut pty = Pty::start(contender(&cluster, &["-q"], ["echo", "my turn"]));
    // Without `--quiet`, the run would have printed a line after a second.
    let_pass(Duration::from_millis(1500));
    holder.finish().expect("the holder", 0);
    assert!(pty.wait().success());
    until("the command spoke", || pty.screen().contains("my turn\r\n"));
    assert_eq!(pty.screen(), "my turn\r\n");
}

#[test]
fn a_server_that_may_delete_locks_is_named_once() {
    let cluster = Cluster::start(3);
    for (i, limit, policy) in
        [(0, "100mb", "noeviction"), (1, "100mb", "allkeys-lru"), (2, "0", "allkeys-lru")]
    {
        cluster.cli(i, &["CONFIG", "SET", "maxmemory", limit]);
        cluster.cli(i, &["CONFIG", "SET", "maxmemory-policy", policy]);
    }
    let monitor = Monitor::of(&cluster, 1);
    let running = hold(&cluster, NAME, &["--ttl", "600ms"]);
    monitor.until_extended(&key_of(NAME), 4);
    let output = running.finish().expect("held", 0);
    let output = output
        .expect_words("a warning", &[NAME, &cluster.address(1), "maxmemory-policy", "noeviction"]);
    assert_eq!(output.stderr.lines().count(), 1, "once, and of that one: {}", output.stderr);
    let asked = monitor
        .seen()
        .iter()
        .filter(|seen| seen.words.get(1).is_some_and(|word| word == "memory"))
        .count();
    assert_eq!(asked, 1, "it is asked once");
    let output = contender(&cluster, &[], ["sleep", "0.1"]).finish().expect("a short run", 0);
    output.expect_words("a short run", &[&cluster.address(1), "maxmemory-policy"]);
}

#[test]
fn a_replica_that_can_be_written_to_is_refused_by_name() {
    let cluster = Cluster::start(5);
    for i in 0..2 {
        cluster.cli(i, &["CONFIG", "SET", "replica-read-only", "no"]);
        cluster.cli(i, &["REPLICAOF", "127.0.0.1", &cluster.port(3 + i).to_string()]);
        until("it is a replica", || {
            cluster.ask::<String>(i, &["INFO", "replication"]).contains("master_link_status:up")
        });
        assert!(
            cluster.try_ask(i, &["SET", "probe", "1", "PX", "1"]).is_ok(),
            "it can be written to"
        );
    }
    let run = contender(&cluster, &[], ["echo", "ran"]).env("REDLOCK_URLS", cluster.urls_of(0..3));
    let output = run.finish().expect("two of three are replicas", 78);
    let output =
        output.expect_words("replicas", &[&cluster.address(0), &cluster.address(1), "replica"]);
    assert_eq!(
        output.stderr.matches("this is a replica").count(),
        2,
        "the third is in order: {}",
        output.stderr
    );
    assert_eq!(output.out(), "");
    cluster.until_no_key_is_left();
}

#[test]
fn servers_that_have_just_started_are_waited_for_and_not_called_faulty() {
    let cluster = Cluster::start(3);
    let run = |wait: &str| {
        Run::redlock(&cluster)
            .without("REDLOCK_RESTART_GUARD")
            .args(["run", "-w", wait, NAME, "--", "true"])
            .finish()
            .expect(wait, 69)
    };
    let waited = run("1500ms").stderr;
    let mut lines = waited.lines();
    let line = lines.next().expect("a line about the wait");
    let left = line.strip_prefix("redlock: waiting ").expect("it says how long");
    assert!(left.ends_with("s for servers that have just started (see --restart-guard)"), "{line}");
    assert!(
        lines.next().expect("its end").contains("just started do not vote for another"),
        "{waited}"
    );
    let at_once = run("0").stderr;
    assert!(at_once.contains("just started do not vote for another"), "{at_once}");
}
