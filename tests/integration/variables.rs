//! The meaning of variables and configuration files that are empty, unreadable or another user's.

use crate::support::means::is_root;
use crate::support::run::copy_for_all_users;
use crate::support::{Cluster, Run};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const KEY: [&str; 6] = ["run", "which", "--", "sh", "-c", "echo $REDLOCK_KEY"];

/// A file that names the cluster's servers.
fn configuration(cluster: &Cluster) -> PathBuf {
    let config = cluster.dir().join("config.toml");
    fs::write(&config, format!("urls = {:?}", cluster.urls().split(',').collect::<Vec<_>>()))
        .unwrap();
    config
}

#[test]
fn an_empty_variable_is_none() {
    let cluster = Cluster::start(3);
    for name in [
        "TTL",
        "PREFIX",
        "SLOTS",
        "MIN_HOLD",
        "REENTRANT",
        "NONBLOCK",
        "WAIT",
        "IF_BUSY",
        "SIGNAL",
        "OP_TIMEOUT",
        "SINGLE",
        "USER",
        "PASSWORD",
        "PASSWORD_FILE",
        "CACERT",
        "CONFIG",
        "QUIET",
        "COLOR",
    ] {
        let output = Run::redlock(&cluster)
            .env(&format!("REDLOCK_{name}"), "")
            .args(KEY)
            .finish()
            .expect(name, 0);
        assert_eq!(output.out(), "redlock:which\n", "{name}");
    }
    let config = configuration(&cluster);
    Run::redlock(&cluster)
        .env("REDLOCK_URLS", "")
        .env("REDLOCK_CONFIG", &config)
        .args(KEY)
        .finish()
        .expect("URLS", 0);
    Run::redlock(&cluster)
        .env("REDLOCK_CONFIG", "")
        .args(["wait", "which"])
        .finish()
        .expect("of wait", 0);
}

#[test]
fn a_variable_that_is_no_text_is_refused_and_not_passed_over() {
    let cluster = Cluster::start(3);
    let config = configuration(&cluster);
    for name in ["REDLOCK_URLS", "REDLOCK_PASSWORD", "REDLOCK_HELD"] {
        let run = Run::redlock(&cluster)
            .env("REDLOCK_CONFIG", &config)
            .env(name, OsStr::from_bytes(b"s3cret-\xFF"));
        let output = run.args(KEY).finish().expect(name, 78);
        assert_eq!(
            output.stderr,
            format!("redlock: {name} is not UTF-8; set it to text that is\n")
        );
    }
    cluster.until_no_key_is_left();
}

#[test]
fn a_value_that_was_not_typed_is_refused_with_its_variable() {
    let cluster = Cluster::start(3);
    for (name, value, shown) in [
        ("REDLOCK_WAIT", "soon", "'soon'"),
        // The value is a word of the command as well.
        ("REDLOCK_WAIT", "ech", "'ech'"),
        ("REDLOCK_OP_TIMEOUT", "redis://:s3cret@h", "'redis://…@h'"),
        ("REDLOCK_COLOR", "blue", "'blue'"),
    ] {
        let output = Run::redlock(&cluster).env(name, value).args(KEY).finish().expect(name, 64);
        assert!(output.stderr.contains(shown), "{}", output.stderr);
        assert!(
            output.stderr.contains(&format!("it comes from {name}; see 'redlock run --help'")),
            "{}",
            output.stderr
        );
    }
}

#[test]
fn a_home_that_is_none_has_no_configuration() {
    let cluster = Cluster::start(3);
    let home = cluster.dir().join("home");
    fs::create_dir_all(home.join(".config/redlock")).unwrap();
    let run = |home: &OsStr| {
        Run::redlock(&cluster).without("XDG_CONFIG_HOME").env("HOME", home).args(KEY)
    };
    run("/dev/null".as_ref()).finish().expect("a file for a home", 0);
    fs::write(home.join(".config/redlock/config.toml"), "ttl = 'soon'").unwrap();
    run(home.as_os_str()).finish().expect("a file of ours", 78);
}

#[test]
fn a_home_of_another_user_has_no_configuration() {
    if !is_root("it becomes another user") {
        return;
    }
    let cluster = Cluster::start(3);
    let home = cluster.dir().join("home");
    fs::create_dir_all(home.join(".config/redlock")).unwrap();
    fs::write(home.join(".config/redlock/config.toml"), "ttl = 'soon'").unwrap();
    let redlock = copy_for_all_users(&cluster);
    for dir in [cluster.dir(), &home] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o711)).unwrap();
    }
    let nobody = || {
        let run = Run::program(&cluster, "setpriv").args([
            "--reuid=nobody",
            "--regid=nogroup",
            "--clear-groups",
        ]);
        run.without("XDG_CONFIG_HOME").env("HOME", &home).args([&redlock]).args(KEY)
    };
    let shut = |dir: &Path| fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
    shut(&home.join(".config"));
    nobody().finish().expect("another's configurations", 0);
    shut(&home);
    nobody().finish().expect("another's home", 0);
}

#[test]
fn a_command_in_a_lock_does_not_wait_for_that_lock() {
    let cluster = Cluster::start(3);
    let run = Run::redlock(&cluster).args([
        "run",
        "around",
        "--",
        "sh",
        "-c",
        "exec \"$RL\" wait around",
    ]);
    let output = run.finish().expect("wait", 64);
    assert!(
        output.stderr.contains("'around' is already held by a redlock around this one"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_variable_that_nothing_reads_is_warned_of_once() {
    let cluster = Cluster::start(3);
    let with = |name: &str| Run::redlock(&cluster).env(name, "redis://:s3cret@h");
    for (name, words) in [
        ("REDLOCK_TLL", "nothing reads the variable REDLOCK_TLL; did you mean REDLOCK_TTL?\n"),
        ("REDLOCK_URL", "nothing reads the variable REDLOCK_URL; did you mean REDLOCK_URLS?\n"),
        ("REDLOCK_LOCK", "nothing reads the variable REDLOCK_LOCK\n"),
    ] {
        for line in [&KEY[..], &["wait", "which"]] {
            let output = with(name).args(line).finish().expect(name, 0);
            assert_eq!(output.stderr, format!("redlock: {words}"), "{line:?}");
        }
        with(name)
            .env("REDLOCK_QUIET", "1")
            .args(["wait", "which"])
            .finish()
            .expect(name, 0)
            .expect_silence(name);
    }
    for name in
        ["NAME", "KEY", "ID", "TTL_MS", "SLOT", "FENCE", "SERVER", "TEST_X", "CHAOS_X", "USER"]
    {
        let name = format!("REDLOCK_{name}");
        let output =
            with(&name).env("REDLOCK_PASSWORD", "").args(["wait", "--user", "", "which"]).finish();
        assert!(!output.stderr.contains("nothing reads"), "{name}: {}", output.stderr);
    }
    with("REDLOCK_TLL")
        .env("REDLOCK_TLL", "")
        .args(["wait", "which"])
        .finish()
        .expect_silence("an empty one is not set");
}

#[test]
fn a_variable_that_was_meant_for_the_servers_is_named_where_they_are_missing() {
    let cluster = Cluster::start(0);
    let run =
        Run::redlock(&cluster).without("REDLOCK_URLS").env("REDLOCK_URL", "redis://h").args(KEY);
    let output = run.finish().expect("no servers", 78);
    assert_eq!(output.stderr.matches("did you mean REDLOCK_URLS?").count(), 1, "{}", output.stderr);
    assert_eq!(output.stderr.lines().count(), 2, "{}", output.stderr);
}
