//! Commands that only a shell understands.

use super::missing_dashes::{as_text, is_program, quoted, shown};
use std::ffi::OsString;

/// Commands that are a part of the shell. An installed program of this name is run.
const BUILTINS: [&str; 16] = [
    "cd", "source", ".", "export", "set", "unset", "alias", "eval", "ulimit", "umask", "pushd",
    "popd", "shopt", "trap", "exit", "exec",
];

/// Characters that make a shell's operator or expansion.
const OPERATORS: [char; 8] = ['&', '|', ';', '<', '>', '`', '$', '*'];

/// Advice about `argv`, the command of `line`, which cannot be a program. `None` if `argv` may be a
/// program.
pub(super) fn hint(argv: &[OsString], line: &[OsString]) -> Option<String> {
    let words = as_text(argv);
    let (first, rest) = words.split_first()?;
    if first.is_empty() {
        return Some(
            "the command behind '--' is empty; write: redlock run [NAME] -- COMMAND".into(),
        );
    }
    let path = std::path::Path::new(first);
    // A path may have such characters in it: then the file decides.
    if path.is_file() || !first.contains('/') && is_program(first) {
        return None;
    }
    let line = as_text(line);
    let dashes = line.iter().position(|word| word == "--")?;
    let before = shown(line.get(1..dashes)?);
    let write = |command: &str| format!("write: redlock {before} {command}");
    if rest.first().is_some_and(|word| word == "--") {
        let moved = rest.get(1..)?;
        let command = shown(&[&["--".to_owned()], moved].concat());
        return Some(format!(
            "NAME stands before the first '--'; {}",
            write(&format!("{} {command}", quoted(first)))
        ));
    }
    if is_assignment(first) {
        let command = shown(&[&["--".to_owned(), "env".to_owned()], words.as_slice()].concat());
        return Some(format!("a variable is set by env or a shell; {}", write(&command)));
    }
    if rest.is_empty() && first.contains(char::is_whitespace) {
        let command = shown(&["--".to_owned(), first.clone()]);
        let string = command.strip_prefix("-- ").unwrap_or_default();
        let what = if first.contains(OPERATORS) {
            "a line for a shell"
        } else {
            "one word, and no program is called that"
        };
        return Some(format!("{string} is {what}; {}", write(&format!("-c {string}"))));
    }
    if BUILTINS.contains(&first.as_str()) {
        let string = quoted(&format!("{} && COMMAND", shown(&words)));
        return Some(format!(
            "'{first}' is a part of the shell; {}",
            write(&format!("-c {string}"))
        ));
    }
    None
}

/// Whether a shell would take this word as the setting of a variable.
fn is_assignment(word: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    word.split_once('=').is_some_and(|(name, _)| is_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_for_a_shell_is_told_from_a_program() {
        for (argv, hinted) in [
            (&["a && b"][..], Some("write: redlock run x -c 'a && b'")),
            (&["./x --all"], Some("write: redlock run x -c './x --all'")),
            (&["cd", "/no such"], Some(r"-c 'cd '\''/no such'\'' && COMMAND'")),
            (&["FOO=1", "x"], Some("write: redlock run x -- env FOO=1 x")),
            (&["nightly-of-mine", "--", "x"], Some("write: redlock run x nightly-of-mine -- x")),
            (&[""], Some("is empty")),
            (&["sh", "-c", "a && b"], None),
            (&["./x=1"], None),
            (&["no-such-program"], None),
            (&["no-such-program", "a && b"], None),
        ] {
            let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
            let line: Vec<OsString> = ["redlock", "run", "x", "--"]
                .iter()
                .map(OsString::from)
                .chain(argv.clone())
                .collect();
            match (hint(&argv, &line), hinted) {
                (None, None) => {}
                (Some(text), Some(part)) => assert!(text.contains(part), "{text}"),
                (hint, _) => panic!("{argv:?}: {hint:?}"),
            }
        }
    }
}
