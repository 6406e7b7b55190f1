//! Programs that want a terminal, a session or a password of their own, around redlock and under
//! it.

use super::jobcontrol::{
    SHELLS, assert_nothing_is_left, at_each_shell, forget, let_go, need, pid_of_script,
    write_scripts,
};
use crate::support::pty::{CTRL_C, Pty, until_stopped};
use crate::support::run::REDLOCK;
use crate::support::tmux::Tmux;
use crate::support::{Cluster, Run, processes, until, until_some};
use nix::sys::signal::Signal;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

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

/// Waits until whatever could swallow what is typed next has ended.
fn until_the_shell_is_alone(cluster: &Cluster) {
    until("only the shell is left", || cluster.processes().len() == 1);
}

fn parent_of_guardian(command: i32) -> Option<i32> {
    processes::parent(processes::parent(command)?)
}

fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).exists())
}

#[test]
fn what_people_run_works_in_tmux() {
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
    // Those of the shell in the window, and of what holds it.
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

/// Runs a script as nobody, who may use sudo(8) with the password `secret`: in a mount namespace,
/// where the system's own files are covered by others.
#[test]
fn sudo_asks_for_the_password_on_the_terminal() {
    need("sudo");
    assert!(
        nix::unistd::geteuid().is_root(),
        "this test covers files of the system in a namespace: run it as root"
    );
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

/// An ssh server of this test's own, which lets in whoever has the key of this test.
struct Ssh {
    server: Child,
    client: String,
}

impl Ssh {
    fn start(dir: &Path) -> Self {
        need("ssh");
        let sshd =
            ["/usr/sbin/sshd", "/usr/bin/sshd"].into_iter().find(|path| Path::new(path).exists());
        let sshd = sshd
            .expect("this test needs sshd; on Debian or Ubuntu: apt-get install openssh-server");
        for key in ["host", "user"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(dir.join(key))
                .status();
            assert!(made.expect("ssh-keygen is there").success());
        }
        fs::copy(dir.join("user.pub"), dir.join("authorized")).unwrap();
        // It starts others by its full path, and wants this to be there.
        let _ = fs::create_dir("/run/sshd")
            .and_then(|()| fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755)));
        let port = TcpListener::bind("127.0.0.1:0")
            .expect("a free port")
            .local_addr()
            .expect("an address")
            .port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized\nUsePAM no\n\
             StrictModes no\nPidFile none\nPermitRootLogin yes\nPermitUserEnvironment no\n",
            dir.display()
        );
        fs::write(dir.join("sshd_config"), config).unwrap();
        let mut server = Command::new(sshd);
        server.args(["-D", "-e", "-f"]).arg(dir.join("sshd_config")).stdin(Stdio::null());
        let server = server
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.join("sshd.log")).unwrap())
            .spawn();
        let listens = || {
            fs::read_to_string(dir.join("sshd.log")).is_ok_and(|log| log.contains("listening on"))
        };
        let ssh = Self {
            server: server.expect("sshd can be started"),
            client: format!(
                "ssh -F none -q -i {0}/user -p {port} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null 127.0.0.1",
                dir.display()
            ),
        };
        until("sshd listens", listens);
        ssh
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn ssh_under_redlock_has_the_terminal_at_each_shell() {
    at_each_shell(|desk| {
        let ssh = Ssh::start(desk.cluster.dir());
        desk.pty.press(&format!(
            "$RL run desk -- {} -tt 'echo re''ady; read -r x; echo \"got <$x>\"; exit 6'\n",
            ssh.client
        ));
        desk.pty.read_until("ready");
        desk.pty.converse("hello", "got <hello>");
        until_the_shell_is_alone(desk.cluster);
        desk.expect_code(6);
        let script = "trap \"echo i''nt; exit 4\" INT; echo re''ady; while :; do sleep 0.1; done";
        desk.pty.press(&format!("$RL run desk -- {} -tt '{script}'\n", ssh.client));
        desk.pty.read_until("ready");
        desk.pty.press(CTRL_C);
        desk.pty.read_until("int");
        until_the_shell_is_alone(desk.cluster);
        desk.expect_code(4);
    });
}

#[test]
fn redlock_under_ssh_ends_with_the_connection() {
    let cluster = Cluster::start(3);
    let ssh = Ssh::start(cluster.dir());
    let (tag, value) = cluster.tag();
    let remote = format!(
        "cd {} && {tag}={value} REDLOCK_URLS={} REDLOCK_RESTART_GUARD=off {REDLOCK} run desk -- sh -c 'echo ready; exec sleep 600'",
        cluster.dir().display(),
        cluster.urls()
    );
    let mut client = Command::new("sh");
    client
        .args(["-c", &format!("exec {} -tt \"$0\"", ssh.client), &remote])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut client = client.stderr(Stdio::null()).spawn().expect("ssh can be started");
    until("the lock is held there", || cluster.get(0, "redlock:desk").is_some());
    until("its command runs", || cluster.processes().len() >= 3);
    client.kill().expect("it runs");
    client.wait().expect("a child");
    cluster.until_no_process_is_left();
    cluster.until_no_key_is_left();
}
