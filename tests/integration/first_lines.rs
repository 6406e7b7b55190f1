//! The first lines that a newcomer types: the output of each, and the exit code.
//!
//! `first_lines.txt` is the table. To write the table anew from the present output:
//! `REDLOCK_TEST_WRITE_TABLE=1 cargo test --test integration first_lines`.

use crate::support::run::REDLOCK;
use crate::support::{Cluster, Run};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::thread;

/// Sections of the table, by the servers that are there for its lines.
const SECTIONS: [&str; 3] =
    ["no servers", "three servers", "three servers that ask for a password"];

fn table() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/first_lines.txt")
}

/// A program `x` in the directory of the cluster, and a PATH with few programs.
fn prepare(cluster: &Cluster) -> String {
    let bin = cluster.dir().join("bin");
    fs::create_dir(&bin).unwrap();
    symlink(REDLOCK, bin.join("redlock")).unwrap();
    let program = cluster.dir().join("x");
    fs::write(&program, "#!/bin/sh\necho ran \"$@\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:/usr/bin:/bin", bin.display())
}

/// Runs one line in a shell.
fn run(cluster: &Cluster, path: &str, section: &str, typed: &str) -> String {
    let run = Run::program(cluster, "sh").args(["-c", typed]).env("PATH", path);
    let run = if section == SECTIONS[0] {
        run.without("REDLOCK_URLS").without("REDLOCK_RESTART_GUARD")
    } else {
        run
    };
    let output = run.into_command().stdin(Stdio::null()).output().expect("sh can be started");
    outcome(cluster, typed, &output)
}

/// The result of a line: the exit code and the messages, or the first line of an answer.
fn outcome(cluster: &Cluster, typed: &str, output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("hush"), "{typed}: {said}");
    let mut text = output.status.code().expect("no signal").to_string();
    for line in said.lines() {
        write!(text, " {}", line.strip_prefix("redlock: ").unwrap_or(line)).unwrap();
    }
    if let Some(line) = String::from_utf8_lossy(&output.stdout).lines().next() {
        write!(text, " > {line}").unwrap();
    }
    // Ports differ in each run, and so does the server that answers first.
    let text = (0..3).fold(text, |text, i| text.replace(&cluster.address(i), "SERVER"));
    let mut parts: Vec<&str> = text.split("; ").collect();
    if let Some(at) = parts.iter().position(|part| part.starts_with("SERVER: ")) {
        let count = parts.iter().skip(at).filter(|part| part.starts_with("SERVER: ")).count();
        parts[at..at + count].sort_unstable();
    }
    parts.join("; ")
}

/// A section of the table with the present output of each line.
fn typed_again(cluster: &Cluster, path: &str, section: &str) -> String {
    let name = section.lines().next().unwrap_or_default();
    let is_outcome = |line: &&str| line.starts_with(|c: char| c.is_ascii_digit());
    let kept: Vec<&str> = section.lines().filter(|line| !is_outcome(line)).collect();
    let each = |line: &&str| match line.strip_prefix("$ ") {
        Some(typed) => format!("{line}\n{}\n", run(cluster, path, name, typed)),
        None => format!("{line}\n"),
    };
    thread::scope(|scope| {
        // The locks of one line must not be there for the next.
        let workers = if name == SECTIONS[1] { 1 } else { 4 };
        let parts = kept.chunks(kept.len().div_ceil(workers));
        let start = |lines| {
            scope.spawn(move || -> String { Iterator::map(<[&str]>::iter(lines), each).collect() })
        };
        let workers: Vec<_> = parts.map(start).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    })
}

#[test]
fn each_first_line_of_the_table_prints_its_row() {
    let mut cluster = Cluster::start(3);
    let path = prepare(&cluster);
    let should = fs::read_to_string(table()).unwrap();
    let mut sections = Vec::new();
    for section in should.split("## With ") {
        if section.starts_with(SECTIONS[2]) {
            (0..3).for_each(|i| cluster.require_password(i, "hush"));
        }
        sections.push(typed_again(&cluster, &path, section));
    }
    let is = sections.join("## With ");
    if std::env::var_os("REDLOCK_TEST_WRITE_TABLE").is_some() {
        fs::write(table(), &is).unwrap();
        return;
    }
    assert!(is.matches("\n$ ").count() >= 130, "lines are missing");
    for (is, should) in is.lines().zip(should.lines()) {
        assert_eq!(is, should, "first_lines.txt");
    }
    assert_eq!(is, should);
}

#[test]
fn each_refusal_of_the_table_has_advice() {
    let text = fs::read_to_string(table()).unwrap();
    for line in text.lines().filter(|line| line.starts_with("64 ")) {
        let advice = [
            "write", "expected", "leave ", "give ", "see ", "put ", "name ", "use ", "set ",
            "raise ",
        ];
        assert!(advice.iter().any(|word| line.contains(word)), "{line}");
    }
}
