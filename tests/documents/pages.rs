//! The Markdown pages of the repository, and the lines of a page that are prose.

use std::fs;
use std::path::{Path, PathBuf};

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file, by its path from the top.
pub(crate) fn read(file: &str) -> String {
    let path = root().join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The paths from the top of all files in these folders, and below them, that end with `ending`.
pub(crate) fn files(folders: &[&str], ending: &str) -> Vec<String> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    for folder in folders {
        walk(&root().join(folder), &mut found);
    }
    let name = |path: &PathBuf| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    let mut names: Vec<String> = found.iter().map(name).collect();
    names.retain(|name| name.ends_with(ending));
    names.sort();
    names
}

/// Every Markdown page: those at the top, and those of the folders with documents.
pub(crate) fn all() -> Vec<String> {
    let top = fs::read_dir(root()).unwrap();
    let top = top.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_page = |name: &String| Path::new(name).extension().is_some_and(|ext| ext == "md");
    let mut pages: Vec<String> = top.filter(is_page).collect();
    pages.extend(files(&["docs", "examples", "tests"], ".md"));
    pages.sort();
    assert!(pages.len() > 15, "only {pages:?}: the search no longer finds the pages");
    pages
}

/// The pages for users, whose shell blocks are run.
pub(crate) fn for_users() -> Vec<String> {
    let mut pages = all();
    pages.retain(|page| {
        (page.starts_with("docs/") && !page.starts_with("docs/design/"))
            || ["README.md", "SECURITY.md"].contains(&page.as_str())
    });
    pages
}

/// The lines of a page outside its fenced blocks, and without the text of code spans.
pub(crate) fn prose(page: &str) -> Vec<String> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !line.starts_with("    ") {
            lines.push(line.split('`').step_by(2).collect::<Vec<_>>().join("`"));
        }
    }
    lines
}
