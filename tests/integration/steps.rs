//! Locks across steps: `redlock acquire`, `extend`, `check` and `release`, each a process of its
//! own.

use crate::support::servers::FOREIGN;
use crate::support::{Cluster, Output, Run, key_of};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

/// A verb about the handle in the file `h`.
fn step(cluster: &Cluster, verb: &str, more: &[&str]) -> Output {
    Run::redlock(cluster).args([verb, "--handle", "h"]).args(more).finish()
}

fn acquire(cluster: &Cluster, name: &str, more: &[&str]) -> Output {
    step(cluster, "acquire", &[&["--ttl", "1m", name], more].concat())
}

fn handle(cluster: &Cluster) -> PathBuf {
    cluster.dir().join("h")
}

/// Replaces `old` by `new` in the handle.
fn edit(cluster: &Cluster, old: &str, new: &str) {
    let text = fs::read_to_string(handle(cluster)).unwrap();
    assert!(text.contains(old), "{text}");
    fs::write(handle(cluster), text.replace(old, new)).unwrap();
}

#[test]
fn a_lock_goes_from_step_to_step_in_a_private_file() {
    let cluster = Cluster::start(3);
    acquire(&cluster, "a", &[]).expect("acquire", 0).expect_silence("acquire");
    let mode = fs::metadata(handle(&cluster)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    step(&cluster, "check", &[]).expect("check", 0).expect_silence("check");
    (0..3).for_each(|i| drop(cluster.cli(i, &["PEXPIRE", &key_of("a"), "30000"])));
    step(&cluster, "extend", &[]).expect("extend", 0).expect_silence("extend");
    assert!((0..3).all(|i| cluster.pttl(i, &key_of("a")) > 31_000));
    let other = Run::redlock(&cluster).args(["run", "-n", "a", "--", "true"]).finish();
    other.expect("another run", 75);
    let inside = |more: &[&str]| {
        let run = Run::redlock(&cluster).env("REDLOCK_HANDLE", handle(&cluster)).args(["run"]);
        run.args(more).args(["a", "--", "echo", "inside"]).finish()
    };
    let output = inside(&[]).expect("it would wait for itself", 64);
    output.expect_words("nested", &["'a' is already held"]);
    assert_eq!(inside(&["--reentrant"]).expect("inside", 0).out(), "inside\n");
    step(&cluster, "release", &[]).expect("release", 0).expect_silence("release");
    cluster.until_no_key_is_left();
    let output = inside(&["--reentrant"]).expect("a lock of its own", 0);
    assert_eq!((output.out().as_str(), output.stderr.as_str()), ("inside\n", ""));
    cluster.until_no_key_is_left();
    acquire(&cluster, "a", &["--slots", "2"]).expect("the file is used again", 0);
    step(&cluster, "extend", &[]).expect("of a slot", 0);
    assert_eq!(inside(&["--slots", "2", "--reentrant"]).expect("of slots", 0).out(), "inside\n");
    step(&cluster, "release", &[]).expect("of a slot", 0);
    acquire(&cluster, "a", &["-l", "b", "--min-hold", "30s"]).expect("two names", 0);
    step(&cluster, "extend", &[]).expect("of two names", 0);
    step(&cluster, "release", &[]).expect("of two names", 0);
    let left = cluster.pttl(0, &key_of("b"));
    assert!((1..=30_000).contains(&left), "--min-hold: {left}");
}

#[test]
fn each_impossible_step_has_one_sentence_and_its_code() {
    let cluster = Cluster::start(3);
    let others = Cluster::start(3);
    let tell = |label: &str, output: Output, code: i32, words: &str| {
        let output = output.expect(label, code).expect_words(label, &[words]);
        assert_eq!(output.stderr.lines().count(), 1, "{label}: {}", output.stderr);
    };
    let of = |cluster: &Cluster, words: &[&str]| Run::redlock(cluster).args(words).finish();
    tell("no ttl", of(&cluster, &["acquire", "a"]), 64, "missing --ttl");
    tell("no handle", of(&cluster, &["extend"]), 64, "no handle: give --handle");
    let typed = of(&cluster, &["release", "--handle", "{\"redlock_handle\":1}"]);
    tell("typed", typed, 64, "every user sees arguments");
    let stranger = Run::redlock(&cluster).args(["release", "--handle", "-"]);
    tell("no handle at all", stranger.finish_with_input(b"token\n"), 64, "expected a handle that");
    acquire(&cluster, "a", &[]).expect("acquire", 0);
    let again = of(&cluster, &["acquire", "-n", "a", "--ttl", "1m"]);
    tell("acquired twice", again, 75, "'a' is busy, held by");
    tell("the same file", acquire(&cluster, "b", &[]), 64, "which may be held; release it");
    let text = fs::read_to_string(handle(&cluster)).unwrap();
    for verb in ["extend", "release", "check"] {
        let run = Run::redlock(&others).args([verb, "--handle", "-"]);
        tell(verb, run.finish_with_input(text.as_bytes()), 78, "a lock on other servers");
    }
    fs::set_permissions(handle(&cluster), fs::Permissions::from_mode(0o666)).unwrap();
    tell("writable", step(&cluster, "extend", &[]), 64, "can be changed by other users");
    fs::set_permissions(handle(&cluster), fs::Permissions::from_mode(0o600)).unwrap();
    step(&cluster, "release", &[]).expect("release", 0);
    tell("released twice", step(&cluster, "release", &[]), 0, "'a' was released before");
    tell("extended after", step(&cluster, "extend", &[]), 74, "'a' was released");
    let copy = Run::redlock(&cluster).args(["release", "--handle", "-"]);
    let copy = copy.finish_with_input(text.as_bytes());
    tell("a copy, released twice", copy, 74, "was lost, or released elsewhere");
    cluster.until_no_key_is_left();
}

#[test]
fn a_lost_lock_is_told_and_the_next_holder_keeps_its_lock() {
    let cluster = Cluster::start(3);
    for verb in ["extend", "check", "release"] {
        acquire(&cluster, "a", &[]).expect("acquire", 0);
        (0..2).for_each(|i| cluster.occupy(i, &key_of("a")));
        let output = step(&cluster, verb, &[]).expect(verb, 74);
        output.expect_words(verb, &["'a' "]);
        for i in 0..2 {
            assert_eq!(cluster.get(i, &key_of("a")).as_deref(), Some(FOREIGN), "{verb}");
        }
        step(&cluster, "release", &[]).expect("what is left", 74);
        assert_eq!(cluster.get(2, &key_of("a")), None, "{verb}");
        (0..2).for_each(|i| drop(cluster.cli(i, &["DEL", &key_of("a")])));
    }
}

#[test]
fn an_expired_lock_is_lost_and_set_again_nowhere() {
    let cluster = Cluster::start(3);
    step(&cluster, "acquire", &["--ttl", "300ms", "a"]).expect("acquire", 0);
    cluster.until_no_key_is_left();
    step(&cluster, "extend", &[]).expect("extend", 74).expect_words("extend", &["it expired"]);
    step(&cluster, "release", &[]).expect("release", 74);
    cluster.until_no_key_is_left();
    acquire(&cluster, "a", &[]).expect("acquire again", 0);
    cluster.cli(0, &["DEL", &key_of("a")]);
    step(&cluster, "extend", &[]).expect("the members are a quorum", 0);
    assert!(cluster.get(0, &key_of("a")).is_some(), "set again, as long as the others hold it");
    step(&cluster, "extend", &[]).expect("once more", 0);
    (0..3).for_each(|i| drop(cluster.cli(i, &["DEL", &key_of("a")])));
    step(&cluster, "extend", &[]).expect("no member is left", 74);
    let left = (0..3).filter(|i| cluster.get(*i, &key_of("a")).is_some()).count();
    assert!(left <= 1, "on {left} servers after a loss");
}

#[test]
fn silent_servers_leave_a_lock_unknown_and_a_copy_on_another_host_cannot_extend() {
    let mut cluster = Cluster::start(3);
    acquire(&cluster, "a", &[]).expect("acquire", 0);
    let text = fs::read_to_string(handle(&cluster)).unwrap();
    let host = text.split("\"host\":\"").nth(1).unwrap().split('"').next().unwrap();
    edit(&cluster, &format!("\"host\":\"{host}\""), "\"host\":\"elsewhere\"");
    for verb in ["extend", "release"] {
        let output = step(&cluster, verb, &[]).expect(verb, 78);
        output.expect_words(verb, &["of host \"elsewhere\"", "other servers on this host"]);
    }
    edit(&cluster, "\"~", "\"");
    let output = step(&cluster, "extend", &[]).expect("other names", 78);
    output.expect_words("other names", &["a lock on other servers"]);
    fs::write(handle(&cluster), &text).unwrap();
    edit(&cluster, "\"clock\":\"", "\"clock\":\"earlier-");
    let output = step(&cluster, "extend", &[]).expect("a restart", 74);
    output.expect_words("a restart", &["this host has restarted since"]);
    fs::write(handle(&cluster), &text).unwrap();
    cluster.kill(0);
    step(&cluster, "extend", &[]).expect("a minority is dead", 0);
    cluster.kill(1);
    let output = step(&cluster, "extend", &[]).expect("a majority is dead", 69);
    output.expect_words("extend", &["which expires in"]);
    step(&cluster, "check", &[]).expect("a majority is dead", 69);
    step(&cluster, "release", &[]).expect("a majority is dead", 69);
    assert_eq!(cluster.get(2, &key_of("a")), None, "it was released where it could be");
}

#[test]
fn a_server_that_restarted_is_no_member() {
    let mut cluster = Cluster::start(3);
    // The key is set again by hand, as if it had never been lost.
    let value = |cluster: &Cluster, i: usize| cluster.get(i, &key_of("b")).unwrap();
    let run = |cluster: &Cluster, verb: &str, more: &[&str]| {
        let run = Run::redlock(cluster).env("REDLOCK_RESTART_GUARD", "1m");
        run.args([verb, "--handle", "h"]).args(more).finish()
    };
    acquire(&cluster, "b", &[]).expect("acquire", 0);
    for i in 0..2 {
        let kept = value(&cluster, i);
        cluster.restart(i);
        cluster.cli(i, &["SET", &key_of("b"), &kept, "PX", "60000"]);
    }
    run(&cluster, "extend", &[]).expect("one member is left", 74);
}

#[test]
fn two_extensions_at_once_and_a_release_meanwhile_leave_one_truth() {
    let cluster = Cluster::start(3);
    acquire(&cluster, "a", &[]).expect("acquire", 0);
    let extend = || Run::redlock(&cluster).args(["extend", "--handle", "h"]).spawn();
    let running: Vec<_> = (0..4).map(|_| extend()).collect();
    for one in running {
        one.finish().expect("extend", 0);
    }
    let (one, release) =
        (extend(), Run::redlock(&cluster).args(["release", "--handle", "h"]).spawn());
    let code = one.finish().status.code();
    assert!(matches!(code, Some(0 | 74)), "{code:?}");
    release.finish().expect("release", 0);
    cluster.until_no_key_is_left();
    assert_eq!(
        fs::read_dir(cluster.dir())
            .unwrap()
            .filter(|entry| {
                entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".h")
            })
            .count(),
        0,
        "no draft is left"
    );
}

