//! `--fence`: a token that is larger for each later holder.

mod crowd;
mod postgresql;
mod resource;
mod script;
mod steps;

use crate::support::clock::wall;
use crate::support::proxy::{Fate, Proxy, Way};
use crate::support::{Cluster, Monitor, Run, hold, until, until_some};
use std::fs;
use std::time::Duration;

const KEY: &str = "redlock:fenced";
const COUNTER: &str = "redlock-fence:redlock:fenced";
const SAY: [&str; 4] = ["--", "sh", "-c", "echo $REDLOCK_FENCE"];

fn fenced(cluster: &Cluster, options: &[&str]) -> Run {
    Run::redlock(cluster).arg_line("run", options, &["--fence", "fenced"]).args(SAY)
}

fn token(cluster: &Cluster) -> u64 {
    token_of(&fenced(cluster, &[]).finish().expect("a run with a token", 0).out())
}

fn token_of(text: &str) -> u64 {
    text.trim().parse().unwrap_or_else(|_| panic!("no token: {text:?}"))
}

fn counter(cluster: &Cluster, i: usize) -> Option<u64> {
    Some(token_of(cluster.get(i, COUNTER)?.split(' ').next()?))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a date")
}

#[test]
fn each_holder_has_a_larger_token_near_the_time_of_day() {
    let cluster = Cluster::start(3);
    let before = millis(wall());
    let first = fenced(&cluster, &[]).finish().expect("the first run", 0);
    assert_eq!(first.stderr, "", "a first use is no news");
    let first = token_of(&first.out());
    let tokens: Vec<u64> = (0..5).map(|_| token(&cluster)).collect();
    assert!(first >= before && tokens[4] <= millis(wall()) + 1, "{first} {tokens:?}");
    assert!(first < tokens[0] && tokens.is_sorted_by(|one, other| one < other), "{tokens:?}");
    let text = fenced(&cluster, &["-v"]).finish();
    let text = text.expect_words("the token is told", &["fencing token"]);
    assert!(text.stderr.contains(text.out().trim()), "{}", text.stderr);
    (0..3).for_each(|i| assert!(cluster.pttl(i, COUNTER) > 29 * 86_400_000, "30 days"));
}

#[test]
fn without_a_token_nothing_of_it_is_sent() {
    let cluster = Cluster::start(3);
    let monitor = Monitor::of(&cluster, 0);
    let plain = Run::redlock(&cluster).args(["run", "fenced"]).args(SAY);
    let plain = plain.env("REDLOCK_FENCE", "5").finish().expect("a run without a token", 0);
    assert_eq!(plain.out(), "\n", "a token of another lock is none of this command's");
    until("it is seen", || monitor.seen().iter().any(|seen| seen.is("DEL", KEY)));
    let is_of_fence = |word: &String| word.contains("fence:");
    assert!(!monitor.seen().iter().any(|seen| seen.words.iter().any(is_of_fence)));
    assert_eq!(cluster.get(0, COUNTER), None);
    token(&cluster);
    let own = Run::redlock(&cluster).args(["run", "fenced"]).args(SAY).finish();
    assert_eq!(own.expect("both share the lock", 0).out(), "\n");
}

#[test]
fn the_holder_is_shown_with_its_token() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, "fenced", &["--fence"]);
    let token = counter(&cluster, 0).expect("a counter").to_string();
    for words in
        [&["status", "fenced"][..], &["list", "--json"], &["run", "-n", "fenced", "--", "true"]]
    {
        let output = Run::redlock(&cluster).args(words).finish();
        let shown = output.out() + &output.stderr;
        assert!(shown.contains(&token), "{words:?}: {shown}");
    }
    holder.finish().expect("the holder", 0);
}

#[test]
fn the_token_of_a_redlock_around_is_no_setting_and_a_nested_run_has_that_of_its_own_lock() {
    let cluster = Cluster::start(3);
    for (label, script, code) in [
        ("a plain run inside", "$RL run -u $URLS inner -- sh -c 'test -z \"$REDLOCK_FENCE\"'", 0),
        (
            "a token of its own",
            "$RL run -u $URLS --fence inner -- sh -c 'test $REDLOCK_FENCE -gt 1'",
            0,
        ),
        (
            "the same lock again",
            "T=$REDLOCK_FENCE $RL run -u $URLS --fence --reentrant fenced -- sh -c 'test $REDLOCK_FENCE = $T'",
            0,
        ),
        (
            "the outer lock below another one",
            "$RL run -u $URLS --fence inner -- $RL run -u $URLS --fence --reentrant fenced -- true",
            64,
        ),
        (
            "the outer lock and another one",
            "$RL run -u $URLS --fence --reentrant -l other fenced -- true",
            64,
        ),
    ] {
        let run = Run::redlock(&cluster)
            .env("URLS", cluster.urls())
            .args(["run", "--fence", "fenced", "--", "sh", "-c", script]);
        run.finish().expect(label, code);
    }
    let outer = "$RL run -u $URLS --fence --reentrant fenced -- true";
    let outer = Run::redlock(&cluster)
        .env("URLS", cluster.urls())
        .args(["run", "fenced", "--", "sh", "-c", outer])
        .finish();
    outer.expect("the redlock around has no token", 64);
}

