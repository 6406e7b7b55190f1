//! Links inside the repository lead to a file and a heading that exist.

use crate::pages;
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// The anchors of a page as GitHub makes them from the headings: small letters, digits, `-` and
/// `_`, a dash for each space.
fn anchors(page: &str) -> Vec<String> {
    let mut fenced = false;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let text = line.trim_start_matches('#');
        if fenced || text.len() == line.len() || !text.starts_with(' ') {
            continue;
        }
        let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
        let lower = text.trim().to_lowercase();
        let anchor: String = lower.chars().filter(kept).collect::<String>().replace(' ', "-");
        let count = counts.entry(anchor.clone()).or_default();
        found.push(if *count == 0 { anchor } else { format!("{anchor}-{count}") });
        *count += 1;
    }
    found
}

/// The targets of the links of a page: `](target)`, and `[name]: target` at the begin of a line.
fn targets(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in pages::prose(page) {
        let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        found.extend(inline.map(str::to_owned));
        if let Some((_, target)) = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            found.push(target.trim().to_owned());
        }
    }
    found
}

/// The path without `.` and `..`.
fn resolved(folder: &Path, target: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in folder.join(target).components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            _ => {}
        }
    }
    parts.join("/")
}

#[test]
fn every_link_inside_the_repository_resolves() {
    let mut checked = 0;
    for page in pages::all() {
        let folder = Path::new(&page).parent().unwrap();
        for target in targets(&pages::read(&page)) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if file.is_empty() { page.clone() } else { resolved(folder, file) };
            assert!(pages::root().join(&file).exists(), "{page}: there is no {file} ({target})");
            assert!(
                anchor.is_empty() || anchors(&pages::read(&file)).iter().any(|a| a == anchor),
                "{page}: {file} has no heading #{anchor}"
            );
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} links were seen: the search no longer finds them");
}

#[test]
fn an_anchor_is_the_heading_in_small_letters_with_dashes() {
    let page = "# What happens when\n```sh\n# no heading\n```\n## `redlock run`\n## Which TTL?\n## Which TTL?\n";
    assert_eq!(anchors(page), ["what-happens-when", "redlock-run", "which-ttl", "which-ttl-1"]);
}
