//! `redlock hold --background` in a CI job: the keeper lives as long as the process of the job, in
//! all its steps.

use crate::support::{Cluster, Run, Running};
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A runner of this name. Each argument is a step with a shell of its own, and between two steps
/// the runner waits for a line.
const RUNNER: &str = r#"#!/bin/bash
for step in "$@"; do
    bash -ec "$step"
    echo "ended $((++count))"
    read -r
done
"#;

const HOLD: &str = r#""$RL" hold a --background --handle h"#;

/// A job of the CI system that sets this variable, run by a program of this name.
fn job(cluster: &Cluster, variable: &str, name: &str, steps: &[&str]) -> Running {
    let path = cluster.dir().join(name);
    fs::write(&path, RUNNER).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let run = Run::program(cluster, path.to_str().unwrap()).with_default_signals();
    run.args(steps).env(variable, "true").spawn()
}

fn check(cluster: &Cluster, code: i32) {
    let check = Run::redlock(cluster).args(["check", "--handle", "h"]).finish();
    check.expect("check", code);
}

fn until_free(cluster: &Cluster) {
    cluster.until_no_key_is_left();
    cluster.until_no_process_is_left();
    check(cluster, 74);
}

#[test]
fn a_keeper_lives_from_step_to_step_and_ends_with_a_runner_that_is_killed_in_one() {
    let cluster = Cluster::start(3);
    for (variable, name) in [("GITHUB_ACTIONS", "Runner.Worker"), ("BUILDKITE", "buildkite-agent")]
    {
        let second = r#""$RL" check --handle h; echo in the second; exec cat"#;
        let mut job = job(&cluster, variable, name, &[HOLD, second]);
        job.until_stdout("ended 1");
        check(&cluster, 0);
        job.say("\n");
        job.until_stdout("in the second");
        job.signal(Signal::SIGKILL);
        job.let_go();
        job.wait().expect_death(name, Signal::SIGKILL);
        until_free(&cluster);
    }
}

#[test]
fn a_keeper_ends_with_a_job_that_is_cancelled_between_two_steps_or_has_ended() {
    let cluster = Cluster::start(3);
    let cancelled = job(&cluster, "GITHUB_ACTIONS", "Runner.Worker", &[HOLD, "exit 1"]);
    cancelled.until_stdout("ended 1");
    cancelled.signal(Signal::SIGTERM);
    cancelled.wait().expect_death("cancelled", Signal::SIGTERM);
    until_free(&cluster);
    let ended = job(&cluster, "GITHUB_ACTIONS", "Runner.Worker", &[HOLD]);
    ended.until_stdout("ended 1");
    check(&cluster, 0);
    ended.finish();
    until_free(&cluster);
}

#[test]
fn a_keeper_of_gitlab_ends_with_the_shell_of_the_job_and_not_with_a_script_in_it() {
    let cluster = Cluster::start(3);
    let script = format!("bash -c '{HOLD}; true'; \"$RL\" check --handle h; echo held; read -r");
    let mut job = job(&cluster, "GITLAB_CI", "gitlab-runner", &[&script, "true"]);
    job.until_stdout("held");
    check(&cluster, 0);
    job.say("\n");
    job.until_stdout("ended 1");
    until_free_but_for(&cluster, &job);
    job.finish();
    until_free(&cluster);
}

/// Waits until the lock is free although the runner goes on.
fn until_free_but_for(cluster: &Cluster, runner: &Running) {
    cluster.until_no_key_is_left();
    crate::support::until("the runner alone is left", || {
        cluster.processes().iter().all(|pid| *pid == runner.pid())
    });
}

#[test]
fn a_job_without_a_process_needs_another_end() {
    let cluster = Cluster::start(3);
    let job = job(&cluster, "GITHUB_ACTIONS", "another-runner", &[HOLD]);
    let output = job.finish();
    output.expect_words("no process", &["needs an end"]);
    cluster.until_no_key_is_left();
}
