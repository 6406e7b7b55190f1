//! The command keeps its streams.

use crate::support::{Cluster, Run};

/// Every byte value, in an order that shows a missing or a repeated part.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * 7 + i / 256) % 256).expect("a byte")).collect()
}

#[test]
fn bytes_pass_untouched_both_ways() {
    let cluster = Cluster::start(3);
    let input = bytes(3_000_001);
    let table = [("to stdout", "cat"), ("through two programs", "cat | cat")];
    for (label, script) in table {
        let run = Run::redlock(&cluster).args(["run", "pipe", "--", "sh", "-c", script]);
        let output = run.finish_with_input(&input).expect(label, 0);
        assert!(
            output.stdout == input,
            "{label}: {} of {} bytes came back",
            output.stdout.len(),
            input.len()
        );
        assert_eq!(output.stderr, "", "{label}");
    }
}

#[test]
fn stdout_and_stderr_stay_apart() {
    let cluster = Cluster::start(3);
    let run =
        Run::redlock(&cluster).args(["run", "pipe", "--", "sh", "-c", "echo out; echo err >&2"]);
    let output = run.finish().expect("both", 0);
    assert_eq!((output.out().as_str(), output.stderr.as_str()), ("out\n", "err\n"));
}

#[test]
fn a_closed_stdin_is_an_empty_one() {
    let cluster = Cluster::start(3);
    let script = r#""$RL" run closed -- sh -c 'cat 2>/dev/null; echo ended' <&-"#;
    assert_eq!(Run::shell(&cluster, script).finish().expect("closed", 0).out(), "ended\n");
}

#[test]
fn a_command_that_writes_to_a_closed_pipe_dies_as_without_a_lock() {
    let cluster = Cluster::start(3);
    let status = |command: &str| {
        let script = format!("{command} | head -n 1; echo ${{PIPESTATUS[0]}}");
        Run::program(&cluster, "bash").args(["-c", &script]).finish().expect(command, 0).out()
    };
    let plain = status("yes");
    assert_eq!(plain, "y\n141\n", "this is what it is like without a lock");
    assert_eq!(status(r#""$RL" run pipe -- yes"#), plain);
}

#[test]
fn a_stderr_that_takes_nothing_changes_no_exit_code() {
    let cluster = Cluster::start(3);
    (0..3).for_each(|i| cluster.occupy(i, "redlock:mute"));
    for (label, redirection) in
        [("full", "2>/dev/full"), ("closed", "2>&-"), ("a closed pipe", "2> >(:)")]
    {
        let script = format!(r#""$RL" run -w 1500ms mute -- true {redirection}; echo $?"#);
        let output = Run::program(&cluster, "bash").args(["-c", &script]).finish().expect(label, 0);
        assert_eq!(output.out(), "75\n", "{label}");
    }
}

#[test]
fn the_command_inherits_the_callers_descriptors_and_none_of_redlock() {
    let cluster = Cluster::start(3);
    let list = |command: &str| {
        let script = format!(
            "exec 7</dev/null; {command} ls -l /proc/self/fd | sed -n 's/.* \\([0-9]*\\) -> /\\1 /p'"
        );
        let output = Run::shell(&cluster, &script).finish().expect(command, 0);
        output
            .out()
            .lines()
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let plain = list("");
    assert!(plain.contains(&"7".to_owned()), "what the caller opened: {plain:?}");
    assert_eq!(list(r#""$RL" run files --"#), plain);
}
