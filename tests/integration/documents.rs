//! The shell blocks of the documents, run as written, in a network namespace in which three servers
//! are called `lock-1`, `lock-2` and `lock-3`.

#[path = "../documents/blocks.rs"]
#[allow(dead_code, reason = "the rest is for the tests of the documents")]
mod blocks;
#[path = "../documents/pages.rs"]
#[allow(dead_code, reason = "the rest is for the tests of the documents")]
mod pages;

use crate::support::means::apart;
use crate::support::run::REDLOCK;
use crate::support::{Cluster, Output, Run};
use blocks::{Block, Mark};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// Names the servers in a copy of /etc, starts them, and runs the rest of the arguments.
const STAGE: &str = r#"
set -eu
mkdir etc system
mount --bind /etc system
ln -s "$PWD"/system/* etc/
rm -f etc/hosts
for server in 1 2 3; do echo "127.0.1.$server lock-$server" >>etc/hosts; done
mount --bind etc /etc
ip link set lo up
pids=
trap 'kill $pids' EXIT
for server in 1 2 3; do
    redis-server --bind 127.0.1.$server --port 6379 --save '' --logfile "$PWD/$server.log" &
    pids="$pids $!"
done
until redlock doctor -q; do sleep 0.05; done
cd work
"$@"
"#;

/// Runs the arguments on the stage, in a directory with a script for each `./NAME` of `text`.
fn on_stage(cluster: &Cluster, number: usize, text: &str, words: &[&str]) -> Option<Run> {
    let stage = cluster.dir().join(format!("block-{number}"));
    let bin = stage.join("bin");
    let work = stage.join("work");
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(&work).unwrap();
    symlink(REDLOCK, bin.join("redlock")).unwrap();
    let scripts = text.split_whitespace().filter_map(|word| word.strip_prefix("./"));
    for name in scripts {
        write_script(&work.join(name));
    }
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}:/usr/sbin:/sbin", bin.display());
    let run = apart(cluster, "mn")?.in_directory(&stage).env("PATH", path).env("SHELL", "bash");
    let urls = "redis://lock-1,redis://lock-2,redis://lock-3";
    Some(run.env("REDLOCK_URLS", urls).args(["sh", "-c", STAGE, "stage"]).args(words))
}

fn write_script(path: &Path) {
    fs::write(path, "#!/bin/sh\nexit 0\n").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The commands of a console session, one a line, and the lines of output.
fn commands_and_output(text: &str) -> (String, String) {
    let (mut commands, mut output) = (String::new(), String::new());
    for line in text.lines() {
        let command = line.strip_prefix("$ ");
        let to = if command.is_some() { &mut commands } else { &mut output };
        to.push_str(command.unwrap_or(line));
        to.push('\n');
    }
    (commands, output)
}

/// `None` on a machine without namespaces.
fn run(cluster: &Cluster, number: usize, block: &Block) -> Option<Output> {
    if block.language == "console" {
        // bash reads a pipe byte by byte, so that a nested shell gets the lines behind its own.
        let words = ["bash", "-c", "exec 2>&1; exec bash"];
        let (commands, shown) = commands_and_output(&block.text);
        let stage = on_stage(cluster, number, &block.text, &words)?;
        let output = stage.finish_with_input(commands.as_bytes());
        assert_eq!(output.out(), shown, "{}: what it prints", block.at);
        return Some(output);
    }
    let stage = on_stage(cluster, number, &block.text, &["sh", "-euc", &block.text])?;
    Some(stage.finish())
}

#[test]
fn the_shell_blocks_of_the_documents_run_as_they_are_written() {
    let cluster = Cluster::start(0);
    let mut count = 0;
    for block in blocks::all().iter().filter(|block| block.mark == Mark::Run) {
        let Some(output) = run(&cluster, count, block) else { return };
        output.expect(&block.at, 0);
        count += 1;
    }
    assert!(count >= 6, "only {count} blocks were run");
}
