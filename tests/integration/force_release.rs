//! `redlock force-release`: a lock is taken from one holder, and never from the next.

mod overlap;

use crate::support::pty::Pty;
use crate::support::schema::{assert_valid, document};
use crate::support::servers::FOREIGN;
use crate::support::{Cluster, HOLD, Run, Running, hold, key_of, until};

const NAME: &str = "deploy";

fn force_release(cluster: &Cluster, options: &[&str]) -> Run {
    Run::redlock(cluster).env("USER", "ops").arg_line("force-release", options, &[NAME])
}

/// The id or the digest of the holder that `status` shows for the first held slot.
fn holder_id(cluster: &Cluster, options: &[&str]) -> String {
    let run = Run::redlock(cluster).args(["status", "--json"]).args(options);
    let status = document(&run.finish().expect("status", 0).out());
    let slots = status["locks"][0]["slots"].as_array().unwrap();
    let holder = slots.iter().find(|slot| !slot["holder"].is_null()).unwrap();
    let holder = &holder["holder"];
    holder["id"].as_str().or(holder["digest"].as_str()).unwrap().to_owned()
}

fn has_words(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
}

fn waiting(cluster: &Cluster) -> Running {
    let waiting = Run::redlock(cluster).args(["run", "--ttl", "1m", NAME, "--", "true"]).spawn();
    until("it stands in line", || (0..3).all(|i| cluster.in_line(i, &key_of(NAME)) == 1));
    waiting
}

#[test]
fn a_holder_is_told_stops_its_command_and_sets_the_name_free() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, NAME, &["--ttl", "4s"]);
    let id = holder_id(&cluster, &[NAME]);
    let options = ["--id", &id, "--yes", "--reason", "it hangs"];
    let text = force_release(&cluster, &options).finish().expect("taken away", 0).out();
    has_words(&text, &["deploy: taken away from ", &id, "its redlock stops the command, and"]);
    assert_eq!(text.matches(": revoked, free in ").count(), 3, "{text}");
    holder.wait().expect("it is told", 74).expect_words("told", &["revoked by ops@", ": it hangs"]);
    cluster.until_no_key_is_left();
    let text = force_release(&cluster, &options).finish().expect("it is free", 0).out();
    has_words(&text, &["not held by", "nothing was changed", "deploy: free"]);
}

#[test]
fn waiting_runs_and_status_name_the_operator_of_a_revocation() {
    let cluster = Cluster::start(3);
    let mut holder = hold(&cluster, NAME, &["--ttl", "1m"]);
    let id = holder_id(&cluster, &[NAME]);
    let options = ["--id", &id, "--yes", "--reason", "it hangs"];
    force_release(&cluster, &options).finish().expect("taken away", 0);
    let words = ["revoked by ops@", ": it hangs, free in at most "];
    let busy = Run::redlock(&cluster).args(["run", "-n", NAME, "--", "true"]).finish();
    busy.expect("run -n", 75).expect_words("run -n", &words);
    let status = Run::redlock(&cluster).args(["status", NAME]).finish();
    has_words(&status.expect("status", 0).out(), &words);
    let list = Run::redlock(&cluster).args(["list"]).finish().expect("list", 0).out();
    has_words(&list, &["revoked by ops@"]);
    let json = Run::redlock(&cluster).args(["status", "--json", NAME]).finish();
    let json = document(&json.expect("status", 0).out());
    assert_valid(&json);
    assert_eq!(json["locks"][0]["slots"][0]["holder"]["revoked"]["reason"], "it hangs", "{json}");
    let waiting = waiting(&cluster);
    waiting.until_stderr("free in at most ");
    let again = force_release(&cluster, &["--id", &id, "--yes", "--json"]).finish();
    let again = document(&again.expect("again", 0).out());
    assert_valid(&again);
    assert_eq!(again["instances"][0]["outcome"], "already_revoked", "{again}");
    // The holder ends before its next extension, at which it would see the revocation.
    holder.assert_goes_on("the extension comes after 20 s");
    holder.finish().expect("it ended in time", 0);
    waiting.wait().expect("its turn", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn the_wrong_id_no_id_and_no_terminal_change_nothing() {
    let cluster = Cluster::start(3);
    let nothing = force_release(&cluster, &[]).finish().expect("free", 0).out();
    assert_eq!(nothing, "deploy: free\n");
    let holder = hold(&cluster, NAME, &["--ttl", "1m"]);
    let id = holder_id(&cluster, &[NAME]);
    let values = || (0..3).map(|i| cluster.get(i, &key_of(NAME))).collect::<Vec<_>>();
    let before = values();
    let text = force_release(&cluster, &[]).finish().expect("no id", 64).out();
    let line = format!("to take it away:\n  redlock force-release deploy --id {id}\n");
    has_words(&text, &["deploy: held for ", &line]);
    let other = force_release(&cluster, &["--id", "0123456789ab", "--yes"]).finish();
    has_words(&other.expect("another", 75).out(), &["not held by 0123456789ab", "held for "]);
    let json = force_release(&cluster, &["--id", "sha256:0123456789ab", "--yes", "--json"]);
    let json = document(&json.finish().expect("another", 75).out());
    assert_valid(&json);
    assert_eq!(json["outcome"], "not_held");
    let silent = force_release(&cluster, &["--id", &id]).finish().expect("no terminal", 64);
    silent.expect_words("no terminal", &["give --yes"]);
    assert_eq!(values(), before);
    holder.finish().expect("nothing happened", 0);
}

#[test]
fn a_person_at_a_terminal_is_asked() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, NAME, &["--ttl", "3s"]);
    let id = holder_id(&cluster, &[NAME]);
    let before = cluster.get(0, &key_of(NAME));
    for (answer, code) in [("n\r", 64), ("\r", 64), ("y\r", 0)] {
        let mut terminal = Pty::start(force_release(&cluster, &["--id", &id]));
        terminal.read_until(&format!("id {id}; stop its command and take the lock away? [y/N] "));
        assert_eq!(cluster.get(0, &key_of(NAME)), before, "it has not been answered");
        terminal.press(answer);
        assert_eq!(terminal.wait().code(), Some(code), "{answer:?}");
    }
    holder.wait().expect("it is told", 74);
}

