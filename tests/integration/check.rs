//! `redlock check`: inside a command, whether the lock around it is still held.

use crate::support::{Cluster, Output, Run, key_of};

/// The end of a run whose command is this script, with the servers in `$S`.
fn inside(cluster: &Cluster, options: &[&str], script: &str) -> Output {
    Run::redlock(cluster)
        .env("S", cluster.urls())
        .args(["run", "--ttl", "30s"])
        .args(options)
        .args(["--", "sh", "-c", script])
        .finish()
}

#[test]
fn a_lock_around_the_command_is_held_until_it_is_not() {
    let cluster = Cluster::start(3);
    let check = r#""$RL" check -u "$S""#;
    inside(&cluster, &["a"], &format!("{check} && {check} a")).expect("held", 0).expect_silence("");
    let both = format!("{check} && {check} a && {check} b");
    inside(&cluster, &["-l", "a", "-l", "b"], &both).expect("two names", 0);
    inside(&cluster, &["--slots", "3", "a"], check).expect("the first slot", 0);
    let hold = ["--slots", "3", "a"];
    let nested = format!(r#""$RL" run -q -u "$S" --slots 3 b -- sh -c '{check} && {check} b'"#);
    inside(&cluster, &hold, &nested).expect("the innermost", 0);
    let output = inside(&cluster, &["a"], &format!("{check} other")).expect("another", 75);
    output.expect_words("another", &["no redlock around this command holds 'other'"]);
    let output = inside(&cluster, &["a"], &format!("{check} --left 1h")).expect("too long", 75);
    output.expect_words("too long", &["which is too short"]);
    let output = Run::redlock(&cluster).args(["check"]).finish().expect("outside", 75);
    output.expect_words("outside", &["no redlock around this command holds the lock"]);
    let output = inside(&cluster, &["a"], r#""$RL" check"#).expect("no servers", 78);
    output.expect_words("no servers", &["no Redis servers are configured"]);
}

#[test]
fn a_lock_that_was_taken_away_is_told_and_so_is_a_majority_that_is_silent() {
    let mut cluster = Cluster::start(3);
    let script = r#"echo ready; read go; "$RL" check -u "$S"; echo "code $?"; cat"#;
    let run = |cluster: &Cluster| {
        let run = Run::redlock(cluster).env("S", cluster.urls());
        let run = run.args(["run", "--ttl", "1m", "a", "--", "bash", "-c", script]).spawn();
        run.until_ready();
        run
    };
    let mut holder = run(&cluster);
    for i in 0..2 {
        cluster.cli(i, &["DEL", &key_of("a")]);
    }
    holder.say("go\n");
    holder.until_stdout("code 75");
    drop(holder);
    // The redlock was killed, and its key is still there.
    (0..3).for_each(|i| drop(cluster.cli(i, &["FLUSHALL"])));
    let mut holder = run(&cluster);
    cluster.kill(0);
    cluster.kill(1);
    holder.say("go\n");
    holder.until_stdout("code 69");
    drop(holder);
}
