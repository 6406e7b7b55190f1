//! Programs that want a terminal, a session or a password of their own, around redlock and under it.

use super::jobcontrol::{at_each_shell, let_go, need};
use crate::support::pty::{CTRL_C, Pty};
use crate::support::run::REDLOCK;
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
        for line in ["setsid -w $RL run desk -- dash patient", "nohup $RL run desk -- dash patient 2>/dev/null | cat"] {
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
        assert!(changed.contains("-echoctl"), "{}: stty(1) under redlock has no effect", desk.shell.program);
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

/// Runs a script as nobody, who may use sudo(8) with the password `secret`: in a mount namespace, where the system's own
/// files are covered by others.
#[test]
fn sudo_asks_for_the_password_on_the_terminal() {
    need("sudo");
    assert!(nix::unistd::geteuid().is_root(), "this test covers files of the system in a namespace: run it as root");
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
            "$OLDPWD/redlock" run desk -- sudo -k -p 'what is it? ' sh -c 'echo "I am $(id -u)"; exit 7'
    "#;
    let run = Run::program(&cluster, "unshare").args(["-m", "sh", "-c", line]);
    let mut pty = Pty::start(run);
    pty.read_until("what is it? ");
    pty.converse("secret", "I am 0");
    assert_eq!(pty.wait().code(), Some(7), "{}", pty.screen());
    assert!(!pty.screen().contains("secret"), "the password was echoed: {}", pty.screen());
    cluster.until_no_key_is_left();
}

/// An ssh server of this test's own, which lets in whoever has the key of this test.
struct Ssh {
    server: Child,
    client: String,
}

impl Ssh {
    fn start(dir: &Path) -> Self {
        need("ssh");
        let sshd = ["/usr/sbin/sshd", "/usr/bin/sshd"].into_iter().find(|path| Path::new(path).exists());
        let sshd = sshd.expect("this test needs sshd; on Debian or Ubuntu: apt-get install openssh-server");
        for key in ["host", "user"] {
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join(key)).status();
            assert!(made.expect("ssh-keygen is there").success());
        }
        fs::copy(dir.join("user.pub"), dir.join("authorized")).unwrap();
        // It starts others by its full path, and wants this to be there.
        let _ = fs::create_dir("/run/sshd")
            .and_then(|()| fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755)));
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized\nUsePAM no\n\
             StrictModes no\nPidFile none\nPermitRootLogin yes\nPermitUserEnvironment no\n",
            dir.display()
        );
        fs::write(dir.join("sshd_config"), config).unwrap();
        let mut server = Command::new(sshd);
        server.args(["-D", "-e", "-f"]).arg(dir.join("sshd_config")).stdin(Stdio::null());
        let server = server.stdout(Stdio::null()).stderr(fs::File::create(dir.join("sshd.log")).unwrap()).spawn();
        let listens = || fs::read_to_string(dir.join("sshd.log")).is_ok_and(|log| log.contains("listening on"));
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
fn ssh_under_redlock_has_the_terminal() {
    let cluster = Cluster::start(3);
    let ssh = Ssh::start(cluster.dir());
    let line = format!("{REDLOCK} run desk -- {} -tt 'read -r x; echo \"got <$x>\"; exit 6'", ssh.client);
    let mut pty = Pty::start(Run::program(&cluster, "sh").args(["-c", &line]));
    // It takes what was typed before it was there, too.
    pty.press("hello\n");
    pty.read_until("got <hello>");
    assert_eq!(pty.wait().code(), Some(6), "{}", pty.screen());
    let line = format!(
        "{REDLOCK} run desk -- {} -tt 'trap \"echo int; exit 4\" INT; echo ready; while :; do sleep 0.1; done'",
        ssh.client
    );
    let mut pty = Pty::start(Run::program(&cluster, "sh").args(["-c", &line]));
    pty.read_until("ready");
    pty.press(CTRL_C);
    pty.read_until("int");
    assert_eq!(pty.wait().code(), Some(4), "{}", pty.screen());
    cluster.until_no_key_is_left();
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
    client.args(["-c", &format!("exec {} -tt \"$0\"", ssh.client), &remote]).stdin(Stdio::null()).stdout(Stdio::null());
    let mut client = client.stderr(Stdio::null()).spawn().expect("ssh can be started");
    until("the lock is held there", || cluster.get(0, "redlock:desk").is_some());
    until("its command runs", || cluster.processes().len() >= 3);
    client.kill().expect("it runs");
    client.wait().expect("a child");
    cluster.until_no_process_is_left();
    cluster.until_no_key_is_left();
}