#[test]
fn a_handle_without_a_file_goes_through_a_shell_or_through_github() {
    let cluster = Cluster::start(3);
    let script = r#"set -e
        eval "$("$RL" acquire a --ttl 1m --export)"
        "$RL" check
        eval "$("$RL" extend --export)"
        "$RL" extend | "$RL" release --handle -
        "$RL" check || echo "code $?""#;
    let output = Run::shell(&cluster, script).finish().expect("a shell", 0);
    assert_eq!(output.out(), "code 74\n", "{}", output.stderr);
    cluster.until_no_key_is_left();
    let of_github = |more: &[&str]| {
        let run = Run::redlock(&cluster).env("GITHUB_OUTPUT", "out").env("GITHUB_ENV", "env");
        run.args(["acquire", "--ttl", "1m", "--github"]).args(more).finish().expect("github", 0)
    };
    assert!(of_github(&["b"]).out().starts_with("::add-mask::{"));
    assert_eq!(of_github(&["c", "--handle", "h"]).out(), "");
    let read = |name: &str| fs::read_to_string(cluster.dir().join(name)).unwrap();
    let (out, env) = (read("out"), read("env"));
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(out.starts_with("handle={\"redlock_handle\":1,"), "{out}");
    let path = handle(&cluster).display().to_string();
    assert!(env.ends_with(&format!("\nREDLOCK_HANDLE={path}\n")), "{env}");
    let run = Run::redlock(&cluster).args(["acquire", "d", "--ttl", "1m", "--github"]);
    let output = run.without("GITHUB_OUTPUT").finish().expect("no github", 64);
    output.expect_words("no github", &["--github needs GITHUB_OUTPUT"]);
}

