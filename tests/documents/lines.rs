//! The lines of the pages and of the manual that take a lock are not refused, with the settings of a
//! host that has none: it asks the servers.

use crate::{blocks, pages};
use std::fs;
use std::process::Command;

/// The lines of a text that run a command under a lock, each from `run` up to the command, and with
/// no wait, so that they end where there are no servers.
fn lines(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let Some((_, rest)) = line.split_once("redlock run ") else { continue };
        let Some((options, _)) = rest.split_once(" -- ") else { continue };
        let mut words = Vec::new();
        let mut is_length = false;
        for word in options.split(' ') {
            if !is_length && !["-n", "--nonblock", "-w", "--wait"].contains(&word) {
                words.push(word);
            }
            is_length = ["-w", "--wait"].contains(&word);
        }
        found.push(words.join(" "));
    }
    found
}

/// The texts, with their places.
fn texts() -> Vec<(String, String)> {
    let files = pages::files(&["man"], "").into_iter().filter(|file| !file.contains("parts/"));
    let manual = files.map(|file| {
        let text =
            pages::read(&file).replace("\\(dq", "\"").replace("\\(aq", "'").replace('\\', "");
        (file, text)
    });
    let blocks = blocks::in_languages(&["sh", "console", "crontab", "yaml", "ini"]);
    let blocks = blocks.into_iter().filter(|block| !blocks::is_elsewhere(&block.at));
    blocks.map(|block| (block.at, block.text)).chain(manual).collect()
}

#[test]
fn every_line_that_takes_a_lock_is_understood_on_a_host_without_settings() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.toml");
    fs::write(&config, "urls = [\"127.0.0.1:1\", \"127.0.0.1:2\", \"127.0.0.1:3\"]\n").unwrap();
    let mut tried = 0;
    for (at, text) in texts() {
        for line in lines(&text) {
            // TLS needs files that are not here.
            if line.contains("--cacert") {
                continue;
            }
            let script = format!("exec \"$RL\" run --wait 0s {line} -- true");
            let mut sh = Command::new("sh");
            sh.args(["-c", &script]).env("RL", env!("CARGO_BIN_EXE_redlock"));
            sh.env("REDLOCK_CONFIG", &config).env("GITHUB_RUN_NUMBER", "41");
            let output = sh.output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(69), "{at}: redlock run {line}: {said}");
            tried += 1;
        }
    }
    assert!(tried >= 15, "only {tried} lines were found");
}
