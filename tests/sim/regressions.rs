//! Worlds that once showed a fault, by their seeds. A few never did, and show that the table is
//! used.

use super::chance::world;
use super::safety::verdict;

/// The seed, and the story of its fault.
const SEEDS: [(u64, &str); 3] =
    [(1, "three instances"), (2, "four instances"), (3, "five instances")];

#[test]
fn faults_of_these_seeds_do_not_come_back() {
    for (seed, story) in SEEDS {
        let mut world = world(seed);
        assert_eq!(verdict(&mut world), None, "SEED={seed}: {story}");
    }
}
