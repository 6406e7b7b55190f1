//! A resource that refuses an older token: `examples/fenced`, through a pause of the whole machine.

use crate::support::{Cluster, Run, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A command that waits for the end of its input, and then counts.
const COUNT: &str = "echo ready; cat >/dev/null; echo 'UPDATE hits SET n = n + 1;' | $FENCED $DATABASE hits; echo $? >$0";

/// A table with one counter.
pub(super) const TABLE: &str = "CREATE TABLE hits (n INTEGER); INSERT INTO hits VALUES (0);";

/// Runs SQL, and returns the rows.
type Query<'a> = &'a dyn Fn(&str) -> String;

pub(super) fn example(name: &str) -> String {
    format!("{}/examples/fenced/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn sqlite(cluster: &Cluster, sql: &str) -> String {
    let output = Command::new("sqlite3").current_dir(cluster.dir()).args(["app.db", sql]).output();
    let output =
        output.expect("these tests need sqlite3; on Debian or Ubuntu: apt-get install sqlite3");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn counting(cluster: &Cluster, database: &str, result: &str) -> Run {
    let run = Run::redlock(cluster).args(["run", "--ttl", "1s", "--fence", "hits", "--"]);
    run.args(["sh", "-c", COUNT, result])
        .env("FENCED", example("fenced.sh"))
        .env("DATABASE", database)
}

fn name_of(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

#[test]
fn a_holder_that_wakes_after_a_pause_of_its_machine_is_refused_by_the_resource() {
    let cluster = Cluster::start(3);
    sqlite(&cluster, TABLE);
    refuses_a_holder_that_was_paused(&cluster, "app.db", &|sql| sqlite(&cluster, sql));
}

/// Only the write of the second holder must be counted in `database`.
pub(super) fn refuses_a_holder_that_was_paused(cluster: &Cluster, database: &str, query: Query) {
    let mut paused = counting(cluster, database, "first").spawn();
    paused.until_ready();
    let own = paused.pid();
    let (keepers, command): (Vec<i32>, Vec<i32>) = cluster
        .processes()
        .into_iter()
        .partition(|pid| *pid == own || name_of(*pid) == "lock-guardian");
    assert!(keepers.len() == 2 && !command.is_empty(), "{keepers:?} {command:?}");
    // The machine is paused for longer than the keys last.
    let send = |pids: &[i32], signal| {
        for pid in pids {
            kill(Pid::from_raw(*pid), signal).expect("a signal");
        }
    };
    send(&keepers, Signal::SIGSTOP);
    send(&command, Signal::SIGSTOP);
    let mut next = counting(cluster, database, "second").spawn();
    next.until_ready();
    next.let_go();
    next.wait().expect("the next holder", 0);
    assert_eq!((query("SELECT n FROM hits"), result(cluster.dir(), "second")), ("1".into(), 0));
    // After the pause, the command runs first.
    send(&command, Signal::SIGCONT);
    paused.let_go();
    until("the write has come", || cluster.dir().join("first").exists());
    until("its result is told", || result(cluster.dir(), "first") != 0);
    assert_eq!(query("SELECT n FROM hits"), "1", "the older token is refused");
    send(&keepers, Signal::SIGCONT);
    paused.wait().expect("the lock was lost", 74);
}

/// The number that the command has written, 0 before that.
fn result(directory: &Path, name: &str) -> i32 {
    let text = fs::read_to_string(directory.join(name)).unwrap_or_default();
    text.trim().parse().unwrap_or_default()
}

#[test]
fn migrations_under_an_older_token_change_nothing() {
    let cluster = Cluster::start(3);
    refuses_older_migrations(&cluster, "app.db", &|sql| sqlite(&cluster, sql));
}

/// `database` must accept migrations only in the order of their holders.
pub(super) fn refuses_older_migrations(cluster: &Cluster, database: &str, query: Query) {
    let directory = format!("{}/examples/migrations", env!("CARGO_MANIFEST_DIR"));
    let migrate = example("migrate.sh");
    let run = || Run::redlock(cluster).args(["run", "--fence", "migrations", "--"]);
    let run = || run().args([migrate.as_str(), database, &directory]);
    run().finish().expect("the migrations", 0);
    assert_eq!(query("SELECT count(*) FROM migrations"), "4");
    assert_eq!(query("SELECT CAST(sum(balance) AS INTEGER) FROM accounts"), "13375");
    run().finish().expect("again", 0);
    query("DELETE FROM migrations WHERE name LIKE '0003%'");
    let old =
        Run::program(cluster, &migrate).args([database, &directory]).env("REDLOCK_FENCE", "1");
    let old = old.finish();
    assert!(!old.status.success() && old.stderr.contains("older fencing token"), "{}", old.stderr);
    assert_eq!(query("SELECT count(*) FROM migrations"), "3");
    let none = Run::program(cluster, &migrate).args([database, &directory]).finish();
    assert!(none.stderr.contains("redlock run --fence"), "{}", none.stderr);
}
