//! `redlock completions`: the shells' own, and the wrapped command's after the `--`.

use super::args::{Cli, CompletionsArgs};
use super::report::Report;
use crate::policy::Exit;
use clap::{CommandFactory as _, ValueEnum as _};
use clap_complete::Shell;

/// In bash, words after `--` are completed like a command line of their own: by bash-completion if
/// it is loaded, else as a command's name and then as files.
const BASH: &str = r#"
_redlock_or_wrapped() {
    local at offset
    for ((at = 1; at < COMP_CWORD; at++)); do
        if [[ ${COMP_WORDS[at]} == -- ]]; then
            for offset in _comp_command_offset _command_offset; do
                if declare -F "$offset" >/dev/null; then
                    "$offset" $((at + 1))
                    return
                fi
            done
            if ((COMP_CWORD == at + 1)); then
                mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
            else
                mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
            fi
            return
        fi
    done
    _redlock "$@"
}
complete -F _redlock_or_wrapped -o bashdefault -o default redlock
"#;

/// In fish, likewise.
const FISH: &str = r"
function __redlock_wrapped
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words)
    or return 1
    complete -C (string join ' ' -- (string escape -- $words[(math $at + 1)..]) (commandline -ct))
end
complete -c redlock -n 'contains -- -- (commandline -opc)' -x -a '(__redlock_wrapped)'
";

/// Completions that `clap_complete` leaves out for fish: words that are no options.
fn fish_shells() -> String {
    let shells: Vec<String> = Shell::value_variants().iter().map(Shell::to_string).collect();
    format!(
        "complete -c redlock -n '__fish_redlock_using_subcommand completions' -f -a '{}'\n",
        shells.join(" ")
    )
}

/// Prints the completions for a shell.
pub(super) fn main(args: &CompletionsArgs) -> Exit {
    Report::plain(None).answer(&script(args.shell))
}

fn script(shell: Shell) -> String {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "redlock", &mut bytes);
    let mut script = String::from_utf8_lossy(&bytes).into_owned();
    match shell {
        Shell::Bash => script.push_str(BASH),
        Shell::Fish => {
            script.push_str(FISH);
            script.push_str(&fish_shells());
        }
        _ => {}
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_in_the_repository_are_what_the_program_prints() {
        for (shell, file) in
            [(Shell::Bash, "redlock.bash"), (Shell::Zsh, "_redlock"), (Shell::Fish, "redlock.fish")]
        {
            let path = format!("{}/completions/{file}", env!("CARGO_MANIFEST_DIR"));
            let stored = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                stored == script(shell),
                "completions/{file} is out of date; run 'make completions'"
            );
        }
    }
}
