//! Programs that need a terminal, a session or a password of their own, around redlock and under
//! it.

use super::job_control::{
    SHELLS, assert_nothing_is_left, at_each_shell, forget, let_go, need, pid_of_script,
    until_the_shell_is_alone, write_scripts,
};
use crate::support::means::is_root;
use crate::support::pty::{CTRL_C, Pty, until_stopped};
use crate::support::tmux::Tmux;
use crate::support::{Cluster, Run, processes, until, until_some};
use nix::sys::signal::Signal;
use std::fs;

#[test]
fn pagers_and_editors_work_at_each_shell() {
    need("less");
    let editor = if found("vim") { "vim -u NONE -N" } else { "vi" };
    at_each_shell(|desk| {
        let text = (1..=100).map(|line| format!("line-{line}\n")).collect::<Vec<_>>().concat();
        let path = desk.cluster.dir().join("text");
        fs::write(&path, text).unwrap();
        desk.pty.converse("$RL run desk -- less text", "line-1");
        desk.pty.press("50g");
        desk.pty.read_until("line-50");
        desk.pty.press("q");
        until_the_shell_is_alone(desk.cluster);
        desk.expect_code(0);
        if found("vim") || found("vi") {
            desk.pty.converse(&format!("$RL run desk -- {editor} text"), "line-1");
            desk.pty.press("1G0imy \u{1b}:wq\n");
            until_the_shell_is_alone(desk.cluster);
            desk.expect_code(0);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("my line-1\n"), "{}: {text:?}", desk.shell.program);
        }
    });
}

#[test]
fn a_terminal_within_the_terminal_works_around_redlock_and_under_it() {
    need("script");
    at_each_shell(|desk| {
        for line in [
            "script -qec '$RL run desk -- dash patient' /dev/null",
            "$RL run desk -- script -qec 'dash patient' /dev/null",
        ] {
            let command = desk.start_patient(line);
            desk.pty.press(CTRL_C);
            until(line, || !processes::alive(command));
            until_the_shell_is_alone(desk.cluster);
            desk.expect_code(130);
            desk.cluster.until_no_key_is_left();
        }
    });
}

#[test]
fn a_session_of_its_own_or_a_hangup_that_is_ignored_changes_nothing() {
    at_each_shell(|desk| {
        for line in [
            "setsid -w $RL run desk -- dash patient",
            "nohup $RL run desk -- dash patient 2>/dev/null | cat",
        ] {
            let command = desk.start_patient(line);
            if line.starts_with("nohup") {
                let redlock = until_some("redlock", || parent_of_guardian(command));
                processes::send(redlock, Signal::SIGHUP);
                assert!(processes::alive(command), "the hangup is ignored");
            }
            let_go(desk.cluster);
            desk.pty.read_until(&format!("done-{command}"));
            desk.expect_code(if line.starts_with("nohup") { 0 } else { 5 });
        }
        desk.tell("$RL run desk -- stty -echoctl; stty -a >changed; stty echoctl");
        let changed = fs::read_to_string(desk.cluster.dir().join("changed")).unwrap();
        assert!(
            changed.contains("-echoctl"),
            "{}: stty(1) under redlock has no effect",
            desk.shell.program
        );
    });
}

fn parent_of_guardian(command: i32) -> Option<i32> {
    processes::parent(processes::parent(command)?)
}

fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).exists())
}

#[test]
fn usual_programs_work_in_tmux() {
    need("tmux");
    need("less");
    let cluster = Cluster::start(3);
    write_scripts(&cluster);
    let text = (1..=100).map(|line| format!("line-{line}\n")).collect::<Vec<_>>().concat();
    fs::write(cluster.dir().join("text"), text).unwrap();
    let tmux = Tmux::start(&cluster);
    let expect_code = |code: i32| {
        tmux.line("code=$?; clear; echo code=$code.");
        tmux.until_screen(&format!("code={code}."));
    };
    // The processes of tmux and of the shell in its window.
    let idle = cluster.processes().len();
    let until_idle = || until("only the shell is left", || cluster.processes().len() == idle);

    tmux.line("echo abc | $RL run desk -- tr a-c x-z | tr x-z X-Z");
    tmux.until_screen("XYZ");
    until_idle();
    for (program, keys, then, leave) in
        [("less", "50g", "line-50", "q"), ("vim -u NONE -N", "50G", "line-50", ":q")]
    {
        if !found(program.split(' ').next().unwrap()) {
            continue;
        }
        tmux.line(&format!("$RL run desk -- {program} text"));
        tmux.until_screen("line-1");
        tmux.keys(&[keys]);
        tmux.until_screen(then);
        tmux.line(leave);
        until_idle();
        expect_code(0);
    }
    forget(&cluster);
    tmux.line("$RL run desk -- dash reader &");
    let reader = until_some("it reads", || pid_of_script(&cluster));
    until_stopped(reader, true);
    until("the shell knows it", || {
        (tmux.line("jobs"), tmux.command(&["capture-pane", "-p"]).contains("topped")).1
    });
    tmux.line("fg");
    until_stopped(reader, false);
    tmux.line("hello");
    tmux.until_screen("got <hello>");
    until_idle();
    expect_code(6);
    forget(&cluster);
    tmux.line("script -qec '$RL run desk -- dash patient' /dev/null");
    let patient = until_some("it runs", || pid_of_script(&cluster));
    tmux.until_screen(&format!("ready-{patient}"));
    tmux.keys(&["C-c"]);
    until_idle();
    expect_code(130);
    drop(tmux);
    assert_nothing_is_left(&cluster);
}

/// Runs a script as an unprivileged user of sudo(8) with the password `secret`: in a mount
/// namespace, where the system's own files are covered by others.
#[test]
fn sudo_asks_for_the_password_on_the_terminal() {
    need("sudo");
    if !is_root("it covers files of the system in a namespace") {
        return;
    }
    let cluster = Cluster::start(3);
    let line = r#"
        set -e
        cp /etc/shadow shadow; cp /etc/sudoers sudoers
        hash=$(openssl passwd -6 secret)
        sed -i "s#^nobody:[^:]*:#nobody:$hash:#" shadow
        echo 'nobody ALL=(ALL) ALL' >>sudoers; chmod 440 sudoers; chmod 600 shadow
        mount --bind shadow /etc/shadow; mount --bind sudoers /etc/sudoers
        chmod 755 . ; cp "$RL" redlock; cd /
        exec setpriv --reuid=nobody --regid=nogroup --clear-groups env USER=nobody HOME=/ \
            RL="$OLDPWD/redlock" "$0" "$@"
    "#;
    for shell in &SHELLS {
        let run = Run::program(&cluster, "unshare")
            .args(["-m", "sh", "-c", line, shell.program])
            .args(shell.args);
        let mut pty = Pty::start(run);
        pty.read_until("> ");
        pty.press("$RL run desk -- sudo -k -p 'what is it''? ' sh -c 'echo \"I am <$(id -u)>\"; exit 7'\n");
        pty.read_until("what is it? ");
        pty.press("secret\n");
        pty.read_until("I am <0>");
        until_the_shell_is_alone(&cluster);
        pty.converse("echo \"code <$?>\"", "code <7>");
        assert!(
            !pty.screen().contains("secret"),
            "{}: the password was echoed: {}",
            shell.program,
            pty.screen()
        );
        pty.press("exit\n");
        pty.wait();
        cluster.until_no_key_is_left();
    }
}
