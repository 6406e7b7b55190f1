//! A password in `--url` is taken out of the lists of processes.

use crate::support::{Cluster, Run};
use std::fs;

const SECRET: &str = "s3cretword";

/// The command line of a process, as ps shows it.
fn command_line(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).expect("it runs");
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

#[test]
fn a_password_in_a_url_is_in_no_command_line_while_redlock_runs() {
    let mut cluster = Cluster::start(3);
    (0..3).for_each(|i| cluster.require_password(i, SECRET));
    let url = |i: usize| format!("redis://:{SECRET}@{}", cluster.address(i));
    let running = Run::redlock(&cluster)
        .args([
            "run",
            "-u",
            &format!("{},{}", url(0), url(1)),
            &format!("--url={}", url(2)),
            "seen",
        ])
        .args(["--", "sh", "-c", "echo ready; cat"])
        .spawn();
    running.until_ready();
    let own = command_line(running.pid());
    assert!(own.contains(&cluster.address(0)) && own.contains('@'), "{own}");
    let children = format!("/proc/{0}/task/{0}/children", running.pid());
    let children = fs::read_to_string(children).expect("the guardian");
    let mut lines = vec![own];
    lines.extend(children.split_whitespace().map(|pid| command_line(pid.parse().expect("a pid"))));
    assert!(lines.len() > 1, "there is a guardian");
    for line in &lines {
        assert!(!line.contains(SECRET), "{line}");
    }
    let output = running.finish().expect("it had the password", 0);
    assert_eq!(output.stderr.matches("can read the password in --url").count(), 1, "once");
    assert!(!output.stderr.contains(SECRET), "{}", output.stderr);
}

#[test]
fn a_password_that_is_not_typed_is_not_warned_of() {
    let mut cluster = Cluster::start(3);
    (0..3).for_each(|i| cluster.require_password(i, SECRET));
    let run = Run::redlock(&cluster).env("REDLOCK_PASSWORD", SECRET);
    run.args(["run", "seen", "--", "true"]).finish().expect("by variable", 0).expect_silence("it");
}
