//! Choice of the instances that a status request goes to.
//!
//! A holder extends its lock on every instance, so one response usually speaks for all. The
//! instances take turns.

use crate::lock::ClusterSize;

/// Receivers of the status requests of one wait.
#[derive(Clone, Debug)]
pub(super) struct Poller {
    size: ClusterSize,
    next: usize,
    /// Instance that was polled alone and has not answered yet.
    single: Option<usize>,
}

impl Poller {
    /// A poller that begins with instance 0.
    pub(super) const fn new(size: ClusterSize) -> Self {
        Self { size, next: 0, single: None }
    }

    /// All instances.
    pub(super) fn all(&mut self) -> Vec<usize> {
        self.single = None;
        (0..self.size.count()).collect()
    }

    /// The instance whose turn it is.
    pub(super) fn single(&mut self) -> Vec<usize> {
        let instance = self.next % self.size.count();
        self.next = instance + 1;
        self.single = Some(instance);
        vec![instance]
    }

    /// Whether a response of `instance` answers a request to that instance alone.
    pub(super) fn is_single(&self, instance: usize) -> bool {
        self.single == Some(instance)
    }

    /// Ends a poll of one instance. Returns the instance, if any.
    pub(super) const fn take_single(&mut self) -> Option<usize> {
        self.single.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_take_turns_and_a_poll_of_all_ends_a_single_poll() {
        let mut poller = Poller::new(ClusterSize::redlock(3).unwrap());
        for instance in [0, 1, 2, 0] {
            assert_eq!(poller.single(), [instance]);
            assert!(poller.is_single(instance) && !poller.is_single(instance + 1));
        }
        assert_eq!(poller.all(), [0, 1, 2]);
        assert!(!poller.is_single(0));
        assert_eq!(poller.single(), [1]);
        assert_eq!((poller.take_single(), poller.take_single()), (Some(1), None));
    }
}
