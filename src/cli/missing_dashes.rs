//! The corrected command line where `run` or `--` is missing.

use super::args::RunArgs;
use super::synonyms::is_secret;
use crate::instance::redacted;
use anyhow::Error;
use clap::{Args as _, Command};
use std::ffi::OsString;
use std::path::Path;

/// The error for a line without `--`.
pub(super) fn error(corrected: &str) -> Error {
    Error::msg(format!("missing '--' before the command; write: {corrected}"))
}

/// `line`, which has no verb, with `run` in front and the `--` in its place; `None` for a line
/// without a command.
pub(super) fn with_run(line: &[OsString]) -> Option<String> {
    let (program, rest) = line.split_first()?;
    with_verb(program, rest)
}

/// The same for a line whose first word is a verb of another tool.
pub(super) fn with_run_for_verb(line: &[OsString]) -> Option<String> {
    with_verb(line.first()?, line.get(2..)?)
}

fn with_verb(program: &OsString, rest: &[OsString]) -> Option<String> {
    let line: Vec<OsString> =
        [program.clone(), "run".into()].into_iter().chain(rest.iter().cloned()).collect();
    let words = as_text(&line);
    let dashes = words.iter().position(|word| word == "--");
    match dashes {
        Some(at) if at.saturating_add(1) == words.len() => None,
        // The `--` has a word behind it, or the command is given with `-c`.
        Some(_) => Some(format!("redlock {}", shown(words.get(1..)?))),
        None if words.iter().skip(2).any(|word| is_command_flag(word))
            && !is_program(words.get(2)?) =>
        {
            Some(format!("redlock {}", shown(words.get(1..)?)))
        }
        None => with_dashes(&line),
    }
}

/// The error for a line of `redlock run` without a command.
pub(super) fn without_command(line: &[OsString]) -> String {
    let words = as_text(line);
    let typed = words.get(2..).unwrap_or_default();
    let before: Vec<String> = typed.iter().take_while(|word| *word != "--").cloned().collect();
    match before.as_slice() {
        [] => "missing the command; write: redlock run [OPTIONS] [NAME] -- COMMAND [ARG...]".into(),
        [word] if word == "help" => {
            "missing the command; for help write: redlock run --help".into()
        }
        before => {
            format!("missing the command; write: redlock run {} -- COMMAND [ARG...]", shown(before))
        }
    }
}

/// The words of `line`, readable.
pub(super) fn as_text(line: &[OsString]) -> Vec<String> {
    line.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Words of a line, for a shell to read back, and without passwords.
pub(super) fn shown(words: &[String]) -> String {
    redact_args(words).iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// `line`, a call of `redlock run` without `--`, with the `--` in its place; `None` for a line
/// without a command.
pub(super) fn with_dashes(line: &[OsString]) -> Option<String> {
    let words = as_text(line);
    let run = words.iter().position(|word| word == "run")?;
    if words.iter().any(|word| word == "--") {
        return None;
    }
    let first = first_word(&words, run + 1)?;
    // The first word is the command if it can be one, else the lock's name.
    let is_command = is_program(words.get(first)?);
    let command = if is_command { first } else { first_word(&words, first + 1)? };
    let (before, after) = (words.get(run..command)?, words.get(command..)?);
    // A command is given with `-c` already.
    if before.iter().any(|word| is_command_flag(word)) {
        return None;
    }
    // An option such as `-a` behind the `--` is an option of the command.
    let all: Vec<String> =
        before.iter().cloned().chain(["--".to_owned()]).chain(after.iter().cloned()).collect();
    Some(format!("redlock {}", shown(&all)))
}

/// Whether this is `--command`, or flags of one letter with `-c` among them.
fn is_command_flag(word: &str) -> bool {
    match word.strip_prefix("--") {
        Some(long) => long.split('=').next() == Some("command"),
        None => letters(word).is_some_and(|letters| letters.starts_with('c')),
    }
}

/// The flags of one letter that take no value.
const BARE: [char; 3] = ['n', 'q', 'v'];

/// The letters of a word such as `-nc`, without those in front that take no value.
fn letters(word: &str) -> Option<&str> {
    let letters = word.strip_prefix('-').filter(|letters| !letters.starts_with('-'))?;
    Some(letters.trim_start_matches(BARE))
}

/// The first word from `start` on that is neither a flag nor a flag's value.
fn first_word(words: &[String], start: usize) -> Option<usize> {
    let run = RunArgs::augment_args(Command::new("run"));
    let takes_value = |word: &str| {
        run.get_arguments().filter(|arg| arg.get_action().takes_values()).any(|arg| {
            arg.get_long().is_some_and(|long| word.strip_prefix("--") == Some(long))
                || arg
                    .get_short()
                    .is_some_and(|short| letters(word) == Some(short.to_string().as_str()))
        })
    };
    let mut at = start;
    while let Some(word) = words.get(at) {
        if !word.starts_with('-') {
            return Some(at);
        }
        at += if takes_value(word) { 2 } else { 1 };
    }
    None
}

/// Whether a shell would find a program under this word. A path that ends in `.lock` or `.lck` is
/// none: it is a lock of flock(1).
pub(super) fn is_program(word: &str) -> bool {
    word.contains('/')
        && !Path::new(word).extension().is_some_and(|end| end == "lock" || end == "lck")
        || std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|dir| is_file(&dir.join(word))))
}

fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// The words of a line without passwords. A word that is or may be a URL loses its password. The
/// value of another tool's secret option is left out.
pub(super) fn redact_args(words: &[String]) -> Vec<String> {
    let before = std::iter::once("").chain(words.iter().map(String::as_str));
    let is_url = |flag: &str| flag == "--url" || letters(flag) == Some("u");
    let dashes = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let each = words.iter().zip(before).enumerate();
    let each = each.map(|(at, (word, before))| match word.split_once('=') {
        _ if at < dashes && is_secret(before) => "…".to_owned(),
        Some((flag, _)) if at < dashes && is_secret(flag) => format!("{flag}=…"),
        _ if is_url(before) => redacted_list(word),
        Some((flag, value)) if is_url(flag) => format!("{flag}={}", redacted_list(value)),
        Some((flag, value)) if flag.starts_with("--") => {
            format!("{flag}={}", without_password(value))
        }
        _ => without_password(word),
    });
    each.collect()
}

/// A list of servers without passwords. A list with an `@` is not split, since a password may hold
/// a comma.
fn redacted_list(word: &str) -> String {
    if word.contains('@') {
        return redacted(word);
    }
    word.split(',').map(redacted).collect::<Vec<_>>().join(",")
}

/// A word of the command, or one in the wrong place. Its URL may have another scheme than `redis`.
fn without_password(word: &str) -> String {
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    match word.split_once("://") {
        Some((scheme, _)) if scheme.chars().all(is_of_scheme) && redacted(word) == "redis://…" => {
            format!("{scheme}://…")
        }
        Some(_) => redacted(word),
        None if word.split_once('@').is_some_and(|(before, _)| before.contains(':')) => {
            "…".to_owned()
        }
        None => word.to_owned(),
    }
}

/// `word` as a shell would read it back.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+…".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    // A control character would act on the terminal instead of being shown.
    let shown: String = word.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    format!("'{}'", shown.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;

    #[test]
    fn the_flags_of_one_letter_that_take_no_value_are_known() {
        let run = RunArgs::augment_args(Command::new("run"));
        let bare = run.get_arguments().filter(|arg| !arg.get_action().takes_values());
        let mut letters: Vec<char> = bare.filter_map(Arg::get_short).collect();
        letters.sort_unstable();
        assert_eq!(letters, BARE);
    }

    #[test]
    fn the_dashes_go_before_the_command() {
        for (line, corrected) in [
            ("redlock run ./migrate.sh", Some("redlock run -- ./migrate.sh")),
            (
                "redlock run --ttl 30s ./migrate.sh --all",
                Some("redlock run --ttl 30s -- ./migrate.sh --all"),
            ),
            ("/usr/bin/redlock run --ttl=30s -n sh -x", Some("redlock run --ttl=30s -n -- sh -x")),
            ("redlock run -w 5 nightly ./x y", Some("redlock run -w 5 nightly -- ./x y")),
            (
                "redlock run nightly-job-that-is-no-program x",
                Some("redlock run nightly-job-that-is-no-program -- x"),
            ),
            (
                "redlock run -u redis://:hush@a --url=redis://:hush@b ./x",
                Some("redlock run -u redis://…@a --url=redis://…@b -- ./x"),
            ),
            (
                "redlock run sync-job psql postgres://me:hush@db/x",
                Some("redlock run sync-job -- psql postgres://…"),
            ),
            (
                "redlock run sync-job scp me@host:/file me:hush@host",
                Some("redlock run sync-job -- scp me@host:/file …"),
            ),
            (
                "redlock run no-such-program -w 10m ./x y",
                Some("redlock run no-such-program -w 10m -- ./x y"),
            ),
            ("redlock run no-such-program -w 10m", None),
            ("redlock run a -c b c", None),
            ("redlock run a --command=b c", None),
            ("redlock run a -nc b c", None),
            ("redlock run sh -c hi arg", Some("redlock run -- sh -c hi arg")),
            ("redlock run -uredis://:a=hush@a ./x", Some("redlock run -uredis://… -- ./x")),
            (
                "redlock run -nu me:hush --url=me:hush -u me:hush ./x",
                Some("redlock run -nu redis://… --url=redis://… -u redis://… -- ./x"),
            ),
            ("redlock run -u a,b,c ./x", Some("redlock run -u a,b,c -- ./x")),
            ("redlock run -u redis://:hu,sh@a,b:hush ./x", Some("redlock run -u redis://… -- ./x")),
            ("redlock run", None),
            ("redlock run no-such-program", None),
            ("redlock run -n", None),
            ("redlock run a -- b", None),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(with_dashes(&words).as_deref(), corrected, "{line}");
        }
    }

    #[test]
    fn the_verb_goes_before_a_command() {
        for (line, corrected) in [
            ("redlock ./x --all", Some("redlock run -- ./x --all")),
            ("redlock -- ./x", Some("redlock run -- ./x")),
            ("redlock -n nightly -- ./x", Some("redlock run -n nightly -- ./x")),
            ("redlock -w 5 nightly ./x", Some("redlock run -w 5 nightly -- ./x")),
            ("redlock sh -c hi", Some("redlock run -- sh -c hi")),
            ("redlock nightly -c hi", Some("redlock run nightly -c hi")),
            ("redlock -n /var/lock/a.lock ./x", Some("redlock run -n /var/lock/a.lock -- ./x")),
            (
                "redlock --password hush -a hush -- ./x -a b",
                Some("redlock run --password … -a … -- ./x -a b"),
            ),
            ("redlock nightly", None),
            ("redlock nightly --", None),
            ("redlock -n", None),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(with_run(&words).as_deref(), corrected, "{line}");
        }
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, shown) in [
            ("a-b", "a-b"),
            ("a b", "'a b'"),
            ("", "''"),
            ("it's", r"'it'\''s'"),
            ("a\u{1b}", "'a?'"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }
}
