//! ssh under redlock, and redlock under ssh.

use super::job_control::{at_each_shell, need, until_the_shell_is_alone};
use crate::support::means::leave_out;
use crate::support::pty::CTRL_C;
use crate::support::run::REDLOCK;
use crate::support::server::free_port;
use crate::support::{Cluster, until};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// An ssh server of this test's own, which accepts the key of this test.
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
        let (port, _reservation) = free_port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized\nUsePAM no\n\
             StrictModes no\nPidFile none\nPermitRootLogin yes\nPermitUserEnvironment no\n",
            dir.display()
        );
        fs::write(dir.join("sshd_config"), config).unwrap();
        let mut server = server_in_its_own_system(sshd);
        server
            .args(["-D", "-e", "-f"])
            .arg(dir.join("sshd_config"))
            .current_dir(dir)
            .stdin(Stdio::null());
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

/// sshd as it can run in a test. As root it needs an account that is not locked, and /run/sshd:
/// both are made in a mount namespace. As another user it needs neither.
fn server_in_its_own_system(sshd: &str) -> Command {
    if !nix::unistd::geteuid().is_root() {
        return Command::new(sshd);
    }
    let line = r#"
        set -e
        sed 's/^root:[^:]*:/root:*:/' /etc/shadow >shadow; chmod 600 shadow
        mount --bind shadow /etc/shadow
        mount -t tmpfs -o mode=755 none /run; mkdir -m 755 /run/sshd
        exec "$0" "$@"
    "#;
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", line, sshd]);
    command
}

/// Whether sshd can give this account a shell on a terminal. If not, the test is left out.
fn can_log_in() -> bool {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    let has_shell = user
        .is_some_and(|user| !["nologin", "false"].iter().any(|shell| user.shell.ends_with(shell)));
    let mounts = fs::read_to_string("/proc/self/mounts").expect("proc_pid_mounts(5)");
    let mut terminals = mounts.lines().filter(|line| line.contains(" /dev/pts devpts "));
    // The last mount covers the others.
    let has_group = terminals.next_back().is_some_and(|line| line.contains("gid="));
    if !has_shell {
        leave_out("the account has no login shell: run it as a user that has one");
        return false;
    }
    if !has_group && !nix::unistd::geteuid().is_root() {
        leave_out("/dev/pts gives terminals no group, which sshd needs root to change");
        return false;
    }
    true
}

impl Drop for Ssh {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn ssh_under_redlock_has_the_terminal_at_each_shell() {
    if !can_log_in() {
        return;
    }
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
    if !can_log_in() {
        return;
    }
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
