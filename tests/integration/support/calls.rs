//! The number of calls of each command on a server.

use super::Cluster;
use std::collections::BTreeMap;

/// Commands that only the tests send: for the counts, for the lengths of queues, and by the client
/// library when it connects.
const OURS: [&str; 4] = ["info", "zcard", "config", "client"];

/// The number of calls of each command so far, those in scripts included, by `INFO commandstats`.
/// Without the commands of the tests.
pub(crate) fn calls(cluster: &Cluster, i: usize) -> BTreeMap<String, u64> {
    let text: String = cluster.ask(i, &["INFO", "commandstats"]);
    let commands = text.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().expect("a number")))
    });
    commands
        .filter(|(name, _)| !OURS.contains(&name.split('|').next().unwrap_or_default()))
        .collect()
}

/// Resets the counts of all servers.
pub(crate) fn reset(cluster: &Cluster) {
    cluster.answering().into_iter().for_each(|i| drop(cluster.cli(i, &["CONFIG", "RESETSTAT"])));
}

/// The calls of all commands on all servers.
pub(crate) fn total(cluster: &Cluster) -> u64 {
    cluster.answering().into_iter().flat_map(|i| calls(cluster, i).into_values()).sum()
}
