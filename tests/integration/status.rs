//! `redlock status`: the holder of a lock, as a quorum of real servers shows it.
//!
//! 60 random states are compared with `run -n`; `REDLOCK_TEST_RUNS=200` has more.

use crate::support::schema::{assert_valid, document};
use crate::support::servers::FOREIGN;
use crate::support::{Cluster, Run, hold, key_of, until};
use serde_json::Value;

const NAME: &str = "deploy";

fn status(cluster: &Cluster, options: &[&str]) -> Run {
    Run::redlock(cluster).with_default_signals().arg_line("status", options, &[NAME])
}

/// The words of a status that could tell.
fn told(cluster: &Cluster, options: &[&str]) -> String {
    status(cluster, options).finish().expect("it can tell", 0).out()
}

fn has_words(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
}

#[test]
fn a_holder_is_named_with_its_time_its_lease_and_the_number_waiting() {
    let cluster = Cluster::start(3);
    assert_eq!(told(&cluster, &[]), "deploy: free\n");
    let holder = hold(&cluster, NAME, &["--ttl", "1m", "--reason", "release 7"]);
    let waiting = hold_in_line(&cluster);
    let text = told(&cluster, &[]);
    has_words(
        &text,
        &["deploy: held for ", "(sh, pid ", "lease left ", "reason: release 7", "id "],
    );
    has_words(&text, &["1 waits, the first for "]);
    assert!(!text.contains("127.0.0.1"), "the servers agree: {text}");
    assert_eq!(told(&cluster, &["-v"]).matches("the same, lease left").count(), 3);
    status(&cluster, &["-q", "--exit-code"]).finish().expect("held", 75).expect_silence("-q");
    holder.finish().expect("the holder", 0);
    waiting.wait().expect("its turn", 0);
    cluster.until_no_key_is_left();
    status(&cluster, &["-q", "--exit-code"]).finish().expect("free", 0).expect_silence("-q");
    assert_eq!(told(&cluster, &[]), "deploy: free\n");
    assert!((0..3).all(|i| cluster.keys(i).is_empty()), "it has left a key");
}

fn hold_in_line(cluster: &Cluster) -> crate::support::Running {
    let waiting = Run::redlock(cluster).args(["run", "--ttl", "1m", NAME, "--", "true"]).spawn();
    until("it stands in line", || (0..3).all(|i| cluster.in_line(i, &key_of(NAME)) == 1));
    waiting
}

#[test]
fn each_server_that_deviates_is_listed_with_its_state() {
    let mut cluster = Cluster::start(5);
    cluster.occupy(0, &key_of(NAME));
    has_words(
        &told(&cluster, &[]),
        &["deploy: free\n", "remnant on a minority: held by another client, value sha256:"],
    );
    assert!(!told(&cluster, &["-v"]).contains(FOREIGN), "a foreign value may be a secret");
    cluster.kill(4);
    has_words(&told(&cluster, &[]), &["deploy: free\n", "remnant", "onnection refused"]);
    cluster.cli(1, &["SET", &key_of(NAME), "other", "PX", "60000"]);
    let split = status(&cluster, &[]).finish().expect("split", 69).out();
    has_words(&split, &["undetermined: several have it on some servers each"]);
    cluster.cli(1, &["SET", &key_of(NAME), FOREIGN, "PX", "60000"]);
    let minority = status(&cluster, &["--exit-code"]).finish().expect("two of four", 69).out();
    has_words(&minority, &["undetermined: one has it on a minority"]);
    cluster.occupy(2, &key_of(NAME));
    has_words(&told(&cluster, &[]), &["held by another client, lease left"]);
    cluster.kill(2);
    cluster.kill(3);
    let dead = status(&cluster, &[]).finish().expect("two of five", 69).out();
    has_words(&dead, &["undetermined: too few servers tell"]);
}

#[test]
fn servers_that_may_have_forgotten_a_holder_call_nothing_free() {
    let mut cluster = Cluster::start(3);
    let guarded = |options: &[&str]| status(&cluster, options).env("REDLOCK_RESTART_GUARD", "1h");
    let text = guarded(&[]).finish().expect("all have just started", 69).out();
    has_words(&text, &["undetermined: servers that see it free may have forgotten", "no vote"]);
    assert!((0..3).all(|i| cluster.keys(i).is_empty()), "it has left a mark");
    assert!((0..3).all(|i| cluster.get(i, "redlock-memory").is_none()), "it has left a mark");
    let holder = hold(&cluster, NAME, &["--ttl", "1m"]);
    guarded(&[]).finish().expect("a holder is a holder", 0);
    cluster.restart(0);
    has_words(&told(&cluster, &[]), &["held for ", "127.0.0.1", ": free"]);
    holder.finish().expect("the holder", 0);
}

#[test]
fn slots_and_several_names_are_understood() {
    let cluster = Cluster::start(3);
    let first = hold(&cluster, NAME, &["--slots", "2"]);
    let slots = &["--slots", "2", "--exit-code"];
    let text = status(&cluster, slots).finish().expect("one is free", 0).out();
    has_words(&text, &["deploy: free: of 2 slots 1 held, 1 free", ": held for "]);
    let second = hold(&cluster, NAME, &["--slots", "2"]);
    let text = status(&cluster, slots).finish().expect("all are held", 75).out();
    has_words(&text, &["held: of 2 slots 2 held", "slot 1: held for ", "slot 2: held for "]);
    has_words(&told(&cluster, &[]), &["first of 2 slots; for all, give --slots 2"]);
    let both = &["--exit-code", "-l", "free one"];
    let text = status(&cluster, both).finish().expect("one is held", 75).out();
    has_words(&text, &["deploy: held for ", "free one: free\n"]);
    first.finish().expect("the first", 0);
    second.finish().expect("the second", 0);
    let kept = hold(&cluster, NAME, &["--ttl", "1s", "--cooldown", "1m"]);
    kept.finish().expect("it leaves", 0);
    has_words(&told(&cluster, &[]), &["kept by --min-hold or --cooldown"]);
}

