//! The lock as the command sees it, and the command as the servers see it.

use crate::support::{Cluster, Run, hold, key_of};
use std::collections::HashMap;
use std::time::Duration;

/// The environment of a command under redlock.
fn environment(run: Run) -> HashMap<String, String> {
    let output = run.args(["--", "env"]).finish().expect("env", 0);
    let out = output.out();
    out.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

#[test]
fn the_environment_tells_of_the_lock_and_hides_the_servers() {
    let mut cluster = Cluster::start(3);
    (0..3).for_each(|i| cluster.require_password(i, "s3cret"));
    let urls = (0..3)
        .map(|i| format!("redis://:s3cret@{}", cluster.address(i)))
        .collect::<Vec<_>>()
        .join(",");
    let file = cluster.dir().join("password");
    std::fs::write(&file, "s3cret").unwrap();
    let run = Run::redlock(&cluster).env("REDLOCK_URLS", urls).env("REDLOCK_PASSWORD_FILE", &file);
    let seen = environment(run.args(["run", "--ttl", "30s", "job"]));
    assert!(!seen.contains_key("REDLOCK_URLS"), "the servers are shown");
    assert!(!seen.contains_key("REDLOCK_PASSWORD_FILE"), "the password's file is shown");
    let telling: Vec<_> = seen.iter().filter(|(_, value)| value.contains("s3cret")).collect();
    assert!(telling.is_empty(), "the password is shown: {telling:?}");
    for (name, value) in
        [("REDLOCK_NAME", "job"), ("REDLOCK_KEY", "redlock:job"), ("REDLOCK_TTL_MS", "30000")]
    {
        assert_eq!(seen.get(name).map(String::as_str), Some(value), "{name}");
    }
    let id = &seen["REDLOCK_ID"];
    assert!(!id.is_empty(), "the id is public");
    let held = &seen["REDLOCK_HELD"];
    assert!(held.starts_with("redlock:job ") && held.ends_with(&format!(".{id}")), "{held}");
}

#[test]
fn the_value_on_the_servers_names_the_holder_and_no_more() {
    let cluster = Cluster::start(3);
    let script = "echo \"ready $REDLOCK_ID\"; cat >/dev/null # hidden-argument";
    let run =
        Run::redlock(&cluster).args(["run", "--ttl", "20s", "--reason", "deploy 42", "job", "--"]);
    let running = run.args(["sh", "-c", script]).spawn();
    running.until_ready();
    let text = cluster
        .get(0, &key_of("job"))
        .or_else(|| cluster.get(1, &key_of("job")))
        .expect("a majority has it");
    assert!(!text.contains('\n'), "one line: {text}");
    assert!(!text.contains("hidden-argument"), "no other user may see the arguments: {text}");
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["ttl_ms"], 20_000);
    assert_eq!(value["n"], 3);
    assert_eq!(value["cmd"], "sh");
    assert_eq!(value["reason"], "deploy 42");
    assert_eq!(value["pid"], running.pid());
    for field in ["v", "id", "token", "owner", "since"] {
        assert!(!value[field].is_null(), "no {field} in {text}");
    }
    assert_ne!(value["id"], value["token"], "the token is no secret any more");
    let id = value["id"].as_str().expect("an id").to_owned();
    let output = running.finish().expect("held", 0);
    assert_eq!(output.out().trim(), format!("ready {id}"), "the command knows another id");
}

#[test]
fn without_a_name_the_command_and_its_arguments_are_the_name() {
    let cluster = Cluster::start(3);
    let name = |directory: &std::path::Path, script: &str| -> String {
        let run =
            Run::redlock(&cluster).in_directory(directory).args(["run", "--", "sh", "-c", script]);
        run.finish().expect("no name", 0).out().trim().to_owned()
    };
    let script = "echo $REDLOCK_NAME";
    let derived = name(cluster.dir(), script);
    let digest = derived.strip_prefix("sh-").unwrap_or_else(|| panic!("no program in {derived}"));
    assert!(
        digest.len() == 12 && digest.chars().all(|digit| digit.is_ascii_hexdigit()),
        "no digest in {derived}"
    );
    assert_eq!(name("/".as_ref(), script), derived, "the directory has no part in it");
    assert_ne!(
        name(cluster.dir(), "echo  $REDLOCK_NAME"),
        derived,
        "the arguments have no part in it"
    );
}

