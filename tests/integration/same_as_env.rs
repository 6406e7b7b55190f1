//! With redlock before a command, a terminal shows the same as with env(1) in its place: for
//! shells, make, xargs and Python around the command, with any key.

use super::job_control::{assert_nothing_is_left, need};
use crate::support::pty::{CTRL_C, CTRL_Z, Pty};
use crate::support::run::REDLOCK;
use crate::support::{Cluster, Run, processes, until};
use std::fs;

/// Files of the cases. `$P` is env or redlock, and `$KILL` kills redlock if there is one.
const FILES: [(&str, &str); 11] = [
    ("handles", "trap 'echo interrupted; exit 0' INT; echo ready; while :; do sleep 0.05; done\n"),
    ("dies", "echo ready; exec sleep 600\n"),
    ("asks", "if [ $1 = 1 ]; then read -r x </dev/tty; echo got $x; else echo other; fi\n"),
    ("patient", "echo ready; until [ -e stop ]; do sleep 0.02; done; rm stop; echo done; exit 5\n"),
    ("Makefile", "all: one two\none:\n\t@$(P) sh handles\ntwo:\n\t@echo second target\n"),
    ("around-handles", "eval \"$P sh handles\"; echo after $?\n"),
    ("around-dies", "eval \"$P sh dies\"; echo after $?\n"),
    (
        "around-killed",
        "eval \"$P sh -c '$KILL; sleep 600'\" 2>/dev/null; echo killed; read -r x; echo read $x; sh dies\n",
    ),
    ("around-setsid", "eval \"$P setsid sh -c 'sleep 0.3; echo late; exit 4'\"; echo after $?\n"),
    (
        "parent.py",
        "import os, subprocess\ntry: print('code', subprocess.call(os.environ['P'].split() + ['sh', 'handles']))\n\
         except KeyboardInterrupt: print('python is interrupted')\n",
    ),
    (
        "leader.py",
        "import os, subprocess\nprint('code', subprocess.call(os.environ['P'].split() + \
         ['python3', '-c', 'import os; os.setsid(); print(os.getsid(0) == os.getpid())']))\n",
    ),
];

/// The keys to type once this text has appeared, or once the job is stopped.
type Step = (&'static str, &'static str);
const ALL_STOPPED: &str = "all of the job have stopped";
const IN_FRONT: &str = "the job is in the foreground";

/// Plays a case at a terminal; returns the lines of the screen, and the end.
fn play(prefix: &str, kill: &str, words: &[&str], steps: &[Step]) -> (Vec<String>, String) {
    let cluster = Cluster::start(3);
    for (name, text) in FILES {
        fs::write(cluster.dir().join(name), text).expect("a file");
    }
    let run =
        Run::program(&cluster, words[0]).args(&words[1..]).without("ENV").env("REDLOCK_TTL", "10s");
    let mut pty = Pty::start(run.env("P", prefix).env("KILL", kill));
    for (text, keys) in steps {
        if *text == IN_FRONT {
            // The shell prints the name of a job before it continues the job in the foreground. A
            // key typed in between is lost, also with env(1).
            until(text, || {
                processes::foreground(pty.pid()) != Some(pty.pid())
                    && job(&cluster, words[0]).iter().all(|pid| processes::state(*pid) != Some('T'))
            });
        } else if *text == ALL_STOPPED {
            until(text, || all_stopped(&cluster, words[0]));
            // The shell is notified of the stop a moment later.
            until("the shell knows it", || {
                pty.converse("jobs; echo liste''d", "listed");
                pty.screen().contains("topped") || pty.screen().contains("uspended")
            });
            pty.unread();
        } else {
            pty.read_until(text);
        }
        pty.press(keys);
    }
    let status = pty.wait();
    // After a kill of redlock, the lock lasts for the TTL.
    cluster.until_no_process_is_left();
    pty.until_closed();
    let screen = pty.screen();
    let mut lines: Vec<String> = screen.lines().map(without_pid).collect();
    // If two processes write at once, either may be first. A shell may be asked for its jobs more
    // than once. The end of a job is only printed if the shell does not wait for the job.
    let by_chance = |line: &String| {
        ["unning", "Exit 5", "Done(5)", "exit 5"].iter().any(|word| line.contains(word))
    };
    lines.retain(|line| !line.is_empty() && !by_chance(line));
    lines.sort();
    lines.dedup();
    (lines, status.to_string())
}

/// Every process except for the shell and the guardian.
fn job(cluster: &Cluster, shell: &str) -> Vec<i32> {
    let mut pids = cluster.processes();
    pids.retain(|pid| ![shell, "lock-guardian"].contains(&processes::name(*pid).as_str()));
    pids
}

fn all_stopped(cluster: &Cluster, shell: &str) -> bool {
    let job = job(cluster, shell);
    !job.is_empty() && job.into_iter().all(|pid| processes::state(pid) == Some('T'))
}

/// A line without a prompt, without a key that was typed meanwhile, and without the process id in
/// `[1] 12345` and `[1]  + 12345 running`.
fn without_pid(line: &str) -> String {
    let is_pid = |word: &&str| {
        word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_digit()) && line.contains("[1]")
    };
    // The prompt may come before or after the line about a job.
    let line = line.trim_start_matches("^C").trim_start_matches("^Z");
    line.split_whitespace()
        .filter(|word| !is_pid(word) && *word != ">")
        .collect::<Vec<_>>()
        .join(" ")
}

