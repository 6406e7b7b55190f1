//! The edges of the promise: a request that is executed late, a server whose uptime is wrong, a
//! connection that a firewall forgets, hosts that disagree. At most one command runs at any time,
//! and a holder that lost the lock ends with 74.
//!
//! Each comment tells for how long two commands ran at once before redlock had the rule. The
//! commands measure the overlap themselves.

mod disagreement;
mod flows;
mod late;
mod names;
mod replicas;
mod restarts;
mod rules;

use crate::support::life::living;
use crate::support::proxy::{Fate, Proxy, Way};
use crate::support::{Cluster, Monitor, Run, Running, until};

const KEY: &str = "redlock:edge";

/// Three servers, with a proxy before each for the holder. The contender has none.
struct Stage {
    cluster: Cluster,
    proxies: Vec<Proxy>,
}

impl Stage {
    fn new() -> Self {
        Self::before(Cluster::start(3))
    }

    fn before(cluster: Cluster) -> Self {
        let proxies = (0..3).map(|i| Proxy::before(cluster.port(i))).collect();
        Self { cluster, proxies }
    }

    /// redlock with a command that lives until its input is closed.
    fn run(&self, label: &str, options: &[&str]) -> Run {
        Run::redlock(&self.cluster)
            .with_default_signals()
            .arg_line("run", options, &["edge", "--"])
            .args(living(label))
    }

    /// A holder whose key is on all servers.
    fn holder(&self, options: &[&str]) -> Running {
        let urls = self.proxies.iter().map(Proxy::url).collect::<Vec<_>>().join(",");
        let running = self.run("holder", options).env("REDLOCK_URLS", urls).spawn();
        running.until_ready();
        until("all servers have the key", || (0..3).all(|i| self.cluster.get(i, KEY).is_some()));
        running
    }

    /// Holds everything between the holder and these servers, the end of a connection included.
    fn cut_off(&self, which: impl IntoIterator<Item = usize>) {
        for i in which {
            for way in [Way::Requests, Way::Replies] {
                self.proxies[i].set(way, Fate::Hold);
            }
        }
    }

    /// Lets everything pass that was held, and all that follows.
    fn join(&self, which: impl IntoIterator<Item = usize>) {
        for i in which {
            for way in [Way::Requests, Way::Replies] {
                self.proxies[i].set(way, Fate::Pass);
            }
        }
    }
}

/// Whether the server got a script for the key, with any effect.
fn has_come(monitor: &Monitor) -> bool {
    let is_for = |words: &[String]| words.iter().any(|word| word == KEY);
    monitor
        .seen()
        .iter()
        .any(|seen| seen.words[0].eq_ignore_ascii_case("EVAL") && is_for(&seen.words))
}