#[test]
fn json_says_the_same_in_the_form_that_the_schema_has() {
    let mut cluster = Cluster::start(3);
    let print = |cluster: &Cluster, code| {
        let output = status(cluster, &["--json", "-l", "more", "--slots", "2"]).finish();
        let value = document(&output.expect("JSON", code).out());
        assert_valid(&value);
        value
    };
    assert_eq!(print(&cluster, 0)["locks"][0]["state"], "free");
    let holder = hold(&cluster, NAME, &["--slots", "2", "--reason", "a \"reason\""]);
    let other = hold(&cluster, NAME, &["--slots", "2"]);
    let held = print(&cluster, 0);
    assert_eq!(held["locks"][0]["state"], "held");
    let reasons: Vec<&Value> =
        (0..2).map(|slot| &held["locks"][0]["slots"][slot]["holder"]["reason"]).collect();
    assert!(reasons.contains(&&Value::from("a \"reason\"")), "{held}");
    cluster.occupy(0, &key_of("more"));
    cluster.kill(1);
    cluster.kill(2);
    let dead = print(&cluster, 69);
    assert_eq!(dead["locks"][1]["slots"][0]["doubt"], "too_few_answers");
    assert_eq!(dead["locks"][1]["slots"][0]["instances"][0]["holder"]["client"], "other");
    drop((holder, other));
}

#[test]
fn a_missing_right_a_wrong_password_and_a_replica_are_errors_of_their_own() {
    let mut cluster = Cluster::start(3);
    for i in 0..3 {
        let words =
            "ACL SETUSER run on >pw ~redlock:* ~redlock-memory ~redlock-queue:* +get +pttl +eval";
        cluster.cli(i, &words.split(' ').collect::<Vec<_>>());
        cluster.cli(i, &["ACL", "SETUSER", "blind", "on", ">pw", "~*", "+eval", "+pttl"]);
    }
    let user = |name: &str, password: &str| {
        status(&cluster, &["--user", name]).env("REDLOCK_PASSWORD", password).finish()
    };
    let text = user("run", "pw").expect("the rights of a run are enough", 0).out();
    assert_eq!(text, "deploy: free\n");
    let output = user("blind", "pw").expect("it may not GET", 77);
    has_words(&output.out(), &["undetermined", "NOPERM"]);
    let output = user("run", "s3cret").expect("a wrong password", 77);
    has_words(&output.out(), &["WRONGPASS"]);
    assert!(!(output.out() + &output.stderr).contains("s3cret"));
    let address = cluster.address(0);
    let (host, port) = address.split_once(':').unwrap();
    (1..3).for_each(|i| drop(cluster.cli(i, &["REPLICAOF", host, port])));
    let text = status(&cluster, &[]).finish().expect("two replicas", 78).out();
    has_words(&text, &["this is a replica"]);
    (1..3).for_each(|i| drop(cluster.cli(i, &["REPLICAOF", "NO", "ONE"])));
    cluster.stop(0);
    has_words(&told(&cluster, &[]), &["deploy: free\n", "timed out"]);
    cluster.cont(0);
    let single = Run::redlock(&cluster).args(["status", "--single", "-u", &cluster.url(1), NAME]);
    assert_eq!(single.finish().expect("one server", 0).out(), "deploy: free\n");
    let two = Run::redlock(&cluster).env("REDLOCK_URLS", cluster.urls_of(0..2));
    two.args(["status", NAME]).finish().expect("two servers", 78);
    Run::redlock(&cluster).args(["status"]).finish().expect("no name", 64);
}

/// A generator with the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn a_lock_that_is_called_free_is_taken_and_one_that_is_called_held_is_busy() {
    let mut cluster = Cluster::start(5);
    let mut numbers = Numbers(7);
    let mut seen = [0; 3];
    let states = std::env::var("REDLOCK_TEST_RUNS").ok();
    let states: usize = states.map_or(60, |states| states.parse().expect("a number of states"));
    for state in 0..states {
        // At first no server of five is dead, and then one, two and three.
        if state > 0 && state % (states / 4) == 0 && state * 4 / states < 4 {
            cluster.kill(5 - state * 4 / states);
        }
        let mut layout = vec![];
        for i in cluster.answering() {
            let value = match (state % 2, numbers.below(6)) {
                (0, 0..=3) | (1, 4) => "-",
                (_, 5) => "two",
                _ => "one",
            };
            cluster.cli(i, &["DEL", &key_of(NAME)]);
            if value != "-" {
                cluster.cli(i, &["SET", &key_of(NAME), value, "PX", "60000"]);
            }
            layout.push(value);
        }
        let code = status(&cluster, &["--exit-code", "-q"]).finish().status.code();
        // redlock asks a dead server again until the time limit.
        let run = ["run", "-n", "-q", "--op-timeout", "250ms", NAME, "--", "true"];
        let run = Run::redlock(&cluster).args(run);
        let run = run.finish().status.code();
        let fits = match code {
            Some(0) => run == Some(0),
            Some(75) => run == Some(75),
            Some(69) => run == Some(75) || run == Some(69),
            _ => false,
        };
        assert!(fits, "state {state}, {layout:?}: status says {code:?} and run {run:?}");
        seen[[0, 75, 69].iter().position(|known| code == Some(*known)).unwrap()] += 1;
    }
    println!("free, held, undetermined: {seen:?}");
    assert!(seen.iter().all(|count| *count > 4), "each occurs: {seen:?}");
}