#[test]
fn slots_have_no_token() {
    let cluster = Cluster::start(3);
    let typed = Run::redlock(&cluster).args(["run", "--fence", "--slots", "2", "x", "--", "true"]);
    typed.finish().expect("typed", 64).expect_words("why", &["--slots", "no order"]);
    let file = cluster.dir().join("config.toml");
    fs::write(&file, "fence = true\n").expect("a file");
    let config = file.to_str().expect("a path");
    let slots = Run::redlock(&cluster).args(["run", "--slots", "2", "x", "--", "true"]);
    slots.env("REDLOCK_CONFIG", config).finish().expect("of the file", 64);
    let run = Run::redlock(&cluster).args(["run", "x"]).args(SAY).env("REDLOCK_CONFIG", config);
    assert!(token_of(&run.finish().expect("of the file", 0).out()) > 0);
}

#[test]
fn several_names_have_one_token_that_is_larger_for_each_of_them() {
    let cluster = Cluster::start(3);
    let first = token(&cluster);
    let both = Run::redlock(&cluster).args(["run", "--fence", "-l", "other", "fenced"]).args(SAY);
    let both = token_of(&both.finish().expect("both", 0).out());
    assert!(both > first);
    for i in 0..3 {
        let other = cluster.get(i, "redlock-fence:redlock:other").expect("a counter");
        assert_eq!(token_of(other.split(' ').next().expect("a number")), both);
        assert_eq!(counter(&cluster, i), Some(both));
    }
}

#[test]
fn a_host_whose_clock_is_behind_has_a_larger_token_after_one_attempt_more() {
    let cluster = Cluster::start(3);
    let now = token(&cluster);
    let behind = fenced(&cluster, &["-v"]).with_clock(&cluster, -3_600).finish();
    let behind = behind.expect("an hour behind", 0).expect_words("twice", &["at attempt 2"]);
    assert_eq!(token_of(&behind.out()), now + 1);
    let ahead = fenced(&cluster, &["-v"]).with_clock(&cluster, 3_600).finish();
    let ahead = ahead.expect("an hour ahead", 0).expect_words("once", &["at attempt 1"]);
    let ahead = token_of(&ahead.out());
    assert!(ahead > now + 3_000_000, "{ahead} is an hour after {now}");
    let next = fenced(&cluster, &["-v"]).finish().expect("the next", 0);
    assert_eq!(token_of(&next.expect_words("twice", &["at attempt 2"]).out()), ahead + 1);
}

#[test]
fn a_minority_without_a_counter_is_made_up_for_by_the_others() {
    let cluster = Cluster::start(3);
    let first = token(&cluster);
    cluster.cli(1, &["FLUSHALL"]);
    let second = fenced(&cluster, &[]).finish().expect("two have it", 0);
    assert_eq!(second.stderr, "");
    assert!(token_of(&second.out()) > first);
    assert_eq!(counter(&cluster, 1), None, "a lost counter is not written by the next holder");
}

#[test]
fn counters_that_are_lost_on_a_majority_begin_anew_with_a_warning() {
    let cluster = Cluster::start(3);
    let first = token(&cluster);
    (0..2).for_each(|i| drop(cluster.cli(i, &["FLUSHALL"])));
    let warned = fenced(&cluster, &[]).finish().expect("anew", 0);
    let warned = warned.expect_words("the order rests on clocks", &["too few", "clocks agree"]);
    assert!(token_of(&warned.out()) > first, "the clocks agree");
    let next = fenced(&cluster, &[]).finish().expect("again", 0);
    assert_eq!(next.stderr, "", "the counters are there");
}

#[test]
fn two_counters_that_are_lost_while_the_third_server_hangs_are_told() {
    let mut cluster = Cluster::start(3);
    let first = token(&cluster);
    cluster.stop(2);
    (0..2).for_each(|i| drop(cluster.cli(i, &["FLUSHALL"])));
    let warned = fenced(&cluster, &[]).finish().expect("anew", 0);
    let warned = warned.expect_words("the order rests on clocks", &["too few", "clocks agree"]);
    assert!(token_of(&warned.out()) > first);
    cluster.cont(2);
}

