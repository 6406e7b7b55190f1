//! Each `redlock run` of the recipes and the examples takes its lock: the options are understood,
//! and the restart guard that the text asks for suffices.

use crate::support::run::REDLOCK;
use crate::support::{Cluster, Run};
use std::fs;
use std::path::{Path, PathBuf};

/// The files whose lines are tried, by their paths in the repository.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![root.join("docs/servers.md"), root.join("examples/nightly-backup.cron")];
    for folder in ["docs/recipes", "examples/systemd", "examples/kubernetes"] {
        let files = fs::read_dir(root.join(folder)).unwrap();
        found.extend(files.map(|file| file.unwrap().path()));
    }
    found.sort();
    found
}

/// The lines of a file that run a command under a lock, each up to the command.
fn lines(text: &str) -> Vec<String> {
    let mut found = vec![];
    for line in text.lines() {
        // A list of words of YAML or HCL is a line of words.
        let line = if line.contains("[\"redlock\"")
            || line.contains("[redlock")
            || line.contains("= [\"run\"")
        {
            line.replace("= [\"run\"", "redlock run").replace(['[', ']', ',', '"'], " ")
        } else {
            line.to_owned()
        };
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        for (start, _) in line.match_indices("redlock run ") {
            if let Some(end) = line[start..].find(" -- ") {
                found.push(line[start + "redlock ".len()..start + end].to_owned());
            }
        }
    }
    found
}

#[test]
fn each_line_of_the_recipes_takes_its_lock() {
    let cluster = Cluster::start(3);
    let mut tried = 0;
    for document in documents() {
        for line in lines(&fs::read_to_string(&document).unwrap()) {
            // `$$` is a `$` of Buildkite.
            let script = format!("name=name; {REDLOCK} {} -- echo ran", line.replace("$$", "$"));
            let run = Run::shell(&cluster, &script).env("REDLOCK_RESTART_GUARD", "off");
            let label = format!("{}: {line}", document.display());
            let output = run.finish().expect(&label, 0);
            // What held on for a while keeps out the next one of the same name.
            let kept_out = line.contains("--if-busy skip") && output.out().is_empty();
            assert!(kept_out || output.out() == "ran\n", "{label}: {}", output.out());
            assert_eq!(output.stderr, "", "{label}");
            (0..3).for_each(|i| drop(cluster.cli(i, &["FLUSHALL"])));
            tried += 1;
        }
    }
    assert!(tried >= 25, "only {tried} lines were found");
}
