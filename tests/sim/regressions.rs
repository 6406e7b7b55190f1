//! Worlds that once showed a fault, by their seeds; and a few that never did, so that the table is
//! read.

use super::chance::world;
use super::safety::verdict;

/// The seed, and the story of its fault.
const SEEDS: [(u64, &str); 3] =
    [(1, "three instances"), (2, "four instances"), (3, "five instances")];

#[test]
fn mended_faults_stay_mended() {
    for (seed, story) in SEEDS {
        let mut world = world(seed);
        assert_eq!(verdict(&mut world), None, "SEED={seed}: {story}");
    }
}
