//! The procedures of docs/servers.md that change servers, each while several hosts lock in a loop:
//! no two commands at once, and all go on afterwards.

use crate::support::clock::let_pass;
use crate::support::{Cluster, Run, Running, until};
use std::fs;
use std::time::Duration;

/// Number of hosts, each with a configuration file of its own.
const HOSTS: usize = 3;

/// A command that notes whether another one runs at the same time. If it is killed, the kernel
/// releases its file lock.
const SECTION: &str = "flock -n section sleep 0.01 || echo two >>overlaps";

/// Hosts that take the lock again and again until the test ends.
struct Hosts<'a> {
    cluster: &'a Cluster,
    loops: Vec<Running>,
}

impl<'a> Hosts<'a> {
    fn start(cluster: &'a Cluster, urls: &[String]) -> Self {
        let mut hosts = Self { cluster, loops: vec![] };
        for host in 0..HOSTS {
            hosts.configure(host, urls);
            let script = format!(
                "while [ ! -e stop ]; do $RL run -q --config host-{host}.toml job -- sh -c '{SECTION}'; \
                 echo $? >>codes-{host}; done"
            );
            let run = Run::shell(cluster, &script);
            hosts.loops.push(run.without("REDLOCK_URLS").without("REDLOCK_RESTART_GUARD").spawn());
        }
        hosts.until_all_go_on();
        hosts
    }

    /// Gives a host another list of servers, from the host's next run on.
    fn configure(&self, host: usize, urls: &[String]) {
        let file = self.cluster.dir().join(format!("host-{host}.toml"));
        let next = file.with_extension("next");
        let text = format!("urls = {urls:?}\nttl = \"2s\"\nrestart-guard = \"2s\"\n");
        fs::write(&next, text).unwrap();
        fs::rename(next, file).unwrap();
    }

    /// The same for all hosts, one after the other.
    fn configure_all(&self, urls: &[String]) {
        for host in 0..HOSTS {
            self.configure(host, urls);
            self.until_goes_on(host);
        }
    }

    fn codes(&self, host: usize) -> Vec<String> {
        let text = fs::read_to_string(self.cluster.dir().join(format!("codes-{host}")));
        text.unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Waits until a run of this host that begins after the call has succeeded. Then no earlier run
    /// is left.
    fn until_goes_on(&self, host: usize) {
        let before = self.codes(host).len() + 1;
        let succeeded = |codes: Vec<String>| codes.iter().skip(before).any(|code| code == "0");
        until(&format!("host {host} goes on"), || succeeded(self.codes(host)));
    }

    fn until_all_go_on(&self) {
        (0..HOSTS).for_each(|host| self.until_goes_on(host));
    }

    /// Waits until all servers answer, and then for the restart guard and a little more, as an
    /// operator waits between two restarts.
    fn until_all_vote(&self) {
        self.until_healthy();
        let_pass(Duration::from_secs(3));
    }

    fn until_healthy(&self) {
        let doctor = || {
            let run = Run::redlock(self.cluster).without("REDLOCK_URLS");
            let run = run.without("REDLOCK_RESTART_GUARD");
            run.args(["doctor", "-q", "--config", "host-0.toml"]).finish().status.code()
        };
        until("doctor finds all servers well", || doctor() == Some(0));
    }

    /// Ends all loops. No two commands ran at once, and every exit code is one of `codes`.
    fn finish(self, codes: &[&str]) {
        fs::write(self.cluster.dir().join("stop"), "").unwrap();
        let all: Vec<String> = (0..HOSTS).flat_map(|host| self.codes(host)).collect();
        for running in self.loops {
            running.finish().expect("the loop", 0);
        }
        assert!(!self.cluster.dir().join("overlaps").exists(), "two sections at once");
        let others: Vec<&String> =
            all.iter().filter(|code| !codes.contains(&code.as_str())).collect();
        assert!(others.is_empty(), "exit codes: {others:?} of {} runs", all.len());
    }
}

#[test]
fn servers_are_restarted_or_replaced_behind_their_names_one_by_one() {
    let mut cluster = Cluster::start(3);
    let urls = cluster.all_urls();
    // A directory of its own, since the cluster is changed while the hosts go on.
    let directory = Cluster::start(0);
    let hosts = Hosts::start(&directory, &urls);
    for i in 0..2 {
        hosts.until_all_vote();
        cluster.kill(i);
        hosts.until_all_go_on();
        // The server comes back with nothing in memory, as a new machine with the old name does.
        cluster.restart(i);
    }
    hosts.until_healthy();
    hosts.finish(&["0"]);
}

#[test]
fn servers_are_added_removed_and_renamed_step_by_step() {
    let cluster = Cluster::start(5);
    let urls = cluster.all_urls();
    let hosts = Hosts::start(&cluster, &urls[..3]);
    let last = &urls[2..5];
    let renamed: Vec<String> =
        last.iter().map(|url| url.replace("127.0.0.1", "[::ffff:127.0.0.1]")).collect();
    // From three servers to five, and back to three others: one server at a time, and for a
    // replacement the new one first. Then new names for all three at once.
    for list in [&urls[..4], &urls[..5], &urls[1..5], last, &renamed] {
        hosts.configure_all(list);
    }
    hosts.until_healthy();
    // While the lists differ, a run that meets a holder with the other list is refused with 78.
    hosts.finish(&["0", "78"]);
}
