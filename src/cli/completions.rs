//! `redlock completions`: the shells' own, and the wrapped command's after the `--`.

mod wrapped;

use super::args::{Cli, CompletionsArgs};
use super::report::Report;
use crate::policy::Exit;
use clap::{CommandFactory as _, ValueEnum as _};
use clap_complete::Shell;
use wrapped::{BASH, FISH, FISH_LOCKS, zsh};

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
            script.push_str(FISH_LOCKS);
            script.push_str(&fish_shells());
        }
        Shell::Zsh => script = zsh(&script),
        _ => {}
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_in_the_repository_match_the_program() {
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
