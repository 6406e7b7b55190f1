//! The processes above this one, each named by its pid and its start.

use super::guardian::descendants::read;
use nix::unistd::Pid;

/// Start of this process, in clock ticks since boot. `None` if /proc does not show the start.
#[must_use]
pub fn own_start() -> Option<u64> {
    read(Pid::this().as_raw()).map(|process| process.started)
}

/// Whether the process with this pid and this start is alive and an ancestor of this process.
///
/// An ancestor that ends leaves its children to another process, so an ancestor is alive.
#[must_use]
pub fn is_ancestor(pid: i32, started: u64) -> bool {
    let parents = std::iter::successors(read(Pid::this().as_raw()), |child| read(child.parent));
    parents.skip(1).any(|process| process.pid == pid && process.started == started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_an_ancestor_and_neither_this_process_nor_another_of_that_number_is() {
        let own = read(Pid::this().as_raw()).unwrap();
        let parent = read(own.parent).unwrap();
        assert!(is_ancestor(parent.pid, parent.started));
        assert!(!is_ancestor(parent.pid, parent.started + 1));
        assert!(!is_ancestor(own.pid, own.started));
        assert_eq!(own_start(), Some(own.started));
    }
}
