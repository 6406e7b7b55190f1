//! The exact condition of the first promise: a holder with m members of N instances is safe while
//! fewer than m - (N - q) of them forget. Here N is 3 and q is 2.

use crate::support::{Cluster, Run, hold, key_of, until};

const ROUNDS: usize = 5;

fn contender(cluster: &Cluster) -> Run {
    Run::redlock(cluster).args(["run", "-n", "forget", "--", "true"])
}

#[test]
fn a_holder_on_two_of_three_is_not_safe_from_one_that_forgets() {
    let mut cluster = Cluster::start(3);
    cluster.kill(2);
    // The holder does not reconnect to the third server for ten seconds.
    let mut holder = hold(&cluster, "forget", &["--ttl", "2m", "--op-timeout", "10s"]);
    contender(&cluster).finish().expect("both remember", 75);
    cluster.restart(2);
    cluster.cli(1, &["FLUSHALL"]);
    contender(&cluster).finish().expect("one forgot, and two are in at once", 0);
    holder.assert_goes_on("the holder does not know yet");
    holder.finish().expect("it ended before its next extension", 0);
}

#[test]
fn a_holder_on_all_three_is_safe_from_one_that_forgets() {
    let cluster = Cluster::start(3);
    let key = key_of("forget");
    for round in 0..ROUNDS {
        let mut holder = hold(&cluster, "forget", &["--ttl", "2m"]);
        until("all have the key", || (0..3).all(|i| cluster.get(i, &key).is_some()));
        cluster.cli(round % 3, &["FLUSHALL"]);
        contender(&cluster).finish().expect("two remember", 75);
        holder.assert_goes_on("one that forgets is no loss");
        holder.finish().expect("the holder", 0);
        cluster.until_no_key_is_left();
    }
}
