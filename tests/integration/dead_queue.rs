//! Contenders that died in the queue hold up no hand-over, however many they are.

use crate::support::clock::{now, since};
use crate::support::{Cluster, Run, hold, until};
use std::time::Duration;

#[test]
fn ten_thousand_dead_contenders_hold_up_no_hand_over() {
    for dead in [10_000, 50_000] {
        let cluster = Cluster::start(3);
        let holder = hold(&cluster, "dead", &["--ttl", "2m"]);
        let script = "for i = 1, ARGV[1] do redis.call('ZADD', KEYS[1], i, 'dead' .. i) end";
        let count = dead.to_string();
        for i in 0..3 {
            cluster.cli(i, &["EVAL", script, "1", "redlock-queue:redlock:dead", &count]);
        }
        let waiter = Run::redlock(&cluster)
            .args([
                "run",
                "--op-timeout",
                "1s",
                "dead",
                "--",
                "sh",
                "-c",
                "echo ready; cat >/dev/null",
            ])
            .spawn();
        until("it stands behind them", || {
            (0..3).all(|i| cluster.in_line(i, "redlock:dead") == dead + 1)
        });
        let begun = now();
        holder.finish().expect("the holder", 0);
        waiter.until_ready();
        let took = since(begun);
        println!("a hand-over past {dead} dead contenders took {took:?}");
        assert!(took < Duration::from_secs(8), "{dead} dead contenders cost {took:?}");
        waiter.finish().expect("the waiter", 0);
        cluster.until_no_key_is_left();
    }
}
