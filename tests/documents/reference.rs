//! The reference pages have every verb, option, variable and exit code of the program.

use crate::{blocks, pages};
use clap::CommandFactory as _;
use redlock_cli::cli::Cli;
use std::process::Command;

/// The message about a configuration file with an unknown part.
const NO_CONFIGURATION: &str = "cannot use the configuration";

/// Whether `text` has `word` with no letter, digit, `-` or `_` around it.
fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}

/// The output of the program.
fn printed(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_redlock")).args(words).output().unwrap();
    assert!(output.status.success(), "redlock {words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The output of the program with `--help`.
fn help(verb: &str) -> String {
    printed(&[verb, "--help"])
}

/// The options that a help names, by their long form.
fn flags(help: &str) -> Vec<&str> {
    let lines = help.lines().map(str::trim).filter(|line| line.starts_with('-'));
    lines
        .filter_map(|line| line.split([' ', ',']).find(|word| word.starts_with("--")))
        .filter(|flag| *flag != "--help")
        .collect()
}

fn verbs() -> Vec<String> {
    Cli::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect()
}

#[test]
fn help_of_a_verb_is_the_same_as_its_option_help() {
    assert_eq!(printed(&["help"]), printed(&["--help"]));
    for verb in verbs() {
        assert_eq!(printed(&["help", &verb]), help(&verb), "redlock help {verb}");
    }
}

#[test]
fn the_readme_is_short() {
    let lines = pages::read("README.md").lines().count();
    assert!(lines <= 150, "README.md has {lines} lines: the reference is in docs/");
}

#[test]
fn the_page_of_options_has_every_verb_and_every_option() {
    let page = pages::read("docs/options.md");
    let run = help("run");
    assert!(flags(&run).len() > 15, "{run}");
    for verb in verbs() {
        let heading = format!("## `redlock {verb}`");
        assert!(page.contains(&format!("\n{heading}\n")), "docs/options.md has no {heading}");
        for flag in flags(&help(&verb)) {
            assert!(has_word(&page, flag), "docs/options.md does not mention {flag} of {verb}");
        }
    }
}

#[test]
fn the_page_of_exit_codes_has_every_code_and_so_has_the_help() {
    let page = pages::read("docs/exit-codes.md");
    let help = help("run");
    let table = pages::read("src/policy/outcome.rs");
    let codes: Vec<&str> =
        table.split("u8 = ").skip(1).map(|rest| rest.split(';').next().unwrap()).collect();
    assert_eq!(codes.len(), 10, "{codes:?}");
    for code in codes {
        assert!(
            page.contains(&format!("\n| {code} |")),
            "docs/exit-codes.md has no row for {code}"
        );
        assert!(help.contains(code), "--help does not explain exit code {code}");
    }
}

#[test]
fn the_page_of_the_configuration_has_every_variable() {
    let page = pages::read("docs/configuration.md");
    let mut checked = 0;
    for verb in Cli::command().get_subcommands() {
        for variable in verb.get_arguments().filter_map(|arg| arg.get_env()?.to_str()) {
            assert!(variable.starts_with("REDLOCK_"), "{variable}");
            let quoted = format!("`{variable}`");
            assert!(page.contains(&quoted), "docs/configuration.md does not have {variable}");
            checked += 1;
        }
    }
    assert!(checked > 30, "only {checked} variables were seen");
}

#[test]
fn every_key_of_the_configuration_file_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    std::fs::write(&file, "no-such-key = 1\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_redlock"));
    let output = command.args(["list", "--config"]).arg(&file).output().unwrap();
    let refusal = String::from_utf8(output.stderr).unwrap();
    assert!(refusal.contains(NO_CONFIGURATION), "{refusal}");
    let (_, keys) = refusal.split_once("expected one of ").expect("serde names the keys");
    let keys: Vec<&str> = keys.split('`').skip(1).step_by(2).collect();
    assert!(keys.len() >= 10, "{refusal}");
    for page in ["docs/configuration.md", "man/redlock.toml.5"] {
        let text = pages::read(page).replace("\\-", "-");
        for key in &keys {
            assert!(has_word(&text, key), "{page} does not explain {key}");
        }
    }
}

#[test]
fn every_example_of_the_configuration_file_is_understood() {
    let manual = pages::read("man/redlock.toml.5").replace('\\', "");
    let (_, example) = manual.split_once("\n.EX\n").expect("an example");
    let (example, _) = example.split_once(".EE").expect("its end");
    let mut examples = vec![("man/redlock.toml.5".to_owned(), example.to_owned())];
    let blocks = blocks::in_languages(&["toml"]);
    examples.extend(blocks.into_iter().map(|block| (block.at, block.text)));
    assert!(examples.len() >= 2, "only {} examples", examples.len());
    let dir = tempfile::tempdir().unwrap();
    for (at, text) in examples {
        let file = dir.path().join("config.toml");
        std::fs::write(&file, &text).unwrap();
        // The files that the configuration names are not here, and a refused URL ends redlock
        // before any request to a server.
        let mut command = Command::new(env!("CARGO_BIN_EXE_redlock"));
        command.args(["list", "--url", "redis://refused:?", "--config"]).arg(&file);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains(NO_CONFIGURATION) && !output.status.success(), "{at}: {said}{text}");
    }
}