#[test]
fn a_derived_name_is_shown_to_a_run_that_finds_it_busy() {
    let cluster = Cluster::start(3);
    let command = ["sh", "-c", "echo \"$REDLOCK_NAME ready\"; cat >/dev/null"];
    let first = Run::redlock(&cluster).args(["run", "--"]).args(command).spawn();
    first.until_ready();
    let name = first.stdout().split_whitespace().next().unwrap().to_owned();
    let second = Run::redlock(&cluster).args(["run", "-n", "--"]).args(command).finish();
    second.expect("busy", 75).expect_words("busy", &[&name]);
    first.finish().expect("first", 0);
}

#[test]
fn a_string_is_run_by_a_shell() {
    let cluster = Cluster::start(3);
    let table: [(&str, &[&str]); 3] = [
        ("short", &["run", "sums", "-c", "echo $((6 * 7))"]),
        ("long", &["run", "--command", "echo $((6 * 7))", "sums"]),
        ("without a name", &["run", "-c", "echo $((6 * 7))"]),
    ];
    for (label, args) in table {
        assert_eq!(
            Run::redlock(&cluster).args(args).finish().expect(label, 0).out(),
            "42\n",
            "{label}"
        );
    }
}

#[test]
fn a_literal_key_excludes_other_redlock_clients() {
    let cluster = Cluster::start(3);
    let show = ["--", "sh", "-c", "echo $REDLOCK_KEY; cat >/dev/null"];
    let running = Run::redlock(&cluster).args(["run", "--key", "app:lock"]).args(show).spawn();
    running.until_stdout("app:lock\n");
    // The SET by which another client acquires the lock.
    let granted = (0..3).filter(|&i| {
        cluster.ask::<Option<String>>(i, &["SET", "app:lock", "x", "NX", "PX", "9"]).is_some()
    });
    assert!(granted.count() < 2, "another client got in");
    running.finish().expect("a literal key", 0);
    (0..3).for_each(|i| cluster.occupy(i, "app:lock"));
    let busy =
        Run::redlock(&cluster).args(["run", "-n", "--key", "app:lock", "--", "true"]).finish();
    busy.expect("the other client has it", 75);
}

#[test]
fn a_prefix_separates_locks_of_one_name() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, "job", &["--prefix", "blue:"]);
    assert!(
        (0..3).filter(|&i| cluster.get(i, "blue:job").is_some()).count() >= 2,
        "the prefix is not in the key"
    );
    let run = |prefix: &str| {
        Run::redlock(&cluster).args(["run", "-n", "--prefix", prefix, "job", "--", "true"]).finish()
    };
    run("green:").expect("another prefix", 0);
    run("blue:").expect("the same prefix", 75);
    holder.finish().expect("the holder", 0);
}

#[test]
fn a_nested_run_for_a_held_name_fails_at_once() {
    let cluster = Cluster::start(3);
    let urls: Vec<_> = (0..3).map(|i| format!("-u {}", cluster.url(i))).collect();
    let nested = |name: &str| {
        format!(r#""$RL" run {} --restart-guard off {name} -- sh -c 'echo ran'"#, urls.join(" "))
    };
    let outer = |script: &str| {
        Run::redlock(&cluster).args(["run", "outer", "--", "sh", "-c", script]).finish()
    };
    let deadlock = outer(&nested("outer"));
    assert!(!deadlock.status.success(), "it deadlocks or runs twice");
    assert_eq!(deadlock.out(), "", "the nested command ran");
    deadlock.expect_words("nested", &["outer"]);
    assert_eq!(outer(&nested("inner")).expect("another name", 0).out(), "ran\n");
    cluster.until_no_key_is_left();
}

#[test]
fn a_command_line_may_be_as_long_as_the_system_lets_it_be() {
    let cluster = Cluster::start(3);
    let long = "é".repeat(60_000);
    let run = Run::redlock(&cluster).args([
        "run",
        "long",
        "--",
        "sh",
        "-c",
        "printf %s \"$@\" | wc -c",
        "sh",
    ]);
    // The limit is half of what a guardian takes that searches the whole message after each part,
    // and fifteen times what a good one takes.
    let output = run
        .args([long.as_str(); 14])
        .spawn()
        .wait_within(Duration::from_secs(8))
        .expect("1.7 MB", 0);
    assert_eq!(output.out().trim(), (14 * long.len()).to_string());
}
