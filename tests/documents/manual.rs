//! Makes the pages of section 1, from clap's data and the hand-written sections in `man/parts`.
//! A verb without such a part has its epilogue instead.

use crate::pages;
use clap::{Arg, Command, CommandFactory as _};
use clap_mangen::Man;
use redlock_cli::cli::Cli;
use std::fs;

/// The date of the manual, which does not depend on the day of the build.
const DATE: &str = "2026-11-27";

/// The sections of a page behind its options, in the order of man-pages(7).
const ORDER: [&str; 7] =
    ["EXIT STATUS", "ENVIRONMENT", "FILES", "SIGNALS", "NOTES", "EXAMPLES", "SEE ALSO"];

/// A page: its text, section by section, behind the one for the description.
#[derive(Default)]
struct Sections {
    description: String,
    behind: Vec<(String, String)>,
}

impl Sections {
    /// The sections of a hand-written part. The text before the first heading is for the
    /// description.
    fn of(part: &str) -> Self {
        let mut parts = part.split(".SH ");
        let description = parts.next().unwrap_or_default().to_owned();
        let section = |text: &str| {
            let (heading, text) = text.split_once('\n').expect("a heading, and text");
            (heading.trim_matches('"').to_owned(), text.to_owned())
        };
        Self { description, behind: parts.map(section).collect() }
    }

    /// The sections of a verb that has no hand-written part yet: the paragraphs of its epilogue.
    fn of_epilogue(verb: &Command) -> Self {
        let mut sections = Self::default();
        let epilogue = verb.get_after_long_help().or_else(|| verb.get_after_help());
        let epilogue = epilogue.map(ToString::to_string).unwrap_or_default();
        for paragraph in epilogue.split("\n\n") {
            let (heading, text) = match paragraph.split_once('\n') {
                Some((first, rest)) if first.starts_with("Example") => ("EXAMPLES", rest),
                Some((first, rest)) if first.starts_with("Exit") => ("EXIT STATUS", rest),
                _ => ("NOTES", paragraph),
            };
            if !text.is_empty() {
                sections.add(heading, &format!(".PP\n.EX\n{}\n.EE\n", escaped(text)));
            }
        }
        sections
    }

    fn add(&mut self, heading: &str, text: &str) {
        match self.behind.iter_mut().find(|(there, _)| there == heading) {
            Some((_, there)) => there.push_str(text),
            None => self.behind.push((heading.to_owned(), text.to_owned())),
        }
    }

    fn in_order(mut self, page: &str) -> String {
        let place = |heading: &str| ORDER.iter().position(|known| *known == heading);
        for (heading, _) in &self.behind {
            assert!(place(heading).is_some(), "man/{page}: the section {heading} has no place");
        }
        self.behind.sort_by_key(|(heading, _)| place(heading));
        let text = |(heading, text): &(String, String)| {
            let text = text.strip_prefix(".PP\n").unwrap_or(text);
            format!(".SH {}\n{text}", quoted(heading))
        };
        self.behind.iter().map(text).collect::<Vec<_>>().concat()
    }
}

