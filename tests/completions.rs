//! The completions in the shells themselves: redlock's own flags, names of locks and ids of holders, and
//! after `--` the words of the wrapped command.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

use std::process::Command;

/// The output of `script`, run by `shell` in the folder of the completions.
fn printed(shell: &str, script: &str) -> String {
    printed_by(Command::new(shell), shell, script)
}

/// The same beside a redlock that holds `deploy:web` and prints its id first.
fn printed_beside_a_holder(shell: &str, script: &str) -> String {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_redlock"));
    let folder = binary.parent().unwrap().display();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(binary);
    let hold = "S=$REDLOCK_URLS redlock run deploy:web -- \
                sh -c 'echo $REDLOCK_ID; REDLOCK_URLS=$S exec \"$@\"' sh \"$@\"";
    command.env("PATH", path).args(["sandbox", "-n", "3", "--", "sh", "-c", hold, "sh", shell]);
    printed_by(command, shell, script)
}

fn printed_by(mut command: Command, shell: &str, script: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/completions");
    // fish would make its directories in the home of the user.
    let home = tempfile::tempdir().unwrap();
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
    printed("bash", &bash_script(words))
}

fn bash_script(words: &str) -> String {
    format!(
        "source ./redlock.bash; COMP_LINE='{words}'; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=({words}); \
         [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=(''); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
         _redlock_or_wrapped redlock \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
}

fn fish(line: &str) -> String {
    printed("fish", &format!("source ./redlock.fish; complete -C '{line}'"))
}

/// The offers of zsh on a terminal of its own after Tab behind `line`: a word a line, those of
/// descriptions too.
fn zsh(line: &str) -> String {
    words(&printed("zsh", &zsh_script(line)))
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join("\n")
}

fn zsh_script(line: &str) -> String {
    // The list and the line that is drawn again behind it are parted by nothing but control
    // sequences.
    format!(
        r#"zmodload zsh/zpty; setopt extendedglob
        zpty shell 'exec zsh -f -i'
        zpty -w shell "stty rows 1000 cols 200; PROMPT=; fpath=($PWD \$fpath); autoload -Uz compinit; compinit -D -u; LISTMAX=0
            offer() {{ zle list-choices; zle -R; print -r -- '<e''nd>' }}; zle -N offer; bindkey '^I' offer; print '<rea''dy>'"
        zpty -r -m shell text '*<ready>*'
        zpty -w -n shell '{line}'$'\t'
        zpty -r -m shell text '*<end>*'
        zpty -d shell
        print -r -- ${{text//$'\e'\[[0-9;?]#[a-zA-Z]/ }}"#
    )
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

#[test]
fn names_of_locks_and_ids_of_holders_complete() {
    let line = "redlock force-release -v dep";
    for (shell, script) in [
        ("bash", bash_script(line)),
        ("zsh", zsh_script(line)),
        ("fish", format!("source ./redlock.fish; complete -C '{line}'")),
    ] {
        let printed = words(&printed_beside_a_holder(shell, &script));
        assert!(offers(&printed, "deploy:web"), "{shell}: {line}: {printed}");
    }
    let line = "redlock force-release deploy:web --id ";
    for (shell, script) in [
        ("bash", bash_script(line)),
        ("zsh", zsh_script(line)),
        ("fish", format!("source ./redlock.fish; complete -C '{line}'")),
    ] {
        let printed = words(&printed_beside_a_holder(shell, &script));
        let (id, offered) = printed.split_once('\n').unwrap();
        assert!(id.len() == 12 && offers(offered, id), "{shell}: {printed}");
    }
    // Bash ends a word at a colon, and puts the rest behind it.
    let behind = words(&printed_beside_a_holder("bash", &bash_script("redlock status deploy:w")));
    assert!(offers(&behind, "web"), "bash: {behind}");
}

#[test]
fn servers_that_do_not_answer_complete_nothing_and_hold_nothing_up() {
    // Nothing answers a connection to this address before the first packet is lost.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = silent.local_addr().unwrap().to_string();
    // A fifth of a second and a busy machine.
    let mut command = Command::new("timeout");
    command.args(["5", env!("CARGO_BIN_EXE_redlock"), "__complete", "status"]);
    let output = command.args(["--single", "-u", &url, ""]).output().unwrap();
    assert_eq!((output.stdout, output.stderr), (vec![], vec![]));
    assert!(output.status.success(), "it ended in time: {}", output.status);
}
