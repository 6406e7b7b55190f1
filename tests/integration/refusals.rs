//! Command lines, settings and rights that are refused, with one sentence that names the change.

use crate::support::clock::{now, since};
use crate::support::{Cluster, Output, Run};
use std::fs;
use std::time::Duration;

fn with_urls(cluster: &Cluster, urls: &str) -> Output {
    Run::redlock(cluster)
        .env("REDLOCK_URLS", urls)
        .args(["run", "gate", "--", "sh", "-c", "echo ran"])
        .finish()
}

#[test]
fn a_missing_separator_prints_the_corrected_line() {
    let cluster = Cluster::start(0);
    let table: [(&str, &[&str], &str); 4] = [
        ("name and command", &["run", "backup", "./x.sh", "a"], "redlock run backup -- ./x.sh a"),
        (
            "options",
            &["run", "--ttl", "30s", "backup", "./x.sh"],
            "redlock run --ttl 30s backup -- ./x.sh",
        ),
        (
            "a flag of the command",
            &["run", "backup", "./x.sh", "--fast"],
            "redlock run backup -- ./x.sh --fast",
        ),
        (
            "a word with a blank",
            &["run", "backup", "echo", "a b"],
            "redlock run backup -- echo 'a b'",
        ),
    ];
    for (label, args, line) in table {
        Run::redlock(&cluster).args(args).finish().expect(label, 64).expect_words(label, &[line]);
    }
}

#[test]
fn a_ttl_too_short_for_kill_after_is_refused() {
    let cluster = Cluster::start(3);
    let table: [(&str, &[&str], &[&str]); 3] = [
        ("kill-after", &["--ttl", "1s", "--kill-after", "900ms"], &["ttl", "kill-after"]),
        ("op-timeout", &["--ttl", "1s", "--op-timeout", "600ms"], &["ttl", "op-timeout"]),
        ("longer than the TTL", &["--ttl", "10s", "-k", "20s"], &["ttl", "kill-after"]),
    ];
    for (label, options, words) in table {
        let output = Run::redlock(&cluster)
            .arg_line("run", options, &["gate", "--", "sh", "-c", "echo ran"])
            .finish();
        let output = output.expect(label, 64).expect_words(label, words);
        assert_eq!(output.out(), "", "{label}: the command ran");
    }
}

#[test]
fn a_bad_url_is_named_without_its_password() {
    let cluster = Cluster::start(3);
    let good = cluster.urls_of([0, 1]);
    let table = [
        ("a port that is no number", "redis://user:s3cret@lock-1:port"),
        ("a port that is too large", "redis://:s3cret@lock-1:99999"),
        ("another scheme", "http://user:s3cret@lock-1"),
        ("a bracket left open", "redis://user:s3cret@[::1"),
        ("a database that is no number", "redis://user:s3cret@lock-1/one"),
        ("two at signs", "redis://user:s3cret@@lock-1:port"),
        ("a colon too many", "redis://user:s3cret@lock-1:6379:6380"),
    ];
    for (label, url) in table {
        let output = with_urls(&cluster, &format!("{good},{url}")).expect(label, 78);
        assert!(
            !output.stderr.contains("s3cret"),
            "{label}: the password is shown: {}",
            output.stderr
        );
        output.expect_words(label, &["url"]);

        let by_flag =
            Run::redlock(&cluster).args(["run", "-v", "-u", url, "gate", "--", "true"]).finish();
        assert!(
            !by_flag.stderr.contains("s3cret"),
            "{label}, by flag: the password is shown: {}",
            by_flag.stderr
        );
        by_flag.expect(label, 78);
    }
}

#[test]
fn a_duplicate_url_is_named() {
    let cluster = Cluster::start(3);
    let (good, address) = (cluster.urls_of([0, 1]), cluster.address(0));
    let table = [
        ("twice the same", format!("redis://{address}")),
        ("without its scheme", address.clone()),
        ("with a slash", format!("redis://{address}/")),
        ("with a database", format!("redis://{address}/0")),
        ("with a password", format!("redis://:s3cret@{address}")),
    ];
    for (label, url) in table {
        let output = with_urls(&cluster, &format!("{good},{url}")).expect(label, 78);
        let output = output.expect_words(label, &[&address]);
        assert!(
            !output.stderr.contains("s3cret"),
            "{label}: the password is shown: {}",
            output.stderr
        );
        assert_eq!(output.out(), "", "{label}: the command ran");
    }
}

