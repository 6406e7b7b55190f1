//! The help: `-h` is one screen, `--help` is all, and both fit 80 columns.

use crate::support::{Cluster, Run};

const VERBS: [&str; 14] = [
    "",
    "run",
    "wait",
    "status",
    "list",
    "doctor",
    "check",
    "sandbox",
    "completions",
    "force-release",
    "acquire",
    "extend",
    "release",
    "hold",
];

fn help(cluster: &Cluster, verb: &str, flag: &str) -> String {
    let words = [verb, flag].into_iter().filter(|word| !word.is_empty());
    Run::redlock(cluster).args(words).finish().expect(verb, 0).out()
}

#[test]
fn the_short_help_of_each_verb_is_a_screen_and_the_long_one_is_all() {
    let cluster = Cluster::start(0);
    for verb in VERBS {
        let (short, long) = (help(&cluster, verb, "-h"), help(&cluster, verb, "--help"));
        for line in short.lines().chain(long.lines()) {
            assert!(line.chars().count() <= 80, "redlock {verb}: {line}");
        }
        assert!(short.lines().count() <= 40, "redlock {verb} -h has too many lines");
        for flag in short.split([' ', ',', '\n']).filter(|word| word.starts_with("--")) {
            assert!(long.contains(flag), "redlock {verb} --help lacks {flag}");
        }
        assert_eq!(help(&cluster, "help", verb), long, "redlock help {verb}");
    }
}

#[test]
fn the_options_of_the_first_day_are_in_the_short_help() {
    let cluster = Cluster::start(0);
    let short = help(&cluster, "run", "-h");
    for word in ["--url", "--ttl", "--nonblock", "--wait", "--if-busy", "-- ./migrate.sh", "--help"]
    {
        assert!(short.contains(word), "{word}: {short}");
    }
    for word in ["--op-timeout", "--kill-after", "--cacert"] {
        assert!(!short.contains(word), "{word} can wait: {short}");
        assert!(help(&cluster, "run", "--help").contains(word), "{word}");
    }
}
