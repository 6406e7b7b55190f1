//! `REDLOCK_HELD`: the locks around a run are checked, not believed.

use crate::support::{Cluster, Run, hold};

/// A run inside of another for the same lock, with these options and servers.
fn nested(cluster: &Cluster, options: &str) -> Run {
    let script = format!("exec \"$RL\" run {options} -w 1s job -- echo inside");
    let run = Run::redlock(cluster).args(["run", "job", "--", "sh", "-c", &script]);
    run.env("SERVERS", cluster.urls())
}

#[test]
fn a_lock_of_a_living_redlock_around_on_the_same_servers_is_believed() {
    let cluster = Cluster::start(3);
    for servers in ["", "-u \"$SERVERS\""] {
        let output = nested(&cluster, &format!("{servers} --reentrant")).finish();
        let output = output.expect("reentrant", 0);
        assert_eq!((output.out().as_str(), output.stderr.as_str()), ("inside\n", ""), "{servers}");
        let output = nested(&cluster, servers).finish().expect("it would wait for itself", 64);
        output.expect_words("plain", &["'job' is already held by a redlock around this one"]);
    }
    let with_slots = |options: &str| {
        let script = format!("exec \"$RL\" run --slots 2 {options} -u \"$U\" job -- echo inside");
        let run = Run::redlock(&cluster).args(["run", "--slots", "2", "job", "--", "sh", "-c"]);
        run.args([script]).env("U", cluster.urls()).finish()
    };
    for _ in 0..4 {
        with_slots("").expect("of slots, plain", 64);
        assert_eq!(with_slots("--reentrant").expect("of slots", 0).out(), "inside\n");
    }
    cluster.until_no_key_is_left();
}

#[test]
fn a_lock_on_other_servers_is_another_lock() {
    let (cluster, others) = (Cluster::start(3), Cluster::start(3));
    for options in ["", "--reentrant"] {
        let run = nested(&cluster, &format!("-u \"$SERVERS\" {options}"));
        let output = run.env("SERVERS", others.urls()).finish().expect("both are held", 0);
        assert_eq!(output.out(), "inside\n");
        output.expect_words("ignored", &["'job': REDLOCK_HELD is ignored", "on these servers"]);
    }
    others.until_no_key_is_left();
}

#[test]
fn a_line_that_outlives_its_redlock_neither_refuses_a_run_nor_lets_it_in_beside_a_holder() {
    let cluster = Cluster::start(3);
    let output = Run::redlock(&cluster)
        .args(["run", "job", "--", "sh", "-c", "echo $REDLOCK_HELD"])
        .finish()
        .expect("the first", 0);
    let line = output.out().trim().to_owned();
    assert!(line.starts_with("redlock:job "), "{line}");
    let run = |options: &[&str], line: &str| {
        let run = Run::redlock(&cluster).env("REDLOCK_HELD", line);
        run.arg_line("run", options, &["job", "--", "true"]).finish()
    };
    let words = ["'job': REDLOCK_HELD is ignored", "not running around this one"];
    for line in [line.as_str(), "redlock:job"] {
        run(&[], line).expect("it is not held", 0).expect_words("plain", &words);
        run(&["--reentrant"], line).expect("it is not held", 0).expect_words("re", &words);
        let wait = Run::redlock(&cluster).env("REDLOCK_HELD", line).args(["wait", "job"]);
        wait.finish().expect("wait", 0).expect_words("wait", &words);
    }
    let holder = hold(&cluster, "job", &[]);
    run(&["-n", "--reentrant"], &line).expect("another holds it", 75);
    holder.finish().expect("the holder", 0);
    let unrelated = run(&[], "redlock:other 1.1.4f");
    unrelated.expect("of another lock", 0).expect_silence("of another lock");
}

#[test]
fn a_lock_that_was_lost_to_another_run_meanwhile_is_not_entered_again() {
    let cluster = Cluster::start(3);
    let script =
        "echo ready; read -r line; exec \"$RL\" run -n --reentrant -u \"$U\" job -- echo inside";
    let outer = Run::redlock(&cluster)
        .args(["run", "--ttl", "1m", "--on-lost", "warn", "job", "--", "sh", "-c", script])
        .env("U", cluster.urls());
    let mut outer = outer.spawn();
    outer.until_ready();
    (0..3).for_each(|i| drop(cluster.cli(i, &["FLUSHALL"])));
    let other = hold(&cluster, "job", &[]);
    outer.let_go();
    let output = outer.wait();
    assert!(!output.out().contains("inside"), "two at once: {}", output.stderr);
    output.expect_words("ignored", &["REDLOCK_HELD is ignored", "'job' is busy"]);
    other.finish().expect("the other", 0);
}

#[test]
fn a_nested_run_without_servers_names_the_redlock_that_hides_them() {
    let cluster = Cluster::start(3);
    let script = "exec \"$RL\" run other -- echo inside";
    let run = Run::redlock(&cluster).args(["run", "job", "--", "sh", "-c", script]);
    let words =
        ["the redlock around this command keeps REDLOCK_URLS and passwords from it", "--url"];
    run.finish().expect("no servers", 78).expect_words("nested", &words);
}
