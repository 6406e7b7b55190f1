//! Each missing right is one line with the word of the ACL, and no key is left.

use super::doctor;
use crate::support::{Cluster, Output, until};

/// The rights of the user of redlock in docs/servers.md.
const RIGHTS: &str = "resetkeys resetchannels -@all +set +get +del +pexpire +pttl +eval ~redlock:* +info +time \
    ~redlock-memory +hello +subscribe +publish +zadd +zrem +zrank +zpopmin ~redlock-queue:* &redlock-wake:* \
    ~redlock-fence:* +zrange +pubsub|numsub +scan";

/// Servers that know the user `lk`, and no user without a password.
fn servers() -> Cluster {
    let mut cluster = Cluster::start(3);
    (0..3).for_each(|i| cluster.require_password(i, "other"));
    allow(&cluster, "on >s3cret");
    cluster
}

fn allow(cluster: &Cluster, words: &str) {
    let words = format!("ACL SETUSER lk {words}");
    (0..3).for_each(|i| drop(cluster.cli(i, &words.split_whitespace().collect::<Vec<_>>())));
}

fn by_user(cluster: &Cluster, password: &str) -> Output {
    let run = doctor(cluster).env("REDLOCK_RESTART_GUARD", "2s");
    let output = run
        .args(["--user", "lk", "--ttl", "2s", "--op-timeout", "800ms"])
        .env("REDLOCK_PASSWORD", password)
        .finish();
    assert!(!(output.out() + &output.stderr).contains(password));
    output
}

#[test]
fn each_right_that_is_missing_is_one_line_with_the_word_of_the_acl() {
    let cluster = servers();
    until("all have a vote", || (0..3).all(|i| cluster.uptime(i) >= 4));
    allow(&cluster, RIGHTS);
    let healthy = by_user(&cluster, "s3cret").expect("all rights", 0).out();
    assert_eq!(healthy, "healthy: 3 servers and this host\n");
    for (word, code, without) in [
        ("+set", 77, "nothing can be locked"),
        ("+get", 77, "nothing can be locked"),
        ("+del", 77, "nothing can be locked"),
        ("+pexpire", 77, "nothing can be locked"),
        ("+pttl", 77, "nothing can be locked"),
        ("+eval", 77, "nothing can be locked"),
        ("~redlock:*", 77, "nothing can be locked"),
        ("+info", 0, "lost its memory may not be noticed"),
        ("+time", 0, "lost its memory may not be noticed"),
        ("~redlock-memory", 0, "lost its memory may not be noticed"),
        ("+subscribe", 0, "those who wait are not woken"),
        ("+publish", 0, "those who wait are not woken"),
        ("+zadd", 0, "those who wait are not woken"),
        ("+zrem", 0, "those who wait are not woken"),
        ("+zrank", 0, "those who wait are not woken"),
        ("+zpopmin", 0, "those who wait are not woken"),
        ("~redlock-queue:*", 0, "those who wait are not woken"),
        ("&redlock-wake:*", 0, "those who wait are not woken"),
        ("~redlock-fence:*", 0, "runs with --fence are refused"),
        ("+zrange", 0, "how many wait is not known"),
        ("+pubsub|numsub", 0, "the dead in a queue count as waiting"),
        ("+scan", 0, "'redlock list' does not work"),
    ] {
        allow(
            &cluster,
            &RIGHTS
                .replace(&format!("{word} "), " ")
                .replace("+scan", if word == "+scan" { "" } else { "+scan" }),
        );
        let text = by_user(&cluster, "s3cret").expect(word, code).out();
        let line = format!("the user of redlock lacks {word}, so ");
        assert_eq!(text.matches(&line).count(), 3, "{word}: {text}");
        assert_eq!(text.matches(without).count(), 3, "{word}: {text}");
        assert_eq!(
            text.matches(&format!("; ACL SETUSER USER {word} gives it")).count(),
            3,
            "{word}: {text}"
        );
        assert_eq!(text.lines().count(), 3, "{word}: {text}");
    }
    assert!((0..3).all(|i| server_keys(&cluster, i).is_empty()), "a key is left");
}

fn server_keys(cluster: &Cluster, i: usize) -> Vec<String> {
    cluster.ask(i, &["KEYS", "*"])
}

#[test]
fn a_wrong_password_and_an_open_default_user_are_named() {
    let cluster = Cluster::start(3);
    until("all have a vote", || (0..3).all(|i| cluster.uptime(i) >= 4));
    allow(&cluster, &format!("on >s3cret {RIGHTS}"));
    let text = by_user(&cluster, "s3cret").expect("an open default user", 0).out();
    assert_eq!(text.matches("accepts commands without a password").count(), 3, "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
    let text = by_user(&cluster, "wr0ng").expect("a wrong password", 77).out();
    assert_eq!(text.matches("WRONGPASS").count(), 3, "{text}");
}

#[test]
fn a_command_that_was_renamed_is_no_missing_right() {
    let cluster = Cluster::start_with(3, &["--rename-command", "ZADD", "other"]);
    let text = doctor(&cluster).finish().expect("ZADD", 0).out();
    let line = "it does not know ZADD, so those who wait are not woken; do not rename the command";
    assert_eq!(text.matches(line).count(), 3, "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
    let cluster = Cluster::start_with(3, &["--rename-command", "DEL", "other"]);
    let text = doctor(&cluster).finish().expect("DEL", 78).out();
    assert_eq!(text.matches("it does not know DEL, so nothing can be locked").count(), 3, "{text}");
}
