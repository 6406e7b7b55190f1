//! A lock that several may hold at once, and several locks at once.

use crate::support::clock::{now, since, until};
use crate::support::line::{contender, join, turns};
use crate::support::{Cluster, Run, Running, hold, key_of};
use std::fs;
use std::time::Duration;

const NAME: &str = crate::support::line::NAME;

/// Prints its slot, and holds it until its standard input is closed.
const SAY_SLOT: [&str; 3] = ["sh", "-c", "echo slot=$REDLOCK_SLOT ready; cat >/dev/null"];

fn hold_slot(cluster: &Cluster, slots: &str) -> Running {
    let running = contender(cluster, &["--slots", slots], SAY_SLOT).spawn();
    running.until_ready();
    running
}

fn slot_of(running: &Running) -> String {
    running
        .stdout()
        .trim()
        .strip_prefix("slot=")
        .and_then(|rest| rest.strip_suffix(" ready"))
        .expect("a slot")
        .into()
}

#[test]
fn three_slots_are_held_by_three_of_twelve_at_a_time_and_never_by_more() {
    let cluster = Cluster::start(5);
    let note = |sign| format!("echo {sign}$0.$REDLOCK_SLOT $EPOCHREALTIME >>journal");
    let script = format!("{}; sleep 0.3; {}", note('+'), note('-'));
    let run = |number: usize| {
        let options = ["-q", "--slots", "3", "--ttl", "1m"];
        contender(&cluster, &options, ["bash", "-c", &script, &number.to_string()]).spawn()
    };
    let running: Vec<_> = (0..12).map(run).collect();
    for running in running {
        running.wait().expect("its turn", 0);
    }
    let turns = turns(&cluster);
    assert_eq!(turns.len(), 12);
    let mut ends: Vec<_> = turns.iter().map(|turn| turn.to.expect("it ended")).collect();
    ends.sort_unstable();
    for (number, turn) in turns.iter().enumerate() {
        let slot = turn.label.split_once('.').expect("a slot").1;
        assert!(["1", "2", "3"].contains(&slot), "no slot: {turn:?}");
        let others = turns[..number].iter().filter(|other| other.to.expect("it ended") > turn.from);
        let held: Vec<_> =
            others.map(|other| other.label.split_once('.').expect("a slot").1).collect();
        assert!(held.len() < 3 && !held.contains(&slot), "{turn:?} while {held:?} were held");
    }
    // Each run that waited starts soon after a slot becomes free, whichever slot that is.
    let gaps: Vec<_> =
        turns[3..].iter().zip(&ends).map(|(turn, end)| turn.from.saturating_sub(*end)).collect();
    println!("a slot was free for {gaps:?}");
    assert!(gaps.iter().all(|gap| *gap < Duration::from_secs(1)), "a slot was left free: {gaps:?}");
    cluster.until_no_key_is_left();
}

#[test]
fn a_run_that_does_not_wait_finds_any_free_slot_and_none_where_all_are_taken() {
    let cluster = Cluster::start(3);
    let mut holders: Vec<_> = (0..3).map(|_| hold_slot(&cluster, "3")).collect();
    let mut slots: Vec<_> = holders.iter().map(slot_of).collect();
    slots.sort_unstable();
    assert_eq!(slots, ["1", "2", "3"]);
    let once = |slots: &str| contender(&cluster, &["-n", "--slots", slots], SAY_SLOT).finish();
    for _ in 0..3 {
        once("3").expect("all are taken", 75).expect_words("busy", &[NAME, "busy"]);
        let holder = holders.remove(0);
        let slot = slot_of(&holder);
        holder.finish().expect("the holder", 0);
        let found = hold_slot(&cluster, "3");
        assert_eq!(slot_of(&found), slot, "the one that is free");
        once("3").expect("all are taken again", 75);
        holders.push(found);
    }
    once("2")
        .expect("another number", 78)
        .expect_words("another number", &["counts on 2 slots", "counts on 3", "--slots"]);
    let plain = |options: &[&str]| contender(&cluster, options, ["true"]);
    for options in [&["-n"][..], &[]] {
        plain(options)
            .finish()
            .expect("none", 78)
            .expect_words("none", &["counts on 1 slots", "counts on 3", "--slots"]);
    }
    let first =
        holders.iter().position(|holder| slot_of(holder) == "1").expect("one of them has it");
    holders.remove(first).finish().expect("the first", 0);
    plain(&["-n"]).finish().expect("without slots it is the first slot that counts", 0);
    for holder in holders {
        holder.finish().expect("a holder", 0);
    }
}

