//! Many contenders for one lock, and a count that is right only if no two of them overlap.

use crate::support::{Cluster, Run};
use std::fs;
use std::time::Duration;

const CONTENDERS: usize = 20;
const ROUNDS: usize = 15;

#[test]
fn twenty_contenders_count_to_three_hundred() {
    let cluster = Cluster::start_alone(5);
    let counter = cluster.dir().join("f");
    fs::write(&counter, "0\n").unwrap();
    let script = format!(
        r#"for round in $(seq {ROUNDS}); do
               "$RL" run counter --ttl 30s -- sh -c 'n=$(cat f); echo $((n+1)) >f' || echo "round $round: $?"
           done"#
    );
    let running: Vec<_> = (0..CONTENDERS).map(|_| Run::shell(&cluster, &script).spawn()).collect();
    for contender in running {
        let output = contender.wait_within(Duration::from_secs(150)).expect("a contender", 0);
        assert_eq!(output.out(), "", "every round has its turn; they said: {}", output.stderr);
    }
    let count: usize = fs::read_to_string(&counter).unwrap().trim().parse().unwrap();
    assert_eq!(count, CONTENDERS * ROUNDS, "two were in at once");
    cluster.until_no_key_is_left();
    cluster.until_no_process_is_left();
}
