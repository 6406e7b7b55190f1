//! The rules of the house: the imports of each folder, the files that may print, read a clock or
//! use unsafe code, and the complete lists of files and of tests. `documents` is about the pages
//! for users.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// The folders that the files of a folder may import, besides their own.
const LAYERS: [(&str, &[&str]); 5] = [
    ("lock", &[]),
    ("policy", &["lock"]),
    ("instance", &["lock"]),
    ("supervisor", &["lock", "policy", "instance"]),
    ("cli", &["lock", "policy", "instance", "supervisor"]),
];

/// Words that only these files may use.
const RESERVED: [(&str, &[&str]); 8] = [
    ("clock_gettime", &["supervisor/clock.rs"]),
    ("unsafe", &["supervisor/sys.rs"]),
    ("println!", &[]),
    ("io::stderr()", &["cli/report/printer.rs", "supervisor/terminal.rs"]),
    ("io::stdout()", &["cli/report/printer.rs"]),
    ("anyhow", &["cli/"]),
    ("SysRng", &["supervisor/requests.rs", "cli/run.rs"]),
    ("redis::", &["instance/", "cli/config.rs", "cli/endpoints.rs", "cli/plan.rs"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file, by its path below `src`.
fn sources() -> Vec<(String, String)> {
    files_below(&root().join("src"))
}

/// Every file below `top`, by its path there.
fn files_below(top: &Path) -> Vec<(String, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut paths = Vec::new();
    walk(top, &mut paths);
    let name = |path: &PathBuf| path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// The part of a file that is in the product, without comments.
fn product(text: &str) -> String {
    if text.contains("\n#![cfg(test)]\n") {
        return String::new();
    }
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The top modules that `code` names after `crate::`.
fn imports(code: &str) -> Vec<&str> {
    let after = code.split("crate::").skip(1);
    after
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap())
        .collect()
}

#[test]
fn each_layer_imports_only_lower_layers() {
    let mut checked = 0;
    for (file, text) in sources() {
        let Some((layer, below)) =
            LAYERS.iter().find(|(layer, _)| file.starts_with(&format!("{layer}/")))
        else {
            continue;
        };
        for import in imports(&product(&text)) {
            assert!(
                import == *layer || below.contains(&import),
                "src/{file} may not import crate::{import}"
            );
            checked += 1;
        }
    }
    assert!(checked > 40, "only {checked} imports were seen: the search no longer finds them");
}

#[test]
fn the_pure_layers_touch_nothing_outside() {
    for (file, text) in sources() {
        if file.starts_with("lock/") || file.starts_with("policy/") {
            for outside in [
                "std::env",
                "std::fs",
                "std::net",
                "std::process",
                "std::thread",
                "tokio",
                "nix",
                "rand",
                "async fn",
            ] {
                assert!(
                    !product(&text).contains(outside),
                    "src/{file} is pure and may not use {outside}"
                );
            }
        }
    }
}

#[test]
fn reserved_words_stay_where_they_belong() {
    for (word, files) in RESERVED {
        let users: Vec<String> = sources()
            .into_iter()
            .filter(|(_, text)| product(text).replace("unsafe_code", "").contains(word))
            .map(|(file, _)| file)
            .collect();
        for file in &users {
            assert!(
                files.iter().any(|allowed| file.starts_with(allowed)),
                "src/{file} may not use {word}"
            );
        }
        assert_eq!(users.is_empty(), files.is_empty(), "{word} is reserved and nobody uses it");
    }
}

#[test]
fn files_begin_with_their_purpose_and_stay_short() {
    for (file, text) in sources() {
        assert!(text.starts_with("//! "), "src/{file} does not begin with what it is for");
        let lines = text.lines().count();
        assert!(file.ends_with("/tests.rs") || lines <= 350, "src/{file} has {lines} lines");
    }
}

#[test]
fn every_planted_rule_still_fits_its_file() {
    let rules = fs::read_to_string(root().join("tests/sim/planted.txt")).unwrap();
    let rules: Vec<&str> = rules.split("\n## ").skip(1).collect();
    assert!(rules.len() > 25, "only {} rules were read", rules.len());
    for rule in rules {
        let (name, rest) = rule.split_once('\n').unwrap();
        let (file, edit) = rest.split_once("\n<<<<\n").unwrap();
        let (old, _) = edit.split_once("\n====\n").unwrap();
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert_eq!(text.matches(old).count(), 1, "{name}: how often it fits {file}");
    }
}

#[test]
fn the_architecture_names_every_file() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for (file, _) in sources() {
        let short = file.split_once('/').map_or(file.as_str(), |(_, name)| name);
        if short != "mod.rs" && !short.ends_with("/tests.rs") {
            assert!(
                map.contains(&format!("`{short}`")),
                "ARCHITECTURE.md has no line for src/{file}"
            );
        }
    }
}

#[test]
fn the_list_of_the_tests_has_one_line_for_each_file() {
    let readme = fs::read_to_string(root().join("tests/README.md")).unwrap();
    let mut listed = Vec::new();
    let mut folder = None;
    for line in readme.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            folder = heading.strip_prefix("`tests/").and_then(|rest| rest.strip_suffix('`'));
        }
        if let (Some(folder), Some(entry)) = (folder, line.strip_prefix("- `")) {
            let (name, what) = entry.split_once("` ").expect("a file, and what it tests");
            assert!(!what.is_empty(), "tests/README.md does not say what {name} tests");
            listed.push(format!("{folder}{name}"));
        }
    }
    let mut there: Vec<_> =
        files_below(&root().join("tests")).into_iter().map(|(file, _)| file).collect();
    there.retain(|file| file != "README.md");
    listed.sort();
    there.sort();
    for file in &there {
        assert_eq!(
            listed.iter().filter(|entry| *entry == file).count(),
            1,
            "tests/README.md: the lines for {file}"
        );
    }
    for file in &listed {
        assert!(there.contains(file), "tests/README.md names {file}, which does not exist");
    }
}

#[test]
fn the_binary_is_position_independent_with_full_relro_and_no_executable_stack() {
    // `make hardened` looks at the release binary, and `make static-test` at the static one.
    let script = root().join("scripts/hardened.sh");
    let output =
        std::process::Command::new(script).arg(env!("CARGO_BIN_EXE_redlock")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_test_that_the_safety_page_names_exists() {
    let page = fs::read_to_string(root().join("docs/safety.md")).unwrap();
    let mut tests = String::new();
    for folder in ["src", "tests"] {
        for (_, text) in files_below(&root().join(folder)) {
            tests.push_str(&text);
        }
    }
    let rows =
        page.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 1);
    let named: Vec<&str> = rows
        .flat_map(|row| row.rsplit(" | ").next().unwrap().split('`').skip(1).step_by(2))
        .collect();
    assert!(named.len() >= 35, "only {} tests are named", named.len());
    for test in named {
        assert!(
            tests.contains(&format!("fn {test}(")),
            "docs/safety.md names {test}, which does not exist"
        );
    }
}

/// The files with a placeholder for the address of the repository. The release workflow refuses to
/// pack while one is left.
const PLACEHOLDERS: [&str; 5] = [
    "Cargo.toml",
    "action.yml",
    "packaging/PKGBUILD",
    "packaging/changelog.Debian",
    "packaging/copyright",
];

#[test]
fn placeholders_for_the_address_of_the_repository_are_where_they_are_known() {
    let mut found = vec![];
    for file in ["Cargo.toml", "action.yml", "flake.nix", "README.md", "CHANGELOG.md"] {
        found.push((file.to_owned(), fs::read_to_string(root().join(file)).unwrap()));
    }
    for folder in ["docs", "examples", "packaging"] {
        let below = files_below(&root().join(folder)).into_iter();
        found.extend(below.map(|(file, text)| (format!("{folder}/{file}"), text)));
    }
    // packaging/README.md names the placeholder to look for.
    found.retain(|(file, text)| text.contains("example.invalid") && file != "packaging/README.md");
    let mut found: Vec<String> = found.into_iter().map(|(file, _)| file).collect();
    found.sort();
    assert_eq!(found, PLACEHOLDERS);
}

#[test]
fn every_package_has_the_version_of_the_program() {
    let version = env!("CARGO_PKG_VERSION");
    for (file, line) in [
        ("packaging/changelog.Debian", format!("redlock ({version}-1) ")),
        ("packaging/PKGBUILD", format!("\npkgver={version}\n")),
        ("action.yml", format!("default: \"{version}\"")),
    ] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert!(text.contains(&line), "{file} has no {line:?}");
    }
}

/// Files whose texts are no messages: the help, Lua, the words of Redis, names of fields.
const NO_MESSAGES: [&str; 8] = [
    "cli/args",
    "cli/completions",
    "cli/json",
    "instance/scripts",
    "instance/server_error.rs",
    "lock/protocol.rs",
    "policy/checkup/rights.rs",
    "policy/metrics.rs",
];

/// Texts that are not printed: reasons of lints, assertions, words of others that are looked for.
const NOT_PRINTED: [&str; 9] = [
    "lock-guardian of …",
    "a wait only polls and notifies",
    "each caller says why there is nothing to wait for",
    "serde passes a reference",
    "max number of clients",
    "the other one waits for the server",
    "a socket that does not exist yet cannot be waited for",
    "tip: to pass",
    "is not in",
];

/// The string literals of `code`, as printed: `…` for each argument.
fn literals(code: &str) -> Vec<String> {
    let code = code.replace("'\"'", "").replace("\\\\", "\u{1}").replace("\\\"", "\u{2}");
    let texts = code.split('"').skip(1).step_by(2);
    let printed = |text: &str| {
        let text = text.replace("\\\n", " ").replace("\\n", " ").replace('\u{2}', "\"");
        let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        while let Some((before, rest)) = text.split_once('{') {
            let after = rest.split_once('}').map_or("", |(_, after)| after);
            text = format!("{before}…{after}");
        }
        text
    };
    texts.map(printed).collect()
}

#[test]
fn the_troubleshooting_page_has_every_message() {
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let word_count = |text: &str| {
        let words = text.split(|c: char| !c.is_alphabetic());
        words.filter(|word| word.chars().count() > 1).count()
    };
    let (mut seen, mut missing) = (0, Vec::new());
    for (file, text) in sources() {
        let is_test = file.ends_with("tests.rs");
        if is_test || NO_MESSAGES.iter().any(|prefix| file.starts_with(prefix)) {
            continue;
        }
        for text in literals(&product(&text)) {
            if NOT_PRINTED.contains(&text.as_str()) {
                continue;
            }
            // A text of fewer words is a part of another message.
            let parts = text.trim_start_matches("redlock: ").split('…').map(str::trim);
            for part in parts.filter(|part| part.contains(' ') && word_count(part) >= 3) {
                seen += 1;
                if !page.contains(part) {
                    missing.push(format!("src/{file}: {text}"));
                }
            }
        }
    }
    assert!(seen > 200, "only {seen} texts were seen: the search no longer finds them");
    assert!(missing.is_empty(), "docs/troubleshooting.md lacks:\n{}", missing.join("\n"));
}
