//! The manual under `man/` is up to date and has no faults. The pages of section 1 are generated, those
//! of sections 5 and 7 are written by hand.
//!
//! `make man` runs the test with `REDLOCK_WRITE_MAN=1`, which writes the pages. A test and no
//! program of its own, so that the build for users has no part in this.

use crate::manual::generated;
use crate::pages;
use std::fs;
use std::process::Command;

/// The names of the files that are there.
fn stored() -> Vec<String> {
    let names = pages::files(&["man"], "").into_iter();
    names
        .filter_map(|name| name.strip_prefix("man/").map(str::to_owned))
        .filter(|name| !name.contains('/'))
        .collect()
}

#[test]
fn the_manual_is_up_to_date() {
    let generated = generated();
    let is_write = std::env::var_os("REDLOCK_WRITE_MAN").is_some();
    for (file, text) in &generated {
        let path = pages::root().join("man").join(file);
        if is_write {
            fs::write(&path, text).unwrap();
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(there == *text, "man/{file} is out of date; run 'make man'");
    }
    for file in stored().into_iter().filter(|file| file.ends_with(".1")) {
        let is_known = generated.iter().any(|(name, _)| *name == file);
        assert!(is_known, "man/{file} is of a verb that does not exist");
    }
}

#[test]
fn each_verb_says_its_exit_status_and_has_examples() {
    for (file, text) in generated() {
        for heading in [".SH \"EXIT STATUS\"", ".SH EXAMPLES"] {
            assert!(text.contains(heading), "man/{file} has no {heading}: man/parts is its place");
        }
    }
}

#[test]
fn the_manual_has_no_fault_that_mandoc_sees() {
    let files: Vec<String> = stored().iter().map(|name| format!("man/{name}")).collect();
    let mut mandoc = Command::new("mandoc");
    mandoc.arg("-Tlint").args(&files).current_dir(pages::root());
    // Most machines have another man.
    let Ok(output) = mandoc.output() else { return };
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.is_empty(), "mandoc -Tlint:\n{said}");
}

#[test]
fn the_manual_of_the_servers_names_every_right_that_doctor_tries() {
    let manual = pages::read("man/redlock-servers.7");
    let script = pages::read("src/instance/scripts/operator.rs");
    // The first argument of each try is a pattern.
    let command = |rest: &'_ str| Some(rest.split_once(", '")?.1.split('\'').next()?.to_owned());
    let is_command = |word: &String| word.chars().all(char::is_uppercase);
    let commands: Vec<String> =
        script.split("try(").skip(1).filter_map(command).filter(is_command).collect();
    assert!(commands.len() >= 15, "only {commands:?}");
    for command in commands {
        let right = format!("+{}", command.to_lowercase());
        assert!(manual.contains(&right), "man/redlock-servers.7 does not have {right}");
    }
}