#[test]
fn one_lost_counter_and_one_dead_server_are_no_fence_quorum() {
    let mut cluster = Cluster::start(3);
    token(&cluster);
    cluster.cli(0, &["FLUSHALL"]);
    cluster.kill(2);
    let refused = fenced(&cluster, &["-n"]).finish().expect("one has a counter", 69);
    let refused = refused.expect_words("each with its reason", &["no counter", "refused"]);
    assert_eq!(refused.out(), "", "nothing ran");
    assert_eq!((cluster.get(0, KEY), cluster.get(1, KEY)), (None, None), "it is given back");
    let plain = Run::redlock(&cluster).args(["run", "-n", "fenced", "--", "true"]).finish();
    plain.expect("without a token two are enough", 0);
}

#[test]
fn a_counter_of_before_a_restart_is_not_believed() {
    let mut cluster = Cluster::start(3);
    let options = ["--restart-guard", "2s", "--ttl", "2s", "--op-timeout", "600ms"];
    until("all votes count", || (0..3).all(|i| cluster.uptime(i) > 2));
    // Waits until all three servers have the same counter, since a slow one may still lack it.
    let raised = |cluster: &Cluster| {
        let token = token_of(&fenced(cluster, &options).finish().expect("a run", 0).out());
        (0..3).all(|i| counter(cluster, i) == Some(token)).then_some(token)
    };
    let old = until_some("all have a counter", || raised(&cluster));
    // The first server saves now, and will forget all later changes.
    cluster.cli(0, &["SAVE"]);
    let new = until_some("all have a larger counter", || raised(&cluster));
    assert!(old < new);
    cluster.kill(0);
    cluster.restart(0);
    assert_eq!(counter(&cluster, 0), Some(old), "it is rolled back");
    cluster.kill(2);
    until("its vote counts again", || {
        let plain =
            Run::redlock(&cluster).arg_line("run", &options, &["-n", "plain", "--", "true"]);
        plain.finish().status.success()
    });
    let run = fenced(&cluster, &options).env("REDLOCK_WAIT", "1s");
    let output = run.with_clock(&cluster, -60).finish();
    output.expect("one that was rolled back and one are no quorum", 69);
}

#[test]
fn a_right_that_is_missing_is_named() {
    let cluster = Cluster::start(3);
    for (right, words) in [("~redlock:*", "noperm"), ("-info", "info")] {
        let user = ["ACL", "SETUSER", "locker", "reset", "on", ">pw", "&*", "+@all"];
        let keys = if right.starts_with('~') { [right, "+ping"] } else { ["~*", right] };
        let words_of_user: Vec<&str> = user.into_iter().chain(keys).collect();
        (0..3).for_each(|i| drop(cluster.cli(i, &words_of_user)));
        let urls: Vec<String> =
            (0..3).map(|i| format!("redis://locker:pw@{}", cluster.address(i))).collect();
        let run = fenced(&cluster, &["--restart-guard", "1m", "-n"]);
        let output = run.env("REDLOCK_URLS", urls.join(",")).finish().expect(right, 77);
        assert_eq!(output.expect_words(right, &[words]).out(), "", "{right}");
        (0..3).for_each(|i| assert_eq!(cluster.get(i, KEY), None, "{right}: no key is left"));
    }
}

#[test]
fn a_token_costs_a_second_round_trip_at_its_first_use_alone() {
    let cluster = Cluster::start(3);
    let proxies: Vec<_> = (0..3).map(|i| Proxy::before(cluster.port(i))).collect();
    let urls = proxies.iter().map(Proxy::url).collect::<Vec<_>>().join(",");
    let monitor = Monitor::of(&cluster, 0);
    let evals = |nth: usize| {
        let seen = monitor.seen();
        let runs: Vec<_> =
            seen.iter().filter(|seen| !seen.by_script && seen.is_eval_on(KEY)).collect();
        assert!(runs.len() >= nth, "{runs:?}");
        runs.len()
    };
    // The second step is one round trip more.
    for (label, round_trips) in [("first use", 2), ("later", 1)] {
        let half = Duration::from_millis(150);
        for proxy in &proxies {
            proxy.set(Way::Requests, Fate::Delay(half));
            proxy.set(Way::Replies, Fate::Delay(half));
        }
        let before = evals(0);
        let run =
            fenced(&cluster, &["--ttl", "1m", "--op-timeout", "10s"]).env("REDLOCK_URLS", &urls);
        run.finish().expect(label, 0);
        // The release is one more script.
        until(label, || evals(0) == before + round_trips + 1);
    }
}
