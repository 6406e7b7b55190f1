//! The messages of redlock, and its silence. Faults of a command line are in `refusals`.

use crate::support::{Cluster, Run, hold, until};

const KEY: &str = "redlock:talk";

#[test]
fn success_is_silent() {
    let cluster = Cluster::start(5);
    for (label, options) in [("by default", &[][..]), ("with a reason", &["--reason", "why not"])] {
        let run = Run::redlock(&cluster).arg_line("run", options, &["talk", "--", "true"]);
        run.finish().expect(label, 0).expect_silence(label);
    }
}

#[test]
fn busy_names_the_lock_and_its_holder() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, "talk", &["--reason", "deploy 42"]);
    let value: serde_json::Value =
        serde_json::from_str(&cluster.get(0, KEY).expect("held")).expect("JSON");
    let owner = value["owner"].as_str().expect("an owner");
    assert!(owner.contains('@'), "no user@host: {owner}");
    for options in [&["-n"][..], &["-w", "300ms"]] {
        let run = Run::redlock(&cluster).arg_line("run", options, &["talk", "--", "true"]);
        run.finish().expect("busy", 75).expect_words("busy", &["talk", owner, "deploy 42"]);
    }
    holder.finish().expect("the holder", 0);
}

#[test]
fn a_busy_lock_of_another_client_is_reported_too() {
    let cluster = Cluster::start(3);
    (0..3).for_each(|i| cluster.occupy(i, KEY));
    let run = Run::redlock(&cluster).args(["run", "-n", "talk", "--", "true"]);
    run.finish().expect("busy", 75).expect_words("busy", &["talk"]);
}

#[test]
fn no_quorum_names_each_instance_with_its_reason() {
    let mut cluster = Cluster::start(5);
    cluster.kill(0);
    cluster.stop(1);
    cluster.require_password(2, "secret");
    let output = Run::redlock(&cluster)
        .args(["run", "-n", "talk", "--", "true"])
        .finish()
        .expect("no quorum", 69);
    let table = [
        ("the dead one", 0, &["refused"][..]),
        ("the hung one", 1, &["time", "answer"]),
        ("the locked one", 2, &["noauth", "password", "auth"]),
    ];
    let said = output.stderr.to_lowercase();
    for (label, i, reasons) in table {
        let address = cluster.address(i);
        let at = said
            .find(&address)
            .unwrap_or_else(|| panic!("{label}, {address}, is not named: {said}"));
        // The reason of the server follows its name, before the next name.
        let rest = &said[at + address.len()..];
        let own = &rest[..rest.find("127.0.0.1").unwrap_or(rest.len())];
        assert!(
            reasons.iter().any(|reason| own.contains(reason)),
            "{label}: no reason in {own:?} of: {said}"
        );
    }
    output.expect_words("no quorum", &["talk"]);
    cluster.cont(1);
}

#[test]
fn a_lost_lock_is_reported() {
    let cluster = Cluster::start(3);
    let running = hold(&cluster, "talk", &["--ttl", "1s"]);
    (0..3).for_each(|i| drop(cluster.cli(i, &["FLUSHALL"])));
    running.wait().expect("lost", 74).expect_words("lost", &["lost", "talk"]);
}

#[test]
fn an_incomplete_release_warns_and_keeps_the_exit_code() {
    let mut cluster = Cluster::start(5);
    for code in [0, 7] {
        let script = format!("echo ready; cat >/dev/null; exit {code}");
        let run =
            Run::redlock(&cluster).args(["run", "--ttl", "1m", "talk", "--", "sh", "-c", &script]);
        let running = run.spawn();
        running.until_ready();
        until("all have the key", || (0..5).all(|i| cluster.get(i, KEY).is_some()));
        (0..3).for_each(|i| cluster.stop(i));
        running
            .finish()
            .expect("the command's own", code)
            .expect_words("release", &["releas", "talk"]);
        (0..3).for_each(|i| cluster.cont(i));
        // The release was in the kernel when redlock exited.
        cluster.until_no_key_is_left();
    }
}

#[test]
fn a_dead_minority_at_the_release_changes_nothing() {
    let mut cluster = Cluster::start(5);
    let running = hold(&cluster, "talk", &["--ttl", "1m"]);
    cluster.kill(0);
    running.finish().expect("released by a majority", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn quiet_says_nothing_of_a_busy_lock_or_of_waiting() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, "talk", &[]);
    for options in [&["-q", "-n"][..], &["--quiet", "-w", "1500ms"], &["-q", "-n", "-E", "0"]] {
        let code = if options.contains(&"-E") { 0 } else { 75 };
        let run = Run::redlock(&cluster).arg_line("run", options, &["talk", "--", "true"]);
        run.finish().expect("busy", code).expect_silence("quiet");
    }
    holder.finish().expect("the holder", 0);
}

#[test]
fn verbose_says_more_on_stderr_and_leaves_stdout_alone() {
    let cluster = Cluster::start(3);
    let output = Run::redlock(&cluster)
        .args(["run", "-v", "talk", "--", "echo", "mine"])
        .finish()
        .expect("-v", 0);
    assert_eq!(output.out(), "mine\n", "stdout belongs to the command");
    assert!(!output.stderr.is_empty(), "nothing more was said");
    for line in output.stderr.lines() {
        assert!(line.starts_with("redlock: "), "who says {line:?}?");
    }
}

