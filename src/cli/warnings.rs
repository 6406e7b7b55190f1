//! Warnings before a run about variables that nothing reads.

use super::args::Cli;
use super::nearest::nearest;
use super::report::holder::safe;
use super::variables::{FENCE, HANDLE, HELD, PASSWORD, URLS};
use clap::{Arg, CommandFactory as _};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// Prefix of each variable.
const PREFIX: &str = "REDLOCK_";

/// Variables that set no option: those that redlock reads, and those that it sets for its command.
const OTHERS: [&str; 10] = [
    URLS,
    PASSWORD,
    HELD,
    "REDLOCK_NAME",
    "REDLOCK_KEY",
    "REDLOCK_ID",
    "REDLOCK_TTL_MS",
    "REDLOCK_SLOT",
    FENCE,
    HANDLE,
];

/// Prefixes of the tests' own variables.
const TESTS: [&str; 2] = ["REDLOCK_TEST_", "REDLOCK_CHAOS_"];

/// One warning for each variable that begins like redlock's and that no verb reads. Empty variables
/// are ignored. `typed` is the command with the verb that was typed.
pub(super) fn unread(typed: &clap::Command) -> Vec<String> {
    let set = std::env::vars_os().filter(|(name, value)| {
        name.as_bytes().starts_with(PREFIX.as_bytes()) && !value.is_empty()
    });
    let names = set.map(|(name, _)| name.to_string_lossy().into_owned());
    let strange = |name: &String| {
        !OTHERS.contains(&name.as_str()) && !TESTS.iter().any(|prefix| name.starts_with(prefix))
    };
    let mut strange: Vec<String> = names.filter(strange).collect();
    strange.retain(|name| !variables(typed).any(|variable| variable == name.as_str()));
    if strange.is_empty() {
        return strange;
    }
    let known = known();
    strange.retain(|name| !known.contains(name));
    strange.sort_unstable();
    strange.iter().map(|name| warning(name, &known)).collect()
}

/// The variables of the options of each verb.
fn variables(command: &clap::Command) -> impl Iterator<Item = &OsStr> {
    command.get_subcommands().flat_map(clap::Command::get_arguments).filter_map(Arg::get_env)
}

/// The variables of all options, and of none.
fn known() -> Vec<String> {
    let command = Cli::command();
    let variables = variables(&command).map(|name| name.to_string_lossy().into_owned());
    variables.chain(OTHERS.map(str::to_owned)).collect()
}

fn warning(name: &str, known: &[String]) -> String {
    let meant = nearest(name, known.iter().map(String::as_str), 2);
    let meant = meant.map(|other| format!("; did you mean {other}?")).unwrap_or_default();
    format!("nothing reads the variable {}{meant}", safe(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_nothing_reads_names_the_one_that_was_meant() {
        let known =
            ["REDLOCK_ALL", "REDLOCK_TTL", "REDLOCK_URLS", "REDLOCK_WAIT"].map(str::to_owned);
        for (name, meant) in [
            ("REDLOCK_TLL", "; did you mean REDLOCK_TTL?"),
            ("REDLOCK_URL", "; did you mean REDLOCK_URLS?"),
            ("REDLOCK_WAITS", "; did you mean REDLOCK_WAIT?"),
            ("REDLOCK_SERVERS", ""),
        ] {
            assert_eq!(warning(name, &known), format!("nothing reads the variable {name}{meant}"));
        }
        assert!(!warning("REDLOCK_\u{1b}[31m", &known).contains('\u{1b}'));
    }
}