#[test]
fn a_handle_that_cannot_be_written_takes_no_lock() {
    let cluster = Cluster::start(3);
    let acquire = |file: &str| {
        let run = Run::redlock(&cluster).args(["acquire", "a", "--ttl", "1m", "--handle", file]);
        run.finish().expect(file, 64)
    };
    acquire("none/h").expect_words("no directory", &["cannot write the handle"]);
    fs::write(cluster.dir().join("notes"), "mine").unwrap();
    acquire("notes").expect_words("another file", &["exists and is no handle"]);
    cluster.until_no_key_is_left();
    let full = Run::shell(&cluster, r#""$RL" acquire a --ttl 1m >/dev/full"#).finish();
    full.expect("a full disk", 125).expect_words("a full disk", &["so the lock was released"]);
    cluster.until_no_key_is_left();
}

/// Number of jobs and of their cycles: few in `make test`, 20 and 50 with these variables.
fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn jobs_of_several_steps_count_exactly() {
    let cluster = Cluster::start(5);
    let jobs = number("REDLOCK_TEST_JOBS", 4);
    let cycles = number("REDLOCK_TEST_CYCLES", 5);
    let counter = cluster.dir().join("f");
    fs::write(&counter, "0\n").unwrap();
    let script = format!(
        r#"for cycle in $(seq {cycles}); do
               "$RL" acquire -q counter --ttl 30s --handle "h$JOB" || exit 1
               n=$(cat f)
               "$RL" extend --handle "h$JOB" || exit 2
               echo $((n+1)) >f
               "$RL" release --handle "h$JOB" || exit 3
           done"#
    );
    let job = |job: usize| Run::shell(&cluster, &script).env("JOB", job.to_string()).spawn();
    let running: Vec<_> = (0..jobs).map(job).collect();
    for job in running {
        let output = job.wait_within(Duration::from_secs(600)).expect("a job", 0);
        assert_eq!(output.stderr, "");
    }
    let count: usize = fs::read_to_string(&counter).unwrap().trim().parse().unwrap();
    assert_eq!(count, jobs * cycles, "two were in at once");
    cluster.until_no_key_is_left();
}
