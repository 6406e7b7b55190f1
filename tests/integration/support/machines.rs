//! Machines of a network that the test makes: each has a network namespace and a mount namespace of
//! its own, with the directories `/etc`, `/run` and `/var/lib` of its own. All end with the test.

use super::means::{is_root, leave_out};
use super::run::Running;
use super::{Cluster, Run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A network of machines that can reach only each other.
pub(crate) struct Network<'a> {
    cluster: &'a Cluster,
    switch: Running,
}

/// One machine of the network.
pub(crate) struct Machine<'a> {
    cluster: &'a Cluster,
    etc: PathBuf,
    /// The process that keeps the namespaces.
    keeper: Running,
}

impl<'a> Network<'a> {
    /// A network without a machine. Without root the test is left out.
    pub(crate) fn new(cluster: &'a Cluster) -> Option<Self> {
        if !is_root("machines of a network of their own need it") {
            return None;
        }
        let switch =
            keeper(cluster, "ip link add name switch type bridge && ip link set switch up");
        switch.until_closed_or("ready");
        if !switch.stdout().contains("ready") {
            leave_out(&format!("the system refuses a network of its own: {}", switch.stderr()));
            return None;
        }
        Some(Self { cluster, switch })
    }

    /// A machine with this name and address, the `index`-th of the network.
    pub(crate) fn machine(&self, index: usize, name: &str, address: &str) -> Machine<'a> {
        let etc = self.cluster.dir().join(name).join("etc");
        fs::create_dir_all(&etc).expect("a directory");
        for file in ["passwd", "group", "nsswitch.conf", "host.conf"] {
            // A file that does not exist is not needed either.
            let _ = fs::copy(format!("/etc/{file}"), etc.join(file));
        }
        let own = "for d in /run /var/lib; do mount -t tmpfs none $d || exit; done";
        let keeper =
            keeper(self.cluster, &format!("mount --bind '{}' /etc && {own}", etc.display()));
        keeper.until_ready();
        let (port, pid) = (format!("port{index}"), keeper.pid().to_string());
        let switch = self.switch.pid().to_string();
        inside(
            &switch,
            &["ip", "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &pid],
        );
        inside(&switch, &["ip", "link", "set", &port, "master", "switch", "up"]);
        inside(&pid, &["ip", "address", "add", &format!("{address}/24"), "dev", "eth0"]);
        inside(&pid, &["ip", "link", "set", "eth0", "up"]);
        Machine { cluster: self.cluster, etc, keeper }
    }
}

impl Machine<'_> {
    /// The directory that is `/etc` on the machine.
    pub(crate) fn etc(&self) -> &Path {
        &self.etc
    }

    /// A program on this machine.
    pub(crate) fn program(&self, program: &str) -> Run {
        let pid = self.keeper.pid().to_string();
        let run =
            Run::program(self.cluster, "nsenter").args(["-t", &pid, "-n", "-m", "--wd=/", program]);
        // The settings come from the machine's files alone.
        run.without("REDLOCK_URLS").without("REDLOCK_RESTART_GUARD")
    }
}

/// A process in new mount and network namespaces. It prints `ready` after `prepare`, and keeps the
/// namespaces until it is killed.
fn keeper(cluster: &Cluster, prepare: &str) -> Running {
    let script = format!("ip link set lo up && {prepare} && echo ready && exec cat >/dev/null");
    Run::program(cluster, "unshare").args(["-nm", "sh", "-c", &script]).spawn()
}

/// Runs a command in the network of this process. It must succeed.
fn inside(pid: &str, words: &[&str]) {
    let output = Command::new("nsenter").args(["-t", pid, "-n"]).args(words).output();
    let output = output.expect("nsenter(1) can be started");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}