#[test]
fn a_slot_that_is_released_goes_to_a_waiting_run_while_others_hold_theirs() {
    let cluster = Cluster::start(5);
    let wait = || join(&cluster, contender(&cluster, &["--slots", "2", "--ttl", "1m"], SAY_SLOT));
    let (first, second) = (hold_slot(&cluster, "2"), hold_slot(&cluster, "2"));
    let (third, fourth, fifth) = (wait(), wait(), wait());
    let mut slowest = Duration::ZERO;
    for (holder, next) in [(first, &third), (second, &fourth)] {
        let start = now();
        holder.finish().expect("the holder", 0);
        next.until_ready();
        slowest = slowest.max(since(start));
    }
    // The third run has waited, and is still subscribed while it holds its slot.
    let start = now();
    fourth.finish().expect("the fourth", 0);
    fifth.until_ready();
    slowest = slowest.max(since(start));
    println!("the slowest hand-over took {slowest:?}");
    assert!(
        slowest < Duration::from_secs(1),
        "a holder swallowed the wake-up of another: {slowest:?}"
    );
    third.finish().expect("the third", 0);
    fifth.finish().expect("the fifth", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_dead_minority_hides_no_free_slot_from_a_run_that_does_not_wait() {
    let mut cluster = Cluster::start(5);
    (0..2).for_each(|i| cluster.kill(i));
    let holder = hold_slot(&cluster, "2");
    let free = if slot_of(&holder) == "1" { "2" } else { "1" };
    // The slot that is tried first is random.
    for _ in 0..8 {
        let run = contender(&cluster, &["-n", "--slots", "2"], ["sh", "-c", "echo $REDLOCK_SLOT"]);
        assert_eq!(run.finish().expect("one is free", 0).out().trim(), free);
    }
    holder.finish().expect("the holder", 0);
    cluster.until_no_key_is_left();
}

fn both(cluster: &Cluster, options: &[&str]) -> Run {
    Run::redlock(cluster).args(["run"]).args(options).args(["-l", "a", "-l", "b", "--"])
}

#[test]
fn of_two_names_none_is_held_while_one_is_busy() {
    let cluster = Cluster::start(3);
    let other = hold(&cluster, "b", &[]);
    both(&cluster, &["-n"])
        .args(["true"])
        .finish()
        .expect("one of them is busy", 75)
        .expect_words("busy", &["a, b"]);
    let waiting = both(&cluster, &["--ttl", "1m"]).args(["sh", "-c", "echo both"]).spawn();
    until("it waits for the one that is busy", || {
        (0..3).all(|i| cluster.in_line(i, &key_of("b")) == 1)
    });
    assert!((0..3).all(|i| cluster.in_line(i, &key_of("a")) == 0), "it waits for one that is free");
    let third = hold(&cluster, "a", &["-n"]);
    other.finish().expect("the holder of b", 0);
    until("it waits for the other", || {
        (0..3)
            .all(|i| cluster.in_line(i, &key_of("a")) == 1 && cluster.in_line(i, &key_of("b")) == 0)
    });
    assert!((0..3).all(|i| cluster.get(i, &key_of("b")).is_none()), "it holds one of them");
    let start = now();
    third.finish().expect("the holder of a", 0);
    assert_eq!(waiting.wait().expect("both are free", 0).out(), "both\n");
    assert!(since(start) < Duration::from_secs(1), "it came {:?} after the release", since(start));
    cluster.until_no_key_is_left();
}

#[test]
fn a_run_that_is_woken_for_one_of_two_names_and_lacks_the_other_passes_the_wake_up_on() {
    let cluster = Cluster::start(3);
    let (of_a, of_b) =
        (hold(&cluster, "a", &["--ttl", "1m"]), hold(&cluster, "b", &["--ttl", "1m"]));
    let pair = both(&cluster, &["--ttl", "1m"]).args(["sh", "-c", "echo both"]).spawn();
    until("it is the first in line", || (0..3).all(|i| cluster.in_line(i, &key_of("a")) == 1));
    let single = Run::redlock(&cluster).args(["run", "--ttl", "1m", "a", "--", "true"]).spawn();
    until("another is behind it", || (0..3).all(|i| cluster.in_line(i, &key_of("a")) == 2));
    let start = now();
    of_a.finish().expect("the holder of a", 0);
    single.finish().expect("it needs no more than a", 0);
    let took = since(start);
    println!("the wake-up was passed on within {took:?}");
    assert!(took < Duration::from_secs(1), "it was not passed on: {took:?}");
    of_b.finish().expect("the holder of b", 0);
    pair.wait().expect("both are free", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn runs_that_name_two_locks_in_opposite_orders_do_not_block_each_other() {
    const ROUNDS: usize = 20;
    let cluster = Cluster::start(5);
    let counts = ["f", "g"].map(|name| cluster.dir().join(name));
    for count in &counts {
        fs::write(count, "0\n").unwrap();
    }
    let count = |file: &str| format!("n=$(cat {file}); echo $((n+1)) >{file}");
    let (one, two) = (count("f"), format!("{}; {}", count("f"), count("g")));
    let start = now();
    let loops = [("-l a -l b", &two), ("-l b -l a", &two), ("a", &one)].map(|(names, script)| {
        let line =
            format!(r#"for i in $(seq {ROUNDS}); do "$RL" run --ttl 30s {names} -- sh -c '{script}' || exit; done"#);
        Run::shell(&cluster, &line).spawn()
    });
    for running in loops {
        running.wait_within(Duration::from_secs(60)).expect("every round has its turn", 0);
    }
    println!("60 runs of two who want both and one who wants one took {:?}", since(start));
    let read = |count| fs::read_to_string(count).unwrap().trim().parse::<usize>().unwrap();
    assert_eq!(counts.each_ref().map(read), [3 * ROUNDS, 2 * ROUNDS], "two were in at once");
    cluster.until_no_key_is_left();
}

#[test]
fn the_command_knows_all_names_and_none_of_them_is_taken_again_inside() {
    let cluster = Cluster::start(3);
    let script = r#"printf '%s|' "$REDLOCK_NAME" "$REDLOCK_KEY" "${REDLOCK_HELD%% *}"; "$RL" run -u "$U" -u "$V" -u "$W" b -- true"#;
    let run = both(&cluster, &[]).args(["sh", "-c", script]);
    let run = ["U", "V", "W"]
        .into_iter()
        .enumerate()
        .fold(run, |run, (i, name)| run.env(name, cluster.url(i)));
    let output = run
        .finish()
        .expect("it would wait for itself", 64)
        .expect_words("nested", &["'b'", "already held"]);
    let keys = format!("{}\n{}", key_of("a"), key_of("b"));
    assert_eq!(output.out(), format!("a\nb|{keys}|{}|", key_of("a")));
    for (label, options) in [
        ("slots", &["--slots", "2", "-l", "a", "-l", "b"][..]),
        ("a key", &["--key", "k", "-l", "a", "-l", "b"]),
        ("a key and a name beside -l", &["--key", "k", "-l", "a", "b"]),
        ("no slot", &["--slots", "0", "a"]),
        ("slots that are no number", &["--slots", "many", "a"]),
    ] {
        let run = Run::redlock(&cluster).arg_line("run", options, &["--", "true"]);
        run.finish().expect(label, 64);
    }
}
