//! `examples/fenced` on a `PostgreSQL` server that an unprivileged user runs on a socket.

use super::resource::{TABLE, refuses_a_holder_that_was_paused, refuses_older_migrations};
use crate::support::means::leave_out;
use crate::support::{Cluster, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// The number of an unprivileged user: `PostgreSQL` refuses to run as root.
const ORDINARY: u32 = 65534;

struct Database {
    directory: TempDir,
    server: Child,
}

impl Database {
    /// A server with an empty database. `None` on a machine without `PostgreSQL`.
    fn start() -> Option<Self> {
        let (Some(initdb), true) = (initdb(), found("psql").is_some()) else {
            leave_out("no initdb or no psql; on Debian or Ubuntu: apt-get install postgresql");
            return None;
        };
        let directory = tempfile::tempdir().expect("a directory");
        if nix::unistd::geteuid().is_root() {
            chown(directory.path(), Some(ORDINARY), Some(ORDINARY)).expect("another owner");
        }
        let data = directory.path().join("data");
        let made = ordinary(&initdb)
            .args(["--no-sync", "-A", "trust", "-U", "postgres", "-D"])
            .arg(&data)
            .output()
            .expect("initdb");
        assert!(made.status.success(), "{made:?}");
        let log = fs::File::create(directory.path().join("log")).expect("a file");
        let server = ordinary(&initdb.with_file_name("postgres"))
            .args(["-F", "-c", "listen_addresses=", "-k"])
            .arg(directory.path())
            .arg("-D")
            .arg(&data)
            .stderr(log)
            .spawn();
        let database = Self { directory, server: server.expect("postgres") };
        until("the database answers", || database.ask("SELECT 1").status.success());
        Some(database)
    }

    fn url(&self) -> String {
        format!("postgresql://postgres@/postgres?host={}", self.directory.path().display())
    }

    fn ask(&self, sql: &str) -> Output {
        let words = ["-X", "-q", "-A", "-t", "-c", sql];
        Command::new("psql").args(words).arg(self.url()).output().expect("psql")
    }

    fn query(&self, sql: &str) -> String {
        let output = self.ask(sql);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SIGQUIT ends the server's processes at once.
        let pid = Pid::from_raw(i32::try_from(self.server.id()).expect("a process id"));
        let _ = kill(pid, Signal::SIGQUIT);
        let _ = self.server.wait();
    }
}

/// A program that runs as an ordinary user, and ends with the test.
fn ordinary(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if nix::unistd::geteuid().is_root() {
        command.args([format!("--reuid={ORDINARY}"), format!("--regid={ORDINARY}")]);
        command.arg("--clear-groups");
    }
    command.args(["--pdeathsig", "QUIT"]).arg(program).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn initdb() -> Option<PathBuf> {
    // Debian has the programs of each version in a folder of their own.
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut own: Vec<PathBuf> = versions.map(|version| version.path().join("bin/initdb")).collect();
    own.retain(|path| path.exists());
    found("initdb").or_else(|| own.into_iter().max())
}

fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.exists())
}

#[test]
fn a_database_of_postgresql_refuses_an_older_token() {
    let Some(database) = Database::start() else { return };
    let cluster = Cluster::start(3);
    let query = |sql: &str| database.query(sql);
    query(TABLE);
    refuses_a_holder_that_was_paused(&cluster, &database.url(), &query);
    refuses_older_migrations(&cluster, &database.url(), &query);
}