/// Text as roff shows it unchanged.
fn escaped(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
        if line.starts_with('.') { format!("\\&{line}") } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn quoted(heading: &str) -> String {
    if heading.contains(' ') { format!("\"{heading}\"") } else { heading.to_owned() }
}

/// A hand-written part, if there is one.
fn part(name: &str) -> Option<String> {
    fs::read_to_string(pages::root().join(format!("man/parts/{name}.roff"))).ok()
}

/// The variables that set the options of a verb, a line each.
fn variables(verb: &Command) -> String {
    let variable = |arg: &Arg| {
        let name = arg.get_env()?.to_str()?;
        let option = escaped(&format!("--{}", arg.get_long()?));
        Some(format!(".TP 30\n.B {}\nsets\n.B {option}\n", escaped(name)))
    };
    let mut lines: Vec<String> = verb.get_arguments().filter_map(variable).collect();
    lines.sort();
    if lines.is_empty() { String::new() } else { format!(".PP\n.PD 0\n{}.PD\n", lines.concat()) }
}

/// The options by `clap_mangen`. Its headings are below the one for the options.
fn options(man: &Man) -> String {
    let mut bytes = Vec::new();
    man.render_options_section(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let text = text.strip_prefix(PROLOGUE).unwrap_or(&text);
    let mut lines = Vec::new();
    for line in text.lines() {
        match line.strip_prefix(".SH ") {
            Some(heading) if !heading.contains("OPTIONS") => {
                let words = heading.trim_matches('"').to_lowercase();
                let (first, rest) = words.split_at(1);
                lines.push(format!(".SS {}", quoted(&(first.to_uppercase() + rest))));
            }
            _ => lines.push(line.trim_end().to_owned()),
        }
    }
    lines.retain(|line| !line.is_empty());
    lines.dedup_by(|next, line| next == ".br" && line == ".br");
    lines.join("\n") + "\n"
}

/// The page with lines of text that fit a terminal. Examples and macros stay as they are.
fn folded(page: &str) -> String {
    let mut is_example = false;
    let mut folded = String::new();
    for line in page.lines() {
        is_example = (is_example || line == ".EX") && line != ".EE";
        let mut length = 0;
        for word in line.split(' ') {
            let is_long = length + word.len() > 78 && !is_example && !line.starts_with('.');
            if length > 0 {
                folded.push(if is_long { '\n' } else { ' ' });
            }
            length = word.len() + 1 + if is_long { 0 } else { length };
            folded.push_str(word);
        }
        folded.push('\n');
    }
    folded
}

/// The beginning of each roff text: an apostrophe that works everywhere.
const PROLOGUE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// `about` as the name section has it: no capital, no full stop.
fn about(command: &Command) -> String {
    let about = command.get_about().expect("each verb says what it does").to_string();
    let (first, rest) = about.trim_end_matches('.').split_at(1);
    escaped(&(first.to_lowercase() + rest))
}

/// The forms of the command line, each without the word `Usage`.
fn synopsis(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let forms = usage.trim_start_matches("Usage:").lines().map(str::trim);
    forms.map(|form| escaped(form) + "\n").collect::<Vec<_>>().join(".br\n")
}

/// One page of section 1.
fn page(command: &Command) -> (String, String) {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let verb = name.strip_prefix("redlock-").unwrap_or(&name);
    let man = Man::new(command.clone());
    let mut sections =
        part(verb).map_or_else(|| Sections::of_epilogue(command), |text| Sections::of(&text));
    let reads_config = command.get_arguments().any(|arg| arg.get_long() == Some("config"));
    if reads_config {
        sections.add("ENVIRONMENT", &part("environment").expect("there is one"));
        sections.add("FILES", &part("files").expect("there is one"));
    }
    sections.add("ENVIRONMENT", &variables(command));
    sections.behind.retain(|(_, text)| !text.is_empty());
    sections.add("SEE ALSO", &see_also(command, &name));
    let about_text = command.get_long_about().or_else(|| command.get_about()).expect("as above");
    let about_text = escaped(&about_text.to_string()).replace("\n\n", "\n.PP\n");
    // The hand-written description of a verb includes its purpose.
    let description = match sections.description.strip_prefix(".PP\n") {
        Some(text) if !command.has_subcommands() => text.to_owned(),
        _ => format!("{about_text}\n{}", sections.description),
    };
    let mut text = format!(
        "{PROLOGUE}.TH {} 1 {DATE} \"redlock {}\" redlock\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n{}.SH DESCRIPTION\n{description}",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION"),
        escaped(&name),
        about(command),
        synopsis(command),
    );
    if command.has_subcommands() {
        text.push_str(&commands(command));
    }
    text.push_str(&options(&man));
    text.push_str(&sections.in_order(&name));
    (format!("{name}.1"), folded(&text))
}

/// The verbs, each with its purpose.
fn commands(command: &Command) -> String {
    let verb = |verb: &Command| {
        let what = verb.get_about().expect("each verb says what it does").to_string();
        format!(".TP\n.BR redlock\\-{} (1)\n{}\n", escaped(verb.get_name()), escaped(&what))
    };
    let verbs: Vec<String> = command.get_subcommands().map(verb).collect();
    format!(".SH COMMANDS\n{}", verbs.concat())
}

/// The other pages.
fn see_also(command: &Command, name: &str) -> String {
    let root = Cli::command();
    let mut others: Vec<String> = vec!["redlock (1)".to_owned()];
    others.extend(root.get_subcommands().map(|verb| format!("redlock-{} (1)", verb.get_name())));
    others.retain(|other| *other != format!("{name} (1)"));
    // The first page lists the verbs already.
    others.retain(|other| !command.has_subcommands() || other == "redlock-run (1)");
    others.extend(["redlock.toml (5)", "redlock-servers (7)", "flock (1)"].map(str::to_owned));
    let last = others.len() - 1;
    let line = |(at, other): (usize, &String)| {
        format!(".BR {}{}\n", escaped(other), if at == last { "" } else { " ," })
    };
    others.iter().enumerate().map(line).collect()
}

/// All pages of section 1, by their file names.
pub(crate) fn generated() -> Vec<(String, String)> {
    let mut root = Cli::command();
    root.build();
    let verbs = root.get_subcommands().map(page);
    std::iter::once(page(&root)).chain(verbs).collect()
}
