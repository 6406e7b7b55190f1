//! The completions in the shells themselves: redlock's own flags, and after `--` the words of the
//! wrapped command.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

use std::process::Command;

/// What `shell` prints when it runs `script` in the folder of the completions.
fn printed(shell: &str, script: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/completions");
    let output = Command::new(shell).arg("-c").arg(script).current_dir(folder).output();
    let output =
        output.unwrap_or_else(|error| panic!("this test needs {shell} ({error}); install it"));
    assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn bash(words: &str) -> String {
    let script = format!(
        "source ./redlock.bash; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
         _redlock_or_wrapped redlock \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    printed("bash", &script)
}

fn fish(line: &str) -> String {
    printed("fish", &format!("source ./redlock.fish; complete -C '{line}'"))
}

/// Whether one of the `lines` offers `word`, with or without a description.
fn offers(lines: &str, word: &str) -> bool {
    lines.lines().any(|line| line.split('\t').next() == Some(word))
}

#[test]
fn flags_complete() {
    for line in ["redlock run --kill", "redlock run --ttl 5s --kill"] {
        assert!(offers(&bash(line), "--kill-after"), "bash: {line}");
        assert!(offers(&fish(line), "--kill-after"), "fish: {line}");
    }
    assert!(offers(&bash("redlock sand"), "sandbox"));
    assert!(offers(&fish("redlock sand"), "sandbox"));
}

#[test]
fn after_the_dashes_the_wrapped_command_completes() {
    for line in ["redlock run -- mkdi", "redlock run -n nightly -- mkdi", "redlock sandbox -- mkdi"]
    {
        assert!(offers(&bash(line), "mkdir"), "bash: {line}");
        assert!(offers(&fish(line), "mkdir"), "fish: {line}");
    }
    assert!(offers(&bash("redlock run -- cat redlock.ba"), "redlock.bash"));
    assert!(offers(&fish("redlock run -- cat redlock.ba"), "redlock.bash"));
    assert!(
        offers(&fish("redlock run -- ls --alm"), "--almost-all"),
        "the flags of ls, not of redlock"
    );
}

#[test]
fn the_shells_complete_and_files_do_not() {
    assert!(offers(&bash("redlock completions z"), "zsh"));
    assert!(offers(&fish("redlock completions z"), "zsh"));
    assert!(!offers(&fish("redlock completions redlock.b"), "redlock.bash"));
}

#[test]
fn zsh_reads_its_file() {
    assert_eq!(printed("zsh", "zsh -n ./_redlock && echo fine"), "fine\n");
}
