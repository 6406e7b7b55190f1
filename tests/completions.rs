//! The completions in the shells themselves: redlock's own flags, and after `--` the words of the
//! wrapped command.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

use std::process::Command;

/// What `shell` prints when it runs `script` in the folder of the completions.
fn printed(shell: &str, script: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/completions");
    // fish would make its directories in the home of the user.
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(shell);
    command.arg("-c").arg(script).current_dir(folder).env("HOME", home.path());
    for variable in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"] {
        command.env_remove(variable);
    }
    let output = command.output();
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

/// What zsh shows on a terminal of its own when Tab is pressed behind `line`: a word a line, those
/// of descriptions too.
fn zsh(line: &str) -> String {
    // The list and the line that is drawn again behind it are parted by nothing but control
    // sequences.
    let script = format!(
        r#"zmodload zsh/zpty; setopt extendedglob
        zpty shell 'exec zsh -f -i'
        zpty -w shell "stty rows 1000 cols 200; PROMPT=; fpath=($PWD \$fpath); autoload -Uz compinit; compinit -D -u; LISTMAX=0
            offer() {{ zle list-choices; zle -R; print -r -- '<e''nd>' }}; zle -N offer; bindkey '^I' offer; print '<rea''dy>'"
        zpty -r -m shell text '*<ready>*'
        zpty -w -n shell '{line}'$'\t'
        zpty -r -m shell text '*<end>*'
        zpty -d shell
        print -r -- ${{text//$'\e'\[[0-9;?]#[a-zA-Z]/ }}"#
    );
    let words = printed("zsh", &script);
    words.split_whitespace().collect::<Vec<_>>().join("\n")
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
        assert!(offers(&zsh(line), "--kill-after"), "zsh: {line}");
    }
    assert!(offers(&bash("redlock sand"), "sandbox"));
    assert!(offers(&zsh("redlock sand"), "sandbox"));
    assert!(offers(&fish("redlock sand"), "sandbox"));
}

#[test]
fn after_the_dashes_the_wrapped_command_completes() {
    for line in ["redlock run -- mkdi", "redlock run -n nightly -- mkdi", "redlock sandbox -- mkdi"]
    {
        assert!(offers(&bash(line), "mkdir"), "bash: {line}");
        assert!(offers(&fish(line), "mkdir"), "fish: {line}");
    }
    // clap_complete takes the name for the command in zsh, and offers nothing where there is one.
    for line in ["redlock run -- mkdi", "redlock run -n -- mkdi", "redlock sandbox -- mkdi"] {
        assert!(offers(&zsh(line), "mkdir"), "zsh: {line}");
    }
    assert!(offers(&zsh("redlock run -- cat redlock.ba"), "redlock.bash"));
    assert!(
        offers(&zsh("redlock run -- ls --alm"), "--almost-all"),
        "the flags of ls, not of redlock"
    );
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
    assert!(offers(&zsh("redlock completions z"), "zsh"));
    for (shell, offered) in [
        ("fish", fish("redlock completions redlock.b")),
        ("zsh", zsh("redlock completions redlock.b")),
    ] {
        assert!(!offers(&offered, "redlock.bash"), "{shell}");
    }
}
