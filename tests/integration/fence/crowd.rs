//! Eight processes that acquire again and again while a minority of the servers is killed and
//! emptied: their tokens rise.

use crate::support::{Cluster, Run, Running, until};
use std::fs;

/// Number of runs of one process. `REDLOCK_TEST_FENCE_RUNS=125` makes a thousand in all.
fn runs() -> usize {
    let set = std::env::var("REDLOCK_TEST_FENCE_RUNS").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(3)
}

const PROCESSES: usize = 8;

#[test]
fn tokens_of_a_crowd_rise_while_a_minority_of_the_servers_is_killed_and_emptied() {
    let mut cluster = Cluster::start(5);
    let all = || (0..5).all(|i| cluster.get(i, "redlock-fence:redlock:crowd").is_some());
    let once = ["run", "--fence", "crowd", "--", "true"];
    Run::redlock(&cluster).args(once).finish().expect("the first use", 0);
    assert!(all(), "every server has a counter");
    let script = "for i in $(seq $0); do \
                  $RL run --fence --ttl 10s --op-timeout 2s crowd -- sh -c 'echo $REDLOCK_FENCE >>journal' || exit; done";
    let count = runs().to_string();
    let start = |_| Run::shell(&cluster, script).args([count.as_str()]).spawn();
    let mut running: Vec<Running> = (0..PROCESSES).map(start).collect();
    let lines = |cluster: &Cluster| {
        fs::read_to_string(cluster.dir().join("journal")).unwrap_or_default().lines().count()
    };
    let mut strikes = 0;
    while running.iter_mut().any(Running::goes_on) {
        // Two of five servers. The other three keep the counters.
        let before = lines(&cluster);
        match strikes % 3 {
            0 => cluster.kill(strikes % 2),
            1 => cluster.restart((strikes - 1) % 2),
            _ => drop(cluster.cli(1 - strikes % 2, &["FLUSHALL"])),
        }
        strikes += 1;
        until("some runs later", || {
            lines(&cluster) > before || running.iter_mut().all(|running| !running.goes_on())
        });
    }
    for running in running {
        let output = running.wait().expect("its runs", 0);
        assert!(!output.stderr.contains("clocks agree"), "{}", output.stderr);
    }
    let journal = fs::read_to_string(cluster.dir().join("journal")).expect("a journal");
    let tokens: Vec<u64> = journal.lines().map(|line| line.parse().expect("a token")).collect();
    assert_eq!(tokens.len(), PROCESSES * runs());
    assert!(tokens.is_sorted_by(|one, other| one < other), "{tokens:?}");
    println!("{} tokens, {strikes} strikes", tokens.len());
}
