//! Fenced blocks of the pages. A comment above each shell block says `<!-- run -->`, or why it is not run:
//! `<!-- not run: REASON -->`. `tests/integration/documents.rs` runs the blocks.

use super::pages;

/// Languages of blocks that a shell can run.
const SHELLS: [&str; 6] = ["sh", "bash", "zsh", "fish", "shell", "console"];

/// Pages whose blocks are for other machines than this one, and the reason for each.
const ELSEWHERE: [(&str, &str); 3] = [
    ("docs/install.md", "`make dist-test` installs the packages in a root of its own"),
    ("docs/recipes/", "tests/integration/recipes.rs takes the lock of each line"),
    ("docs/servers.md", "tests/integration/example_servers.rs starts the same files"),
];

/// The mark of a block, from the comment above it.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Mark {
    Run,
    NotRun(String),
    Missing,
}

/// One fenced block.
#[derive(Debug)]
pub(crate) struct Block {
    /// The page, and the line of the fence.
    pub(crate) at: String,
    /// The first word behind the fence.
    pub(crate) language: String,
    pub(crate) text: String,
    pub(crate) mark: Mark,
}

fn comment(line: &str) -> Option<&str> {
    line.trim().strip_prefix("<!-- ")?.strip_suffix(" -->")
}

/// The mark in the line above a block.
fn mark(line: &str) -> Mark {
    match comment(line).map(|text| (text, text.strip_prefix("not run: "))) {
        Some(("run", _)) => Mark::Run,
        Some((_, Some(reason))) if !reason.is_empty() => Mark::NotRun(reason.to_owned()),
        _ => Mark::Missing,
    }
}

/// Whether the blocks of this page are for other machines.
pub(crate) fn is_elsewhere(page: &str) -> bool {
    mark_of_page(page) != Mark::Missing
}

/// The mark of all blocks of this page without a mark of their own.
fn mark_of_page(page: &str) -> Mark {
    let reason = ELSEWHERE.iter().find(|(start, _)| page.starts_with(start));
    reason.map_or(Mark::Missing, |(_, reason)| Mark::NotRun((*reason).to_owned()))
}

/// The fenced blocks of one page.
pub(crate) fn blocks_of(page: &str, text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    let mut fenced = false;
    let mut before = "";
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(info) = line.trim_start().strip_prefix("```") {
            found.extend(open.take());
            let language = info.split_whitespace().next().unwrap_or_default();
            if !fenced {
                let (at, language) = (format!("{page}:{number}"), language.to_owned());
                let mark = match mark(before) {
                    Mark::Missing => mark_of_page(page),
                    mark => mark,
                };
                open = Some(Block { at, language, text: String::new(), mark });
            }
            fenced = !fenced;
        } else if let Some(block) = &mut open {
            block.text.push_str(line);
            block.text.push('\n');
        }
        before = line;
    }
    found
}

/// The blocks of all pages for users in one of these languages.
pub(crate) fn in_languages(languages: &[&str]) -> Vec<Block> {
    let pages = pages::for_users();
    let blocks = pages.iter().flat_map(|page| blocks_of(page, &pages::read(page)));
    blocks.filter(|block| languages.contains(&block.language.as_str())).collect()
}

/// The shell blocks of all pages for users.
pub(crate) fn all() -> Vec<Block> {
    let blocks = in_languages(&SHELLS);
    assert!(blocks.len() >= 10, "only {} blocks: the search no longer finds them", blocks.len());
    blocks
}
