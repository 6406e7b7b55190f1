//! A refusal leaves no key behind: every right and command that an extension or a release needs is
//! tried before the key is set.

use crate::support::clock::{now, since};
use crate::support::{Cluster, Run, hold, until};
use std::time::Duration;

/// The commands that a run needs on its key.
const NEEDED: [&str; 6] = ["eval", "set", "get", "del", "pexpire", "pttl"];

/// Runs a command under a lock, as this user, on servers that all refuse `command`: the command
/// does not run, the exit code is `code`, the message names `command`, and no key is left at the
/// exit.
fn is_refused_without_a_trace(cluster: &Cluster, user: &str, command: &str, code: i32) {
    let urls: Vec<String> =
        (0..3).map(|i| format!("redis://{user}{}", cluster.address(i))).collect();
    for target in [&["one"][..], &["--slots", "2", "slot"]] {
        let label = format!("{command} refused for {target:?}");
        let run = Run::redlock(cluster).env("REDLOCK_URLS", urls.join(","));
        let run = run.args(["run", "-w", "9s", "--ttl", "60s"]).args(target);
        let begun = now();
        let output = run.args(["--", "echo", "ran"]).finish();
        let took = since(begun);
        let left: Vec<String> = (0..3).flat_map(|i| cluster.keys(i)).collect();
        let output = output.expect(&label, code).expect_words(&label, &[command]);
        assert_eq!(output.out(), "", "{label}");
        assert!(took < Duration::from_secs(9), "{label}: it waited for what does not change");
        assert!(!left.iter().any(|key| key.starts_with("redlock:")), "{label}: {left:?} is left");
    }
}

#[test]
fn a_missing_right_to_extend_or_release_is_refused_before_a_key_is_set() {
    let cluster = Cluster::start(3);
    for command in NEEDED {
        let user = ["ACL", "SETUSER", "locker", "reset", "on", ">pw", "~*", "&*", "+@all"];
        let words: Vec<String> =
            user.iter().map(|&word| word.to_owned()).chain([format!("-{command}")]).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        (0..3).for_each(|i| drop(cluster.cli(i, &words)));
        is_refused_without_a_trace(&cluster, "locker:pw@", command, 77);
    }
}

#[test]
fn a_renamed_command_is_refused_before_a_key_is_set() {
    for command in NEEDED {
        let cluster = Cluster::start_with(3, &["--rename-command", command, "other"]);
        is_refused_without_a_trace(&cluster, "", command, 78);
    }
}

#[test]
fn a_lock_that_was_waited_for_is_released_without_the_right_to_delete_it() {
    let cluster = Cluster::start(3);
    let user = ["ACL", "SETUSER", "locker", "reset", "on", ">pw", "~*", "&*", "+@all", "-del"];
    (0..3).for_each(|i| drop(cluster.cli(i, &user)));
    let holder = hold(&cluster, "one", &[]);
    let urls: Vec<String> =
        (0..3).map(|i| format!("redis://locker:pw@{}", cluster.address(i))).collect();
    let run = Run::redlock(&cluster).env("REDLOCK_URLS", urls.join(","));
    let waiter = run.args(["run", "--ttl", "60s", "one", "--", "true"]).spawn();
    until("it waits in line", || (0..3).all(|i| cluster.in_line(i, "redlock:one") == 1));
    holder.finish().expect("the holder", 0);
    waiter.wait().expect_words("the missing right is named", &["del"]);
    let left: Vec<String> = (0..3).flat_map(|i| cluster.keys(i)).collect();
    assert!(!left.iter().any(|key| key.starts_with("redlock:")), "{left:?} is left");
}

#[test]
fn a_key_that_may_not_be_read_is_no_holder_to_wait_for() {
    let cluster = Cluster::start(3);
    let user = ["ACL", "SETUSER", "locker", "reset", "on", ">pw", "~*", "&*", "+@all", "-get"];
    for i in 0..3 {
        drop(cluster.cli(i, &user));
        cluster.occupy(i, "redlock:one");
    }
    let urls: Vec<String> =
        (0..3).map(|i| format!("redis://locker:pw@{}", cluster.address(i))).collect();
    let run = Run::redlock(&cluster).env("REDLOCK_URLS", urls.join(","));
    let output = run.args(["wait", "-w", "9s", "one"]).finish();
    output.expect("the right is missing", 77).expect_words("the right", &["noperm"]);
}