#[test]
fn a_minority_that_is_down_is_no_obstacle_and_a_majority_is_one() {
    let mut cluster = Cluster::start(3);
    cluster.kill(2);
    let holder = hold(&cluster, NAME, &["--ttl", "3s"]);
    let id = holder_id(&cluster, &[NAME]);
    let text = force_release(&cluster, &["--id", &id, "--yes"]).finish().expect("one", 0).out();
    has_words(&text, &["taken away from ", "onnection refused"]);
    holder.wait().expect("it is told", 74);
    cluster.restart(2);
    cluster.until_no_key_is_left();
    let mut holder = hold(&cluster, NAME, &["--ttl", "1m"]);
    let id = holder_id(&cluster, &[NAME]);
    (1..3).for_each(|i| cluster.stop(i));
    let options = ["--id", &id, "--yes", "--op-timeout", "200ms"];
    let text = force_release(&cluster, &options).finish().expect("two", 69).out();
    has_words(
        &text,
        &["may still be held by ", "on 1 of 3 servers, and 2 are needed", "timed out"],
    );
    (1..3).for_each(|i| cluster.cont(i));
    holder.assert_goes_on("a minority ends no run");
    holder.finish().expect("it ends by itself", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn slots_several_names_and_whole_keys_are_understood() {
    let cluster = Cluster::start(3);
    let slots = ["--ttl", "3s", "--slots", "3"];
    let one = hold(&cluster, NAME, &slots);
    let two = hold(&cluster, NAME, &slots);
    // Each run has one of the three slots by chance. Without the option, only the first slot is
    // looked at.
    let of_slots = ["--slots", "3"];
    let text = force_release(&cluster, &of_slots).finish().expect("two holders", 64).out();
    has_words(&text, &["of 3 slots 2 held", "to take it from one of them:\n"]);
    assert_eq!(text.matches("redlock force-release deploy --id ").count(), 2, "{text}");
    let id = holder_id(&cluster, &["--slots", "3", NAME]);
    force_release(&cluster, &["--slots", "3", "--id", &id, "--yes"])
        .finish()
        .expect("one of them", 0);
    until("one of them ends", || [&one, &two].iter().any(|run| run.stderr().contains("revoked")));
    let (gone, kept) = if one.stderr().contains("revoked") { (one, two) } else { (two, one) };
    gone.wait().expect("the one", 74);
    assert!(!kept.stderr().contains("revoked"), "{}", kept.stderr());
    kept.finish().expect("the other", 0);
    let run = Run::redlock(&cluster).args(["run", "--ttl", "3s", "-l", NAME, "-l", "b", "--"]);
    let both = run.args(HOLD).spawn();
    both.until_ready();
    let id = holder_id(&cluster, &["b"]);
    force_release(&cluster, &["-l", "b", "--id", &id, "--yes"]).finish().expect("both", 0);
    both.wait().expect("both", 74).expect_words("both", &["revoked by ops@"]);
    let keyed = Run::redlock(&cluster).args(["run", "--ttl", "3s", "--key", "whole", "--"]);
    let keyed = keyed.args(HOLD).spawn();
    keyed.until_ready();
    let id = holder_id(&cluster, &["--key", "whole"]);
    let run = Run::redlock(&cluster).args(["force-release", "--key", "whole", "--id", &id, "-y"]);
    run.finish().expect("a whole key", 0);
    keyed.wait().expect("a whole key", 74);
    cluster.until_no_key_is_left();
}

#[test]
fn a_foreign_client_is_named_by_its_digest_and_its_value_is_never_shown() {
    let cluster = Cluster::start(3);
    (0..3).for_each(|i| cluster.occupy(i, &key_of(NAME)));
    let digest = holder_id(&cluster, &[NAME]);
    assert!(digest.starts_with("sha256:"), "{digest}");
    let text = force_release(&cluster, &[]).finish().expect("no id", 64).out();
    has_words(&text, &[&format!("redlock force-release deploy --id {digest}")]);
    let before: Vec<i64> = (0..3).map(|i| cluster.pttl(i, &key_of(NAME))).collect();
    let options = ["--id", &digest, "--yes"];
    let text = force_release(&cluster, &options).finish().expect("foreign", 0).out();
    assert!(!text.contains(FOREIGN), "{text}");
    for (i, before) in before.into_iter().enumerate() {
        let value = cluster.get(i, &key_of(NAME)).unwrap();
        assert!(value.starts_with("{\"revoked\":") && !value.contains(FOREIGN), "{value}");
        let after = cluster.pttl(i, &key_of(NAME));
        assert!(after <= before && after > before - 60_000, "{before} {after}");
    }
    assert_eq!(holder_id(&cluster, &[NAME]), digest, "the same afterwards");
    force_release(&cluster, &["--id", &digest, "-y", "--now"]).finish().expect("at once", 0);
    cluster.until_no_key_is_left();
    // Bytes that are no UTF-8, and a key without expiry.
    for i in 0..3 {
        cluster.cli(i, &["EVAL", "redis.call('SET', KEYS[1], '\\255\\0x')", "1", &key_of(NAME)]);
    }
    let digest = holder_id(&cluster, &[NAME]);
    let text = force_release(&cluster, &["--id", &digest, "-y"]).finish();
    has_words(&text.expect("without expiry", 64).out(), &["without expiry", "--now"]);
    force_release(&cluster, &["--id", &digest, "-y", "--now"]).finish().expect("at once", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_lock_that_is_kept_after_its_run_is_free_at_once_with_now() {
    let cluster = Cluster::start(3);
    let kept = hold(&cluster, NAME, &["--ttl", "1s", "--cooldown", "1h"]);
    kept.finish().expect("it leaves", 0);
    let id = holder_id(&cluster, &[NAME]);
    let text = force_release(&cluster, &["--id", &id, "-y"]).finish().expect("kept", 0).out();
    has_words(&text, &["its command has ended", "at once with --now"]);
    let waiting = waiting(&cluster);
    force_release(&cluster, &["--id", &id, "-y", "--now"]).finish().expect("at once", 0);
    waiting.wait().expect("it is woken", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_server_without_memory_takes_a_revocation_and_a_missing_right_is_said() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, NAME, &["--ttl", "4s"]);
    let id = holder_id(&cluster, &[NAME]);
    for i in 0..3 {
        let words = "ACL SETUSER blind on >pw ~redlock:* ~redlock-queue:* +get +pttl +eval";
        cluster.cli(i, &words.split(' ').collect::<Vec<_>>());
    }
    let run = force_release(&cluster, &["--id", &id, "-y", "--user", "blind"]);
    let text = run.env("REDLOCK_PASSWORD", "pw").finish().expect("no right", 77).out();
    has_words(&text, &["too few of 3 servers could be reached"]);
    (0..3).for_each(|i| drop(cluster.cli(i, &["CONFIG", "SET", "maxmemory", "1"])));
    force_release(&cluster, &["--id", &id, "-y"]).finish().expect("without memory", 0);
    holder.wait().expect("it is told", 74).expect_words("it is told", &["revoked by"]);
    cluster.cli(0, &["CONFIG", "SET", "maxmemory", "0"]);
}