#[test]
fn a_configuration_that_cannot_be_read_is_78() {
    let cluster = Cluster::start(3);
    let broken = cluster.dir().join("broken.toml");
    fs::write(&broken, "urls = [").unwrap();
    let misspelt = cluster.dir().join("misspelt.toml");
    fs::write(&misspelt, "tttl = \"30s\"\n").unwrap();
    let table = [
        ("no such file", "--config", "/no/such/file.toml"),
        ("no TOML", "--config", broken.to_str().unwrap()),
        ("a key that is none", "--config", misspelt.to_str().unwrap()),
        ("no password file", "--password-file", "/no/such/password"),
    ];
    for (label, flag, path) in table {
        let output =
            Run::redlock(&cluster).args(["run", flag, path, "gate", "--", "true"]).finish();
        output.expect(label, 78).expect_words(label, &[path.rsplit('/').next().unwrap()]);
    }
}

#[test]
fn access_that_is_refused_by_a_majority_ends_the_wait_at_once() {
    let mut cluster = Cluster::start(3);
    (0..3).for_each(|i| cluster.require_password(i, "right"));
    (0..3).for_each(|i| {
        drop(cluster.cli(i, &["ACL", "SETUSER", "reader", "on", ">right", "~*", "+get", "+auth"]));
    });
    let with = |login: &str| -> String {
        (0..3)
            .map(|i| format!("redis://{login}{}", cluster.address(i)))
            .collect::<Vec<_>>()
            .join(",")
    };
    let table = [
        ("no password", with(""), 77),
        ("a wrong password", with(":wrong@"), 77),
        ("an unknown user", with("nobody:right@"), 77),
        ("a user without the right to SET", with("reader:right@"), 77),
        ("the right password", with(":right@"), 0),
        ("the right user and password", with("default:right@"), 0),
    ];
    for (label, urls, code) in table {
        let start = now();
        let output = with_urls(&cluster, &urls).expect(label, code);
        assert_eq!(output.out(), if code == 0 { "ran\n" } else { "" }, "{label}");
        assert!(
            since(start) < Duration::from_secs(5),
            "{label}: it waited for what does not change"
        );
        if code != 0 {
            assert!(
                !output.stderr.contains("wrong@"),
                "{label}: the password is shown: {}",
                output.stderr
            );
            output.expect_words(label, &[&cluster.address(0), &cluster.address(1)]);
        }
    }
    cluster.until_no_key_is_left();
}

#[test]
fn a_minority_that_refuses_access_is_done_without() {
    let mut cluster = Cluster::start(3);
    cluster.require_password(0, "secret");
    assert_eq!(with_urls(&cluster, &cluster.urls()).expect("two of three", 0).out(), "ran\n");
    cluster.require_password(1, "secret");
    let output = with_urls(&cluster, &cluster.urls()).expect("one of three", 77);
    assert_eq!(output.out(), "");
    cluster.until_no_key_is_left();
}

#[test]
fn a_password_may_come_from_a_file() {
    let mut cluster = Cluster::start(3);
    (0..3).for_each(|i| cluster.require_password(i, "right"));
    (0..3).for_each(|i| {
        drop(cluster.cli(i, &["ACL", "SETUSER", "locker", "on", ">other", "~*", "+@all"]));
    });
    let file = |name: &str, text: &str| {
        fs::write(cluster.dir().join(name), text).unwrap();
        cluster.dir().join(name)
    };
    let (right, other) = (file("right", "right\n"), file("other", "other"));
    let by_flag = Run::redlock(&cluster).args(["run", "--password-file"]).args([&right]);
    by_flag.args(["gate", "--", "true"]).finish().expect("by flag, with a line break", 0);
    let by_variable = Run::redlock(&cluster)
        .env("REDLOCK_PASSWORD_FILE", &right)
        .args(["run", "gate", "--", "true"]);
    by_variable.finish().expect("by variable", 0);
    let other_user =
        Run::redlock(&cluster).args(["run", "--user", "locker", "--password-file"]).args([&other]);
    other_user.args(["gate", "--", "true"]).finish().expect("another user", 0);
    let wrong = Run::redlock(&cluster)
        .args(["run", "--password-file"])
        .args([&other])
        .args(["gate", "--", "true"]);
    wrong.finish().expect("the wrong password", 77);
}