#[test]
fn colours_are_only_printed_on_request() {
    let cluster = Cluster::start(3);
    (0..3).for_each(|i| cluster.occupy(i, KEY));
    for (label, options, coloured) in [
        ("auto, no terminal", &[][..], false),
        ("never", &["--color", "never"], false),
        ("always", &["--color", "always"], true),
    ] {
        let output =
            Run::redlock(&cluster).arg_line("run", options, &["-n", "talk", "--", "true"]).finish();
        let output = output.expect(label, 75);
        assert_eq!(output.stderr.contains('\u{1b}'), coloured, "{label}: {:?}", output.stderr);
    }
}

#[test]
fn a_holder_cannot_write_to_the_terminal_of_a_waiting_run() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, "talk", &["--reason", "honest"]);
    let mut value: serde_json::Value =
        serde_json::from_str(&cluster.get(0, KEY).expect("held")).expect("JSON");
    holder.finish().expect("the holder", 0);
    value["owner"] = "\u{1b}[31mroot@host".into();
    value["cmd"] = "sh\nredlock: a lie".into();
    value["reason"] = "\u{7}\u{9b}31m".into();
    (0..3).for_each(|i| drop(cluster.cli(i, &["SET", KEY, &value.to_string(), "PX", "60000"])));
    let output = Run::redlock(&cluster)
        .args(["run", "-n", "talk", "--", "true"])
        .finish()
        .expect("busy", 75);
    assert!(
        !output.stderr.trim_end().chars().any(char::is_control),
        "control characters in {:?}",
        output.stderr
    );
}

#[test]
fn a_name_of_a_file_a_socket_or_an_option_cannot_write_to_the_terminal() {
    let cluster = Cluster::start(3);
    let acts = "a\u{1b}[31m\u{202e}\u{200b}b";
    let socket = "unix:///tmp/a%1b[31m%e2%80%ae%e2%80%8bb";
    for (args, code) in [
        (vec!["--config", acts], 78),
        (vec!["--password-file", acts], 78),
        (vec!["--url", acts], 78),
        (vec!["--url", socket], 78),
        (vec!["--ttl", acts], 64),
        (vec![&*format!("--{acts}")], 64),
    ] {
        let command = ["talk", "--", "true"];
        let run = Run::redlock(&cluster).args(["run", "-n"]).args(&args).args(command);
        let output = run.finish().expect("a strange name", code);
        let acts = |c: char| c.is_control() || "\u{202e}\u{200b}".contains(c);
        assert!(!output.stderr.trim_end().chars().any(acts), "{args:?}: {:?}", output.stderr);
    }
}

#[test]
fn a_holder_with_a_reason_of_four_kilobytes_is_named_with_its_beginning() {
    let cluster = Cluster::start(3);
    let holder = hold(&cluster, "talk", &["--reason", &"ü".repeat(2_000)]);
    let output = Run::redlock(&cluster)
        .args(["run", "-n", "talk", "--", "true"])
        .finish()
        .expect("busy", 75);
    let output = output.expect_words("its holder", &["reason: üüü", ", pid "]);
    assert!(output.stderr.chars().count() < 1_000, "{}", output.stderr);
    holder.finish().expect("the holder", 0);
}

#[test]
fn messages_about_a_key_name_the_key() {
    let cluster = Cluster::start(3);
    let mut holder = hold(&cluster, "ignored", &["--key", "other:key"]);
    let busy =
        Run::redlock(&cluster).args(["run", "-n", "--key", "other:key", "--", "true"]).finish();
    busy.expect("busy", 75).expect_words("busy", &["'other:key' is busy"]);
    let wait = Run::redlock(&cluster).args(["wait", "-w", "0", "--key", "other:key"]).finish();
    wait.expect("wait", 75).expect_words("wait", &["'other:key' is busy"]);
    holder.let_go();
    holder.wait().expect("the holder", 0);
    let show = ["--", "sh", "-c", "echo $REDLOCK_NAME $REDLOCK_KEY"];
    let shown = Run::redlock(&cluster)
        .args(["run", "--key", "other:key"])
        .args(show)
        .finish()
        .expect("the command", 0);
    assert_eq!(shown.out(), "other:key other:key\n");
    let bad = Run::redlock(&cluster).args(["run", "--key", "", "--", "true"]).finish();
    bad.expect("an empty key", 64).expect_words("an empty key", &["--key"]);
}

#[test]
fn a_reason_may_begin_with_a_hyphen() {
    let cluster = Cluster::start(3);
    for reason in ["-fix bug", "--fix the bug", "-1", "- "] {
        let args = ["run", "--reason", reason, "why", "--", "true"];
        Run::redlock(&cluster).args(args).finish().expect(reason, 0).expect_silence(reason);
    }
    for line in [
        &["run", "--reason", "--ttl", "5s", "--", "true"][..],
        &["run", "--reason", "-n", "name", "--", "true"],
        &["run", "name", "--reason", "--", "true"],
        &["run", "--user", "-fix", "name", "--", "true"],
        &["run", "--ttl", "--", "true"],
    ] {
        let output =
            Run::redlock(&cluster).args(line).finish().expect("a value that is missing", 64);
        assert!(
            !output.stderr.contains("REDLOCK_"),
            "a variable that is not set is blamed: {}",
            output.stderr
        );
    }
    cluster.until_no_key_is_left();
}
