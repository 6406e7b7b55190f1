//! Each `redlock run` of the recipes and the examples takes its lock: the options are understood,
//! and the restart guard that the text asks for suffices. The recipes for several steps are run.

use crate::support::run::REDLOCK;
use crate::support::{Cluster, Run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
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
        // A list of words in YAML or HCL is one command line.
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
            // A lock that is kept for a while refuses the next line with the same name.
            let kept_out = line.contains("--if-busy skip") && output.out().is_empty();
            assert!(kept_out || output.out() == "ran\n", "{label}: {}", output.out());
            assert_eq!(output.stderr, "", "{label}");
            (0..3).for_each(|i| drop(cluster.cli(i, &["FLUSHALL"])));
            tried += 1;
        }
    }
    assert!(tried >= 25, "only {tried} lines were found");
}

/// Runners for the steps of a job, by the heading of the recipe: the name, the variable that the CI
/// system sets, and whether all steps run in one shell.
const RUNNERS: [(&str, &str, &str, bool); 6] = [
    ("GitHub", "Runner.Worker", "GITHUB_ACTIONS", false),
    ("GitLab", "gitlab-runner", "GITLAB_CI", true),
    ("Buildkite", "buildkite-agent", "BUILDKITE", true),
    ("Jenkins", "jenkins", "JENKINS", false),
    ("Ansible", "ansible", "ANSIBLE", false),
    ("A shell script", "script", "SCRIPT", true),
];

/// Each argument is a step with a shell of its own, and with the variables that earlier steps set
/// for GitHub.
const RUNNER: &str = r#"#!/bin/bash
for step in "$@"; do
    set -a; . ./env; set +a
    bash -ec "$step" || exit
done
"#;

/// The commands of a block of the recipes for several steps.
fn steps(block: &str) -> Vec<String> {
    let keys = ["run: ", "sh '", "ansible.builtin.command: ", "- "];
    let command = |line: &str| {
        let line = line.trim();
        let typed = keys.iter().find_map(|key| line.strip_prefix(key)).unwrap_or(line);
        let typed = typed.trim_end_matches('\'');
        let is_command = ["redlock ", "./", "test ", "set ", "trap "];
        let is_command = is_command.iter().any(|start| typed.starts_with(start));
        is_command.then(|| if line.starts_with("trap") { line } else { typed }.to_owned())
    };
    block.lines().filter_map(command).collect()
}

#[test]
fn the_recipes_for_several_steps_hold_the_lock_from_the_first_to_the_last() {
    let cluster = Cluster::start(3);
    let executable = |name: &str, text: &str| {
        let path = cluster.dir().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    std::os::unix::fs::symlink(REDLOCK, cluster.dir().join("redlock")).unwrap();
    let path = format!("{}:{}", cluster.dir().display(), std::env::var("PATH").unwrap());
    for name in ["build", "switch"] {
        let busy = "env -u REDLOCK_HANDLE redlock run -qn deploy-production -- true";
        executable(name, &format!("#!/bin/sh\n{busy}\necho {name} $?\n"));
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes/steps.md");
    let page = fs::read_to_string(page).unwrap();
    for (heading, runner, variable, is_one_shell) in RUNNERS {
        let text = page.split(&format!("\n## {heading}\n")).nth(1).expect(heading);
        let steps = steps(text.split("```").nth(1).unwrap());
        assert!(steps.len() >= 4, "{heading}: {steps:?}");
        let steps = if is_one_shell { vec![steps.join("\n")] } else { steps };
        fs::write(cluster.dir().join("env"), "").unwrap();
        let runner = executable(runner, RUNNER);
        let run = Run::program(&cluster, runner.to_str().unwrap()).args(&steps);
        let run = run.env("PATH", &path).env(variable, "true").env("RUNNER_TEMP", cluster.dir());
        let run = run.env("GITHUB_ENV", "env").env("GITHUB_OUTPUT", "out");
        let output = run.finish().expect(heading, 0);
        assert_eq!(output.out(), "build 75\nswitch 75\n", "{heading}: {}", output.stderr);
        cluster.until_no_key_is_left();
        cluster.until_no_process_is_left();
    }
}