fn assert_same(label: &str, words: &[&str], steps: &[Step]) {
    let with_env = play("env", "kill -9 $$", words, steps);
    let redlock = format!("{REDLOCK} run --");
    let with_redlock = play(&redlock, "kill -9 $(ps -o ppid= -p $PPID)", words, steps);
    assert_eq!(with_redlock, with_env, "{label}");
}

const SHELLS: [&str; 3] = ["bash", "dash", "zsh"];

#[test]
fn programs_around_a_command_that_handles_ctrl_c_get_the_signal_too() {
    let steps = &[("ready", CTRL_C)];
    need("make");
    // make may or may not print that it was interrupted. It must stop.
    for prefix in ["env", &format!("{REDLOCK} run --")] {
        let (lines, status) = play(prefix, "", &["make"], steps);
        assert!(
            !lines.contains(&"second target".to_owned()) && status != "exit status: 0",
            "{prefix}: {status}, {lines:?}"
        );
    }
    assert_same("python", &["python3", "parent.py"], steps);
    for shell in SHELLS {
        assert_same(shell, &[shell, "around-dies"], steps);
    }
    for shell in ["bash", "dash"] {
        assert_same(shell, &[shell, "around-handles"], steps);
    }
    // zsh and its terminal end at once with the key, so the last line of the command may be
    // missing.
    let [with_env, with_redlock] = ["env", &format!("{REDLOCK} run --")].map(|prefix| {
        let (mut lines, status) = play(prefix, "", &["zsh", "around-handles"], steps);
        lines.retain(|line| line != "interrupted");
        (lines, status)
    });
    assert_eq!(with_redlock, with_env, "zsh");
}

#[test]
fn two_commands_of_xargs_run_on_while_one_of_them_reads_the_terminal() {
    let line = r"printf '1\n2\n' | xargs -P2 -n1 sh -c 'exec $P sh asks $0'; echo code $?";
    assert_same("xargs", &["sh", "-c", line], &[("other", "hello\n")]);
}

#[test]
fn a_script_whose_redlock_was_killed_still_has_the_terminal() {
    for shell in SHELLS {
        assert_same(shell, &[shell, "around-killed"], &[("killed", "hello\n"), ("ready", CTRL_C)]);
    }
}

#[test]
fn a_command_may_begin_a_session_of_its_own() {
    for shell in SHELLS {
        assert_same(shell, &[shell, "around-setsid"], &[]);
    }
    assert_same("python", &["python3", "leader.py"], &[]);
}

/// Interactive shells, and their options for plain output.
const INTERACTIVE: [(&str, &[&str], &str); 3] = [
    ("bash", &["--norc", "--noprofile", "--noediting", "-i"], "topped"),
    ("dash", &["-i"], "topped"),
    (
        "zsh",
        &["-f", "-i", "+o", "zle", "+o", "promptsp", "+o", "promptcr", "-o", "shwordsplit"],
        "uspended",
    ),
];

#[test]
fn a_job_is_stopped_and_goes_on_in_the_foreground_and_in_the_background() {
    for (shell, args, stopped) in INTERACTIVE {
        let words = [&[shell], args].concat();
        let steps = [
            ("> ", "stty -echo; echo be''gin\n"),
            ("begin", "$P bash patient &\n"),
            ("ready", "fg\n"),
            ("bash patient", ""),
            (IN_FRONT, CTRL_Z),
            (stopped, "echo code $?; fg\n"),
            ("code 148", ""),
            ("bash patient", ""),
            (IN_FRONT, CTRL_Z),
            (stopped, "bg; touch stop; wait $!; echo status $?; echo en''d\n"),
            ("end", "$P sh dies\n"),
            ("ready", CTRL_C),
            ("> ", "echo code $?\n"),
            ("code 130", "exit 3\n"),
        ];
        assert_same(shell, &words, &steps);
    }
}

#[test]
fn a_command_in_the_background_is_stopped_when_it_reads_and_when_it_must_not_write() {
    for (shell, args, stopped) in INTERACTIVE {
        let words = [&[shell], args].concat();
        let reads: &[Step] = &[("sh asks", ""), (IN_FRONT, "hello\n"), ("got hello", "exit 3\n")];
        let writes: &[Step] = &[("other", "exit 3\n")];
        for (line, then) in [("$P sh asks 1 &\n", reads), ("stty tostop; $P sh asks 2 &\n", writes)]
        {
            let first: &[Step] = &[
                ("> ", "stty -echo; echo be''gin\n"),
                ("begin", line),
                ("> ", ""),
                (ALL_STOPPED, ""),
                (stopped, "fg\n"),
            ];
            let steps = [first, then].concat();
            assert_same(&format!("{shell}: {line}"), &words, &steps);
        }
    }
}

#[test]
fn redlock_itself_speaks_in_the_background_also_where_commands_must_not() {
    let cluster = Cluster::start(3);
    let run = Run::program(&cluster, "bash").args(INTERACTIVE[0].1);
    let mut pty = Pty::start(run);
    pty.read_until("> ");
    pty.converse(
        "stty tostop; $RL run -v spoken -- true & wait $!; echo \"code <$?>\"",
        "acquired 'spoken'",
    );
    pty.read_until("code <0>");
    pty.press("exit\n");
    pty.wait();
    assert_nothing_is_left(&cluster);
}
