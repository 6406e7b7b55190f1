//! The fencing token of a lock that is held across steps.

use super::token_of;
use crate::support::{Cluster, Run};
use std::fs;

#[test]
fn each_step_of_a_job_has_the_token_of_its_lock() {
    let cluster = Cluster::start(3);
    let script = r#"set -e
        eval "$("$RL" acquire fenced --ttl 1m --fence --export)"
        echo "$REDLOCK_FENCE"
        eval "$("$RL" extend --export)"
        echo "$REDLOCK_FENCE"
        "$RL" run --reentrant --fence fenced -- sh -c 'echo $REDLOCK_FENCE'
        (unset REDLOCK_FENCE; "$RL" run --reentrant --fence fenced -- sh -c 'echo $REDLOCK_FENCE')
        "$RL" run other -- sh -c 'echo "${REDLOCK_FENCE-none}"'
        code=0
        "$RL" run --reentrant --fence -l other fenced -- true || code=$?
        echo $code
        "$RL" status fenced | sed -n 's/.*fencing token //p'
        "$RL" release
        eval "$("$RL" hold fenced --background --max-hold 1h --fence --export)"
        echo "$REDLOCK_FENCE"
        "$RL" release"#;
    let output = Run::shell(&cluster, script).finish().expect("the steps", 0);
    let text = output.out();
    let lines: Vec<&str> = text.lines().collect();
    let [first, extended, nested, without, other, two_names, shown, second] = lines[..] else {
        panic!("{text}{}", output.stderr)
    };
    assert!(token_of(first) < token_of(second), "{text}");
    assert_eq!([extended, nested, without, shown], [first; 4]);
    assert_eq!((other, two_names), ("none", "64"));
    cluster.until_no_process_is_left();
}

#[test]
fn the_token_is_in_the_handle_in_the_result_and_in_the_files_of_github() {
    let cluster = Cluster::start(3);
    let acquire = |more: &[&str]| {
        let run = Run::redlock(&cluster).env("GITHUB_OUTPUT", "out").env("GITHUB_ENV", "env");
        let run = run.args(["acquire", "--ttl", "1m", "--github", "--handle", "h"]);
        run.args(["--result", "r"]).args(more).finish()
    };
    let read = |name: &str| fs::read_to_string(cluster.dir().join(name)).unwrap();
    let field = |name: &str| -> serde_json::Value {
        let document: serde_json::Value = serde_json::from_str(&read(name)).unwrap();
        document["fence"].clone()
    };
    acquire(&["--fence", "fenced"]).expect("acquire", 0);
    let token = field("h").as_u64().expect("a token");
    assert_eq!(field("r"), token);
    assert!(read("out").ends_with(&format!("\nfence={token}\n")), "{}", read("out"));
    assert!(read("env").ends_with(&format!("\nREDLOCK_FENCE={token}\n")), "{}", read("env"));
    Run::redlock(&cluster).args(["extend", "--handle", "h"]).finish().expect("extend", 0);
    assert_eq!(field("h"), token, "an extension changes no token");
    fs::rename(cluster.dir().join("h"), cluster.dir().join("first")).unwrap();
    acquire(&["-n", "--fence", "fenced"]).expect("busy", 75);
    assert!(field("r").is_null(), "a token without the lock is none");
    acquire(&["plain"]).expect("acquire", 0);
    assert!(field("h").is_null() && field("r").is_null());
}
