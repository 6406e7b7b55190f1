//! Instances that deny late, or hold another key, while the lock is held.

use super::super::tests::{Contender, N, ms, servers};
use super::*;
use crate::lock::{LockStatus, LockValue};
use crate::policy::WaitLimit;

/// A contender that a quorum has granted the lock. The other instances have not voted.
fn holding() -> Contender {
    let mut contender = Contender::new(WaitLimit::Forever);
    acquire(&mut contender);
    contender
}

fn acquire(contender: &mut Contender) {
    assert!(contender.vote(&[Vote::Granted, Vote::Granted, Vote::Granted]).is_idle());
    assert!(contender.sleep().acquires());
}

impl Contender {
    /// The rival that this response reveals, and the instances that are polled.
    fn compare(&mut self, instance: usize, response: Response) -> (Option<Rival>, Vec<usize>) {
        let (now, mut out) = (self.now, Vec::new());
        let received =
            InstanceResponse { instance, sent: now, report: None, clock: None, response };
        let rival = self.acquisition.compare_rival(now, &received, &mut out);
        (rival, polled(&out))
    }

    fn deny(&mut self, attempt: u32, instance: usize) -> Vec<usize> {
        self.compare(instance, Response::Vote(attempt, Vote::Denied)).1
    }

    /// The instance shows the holder of a host with this number of servers.
    fn show(&mut self, instance: usize, count: Option<usize>) -> Option<Rival> {
        let holder = count.map(|count| {
            let value = LockValue::example("web2", &servers(count)).to_line();
            ObservedHolder { value, left: Some(ms(9_000)) }
        });
        let status = LockStatus { free: vec![], holder, place: None };
        self.compare(instance, Response::Status(StatusResponse::Seen(status))).0
    }

    fn poll_rivals(&mut self) -> Vec<usize> {
        let mut out = Vec::new();
        self.acquisition.poll_rivals(self.now, &mut out);
        polled(&out)
    }
}

fn polled(out: &[Action]) -> Vec<usize> {
    match out {
        [Action::AskStatus { instances, waited: None }] => instances.clone(),
        _ => vec![],
    }
}

#[test]
fn a_holder_on_an_instance_that_denied_is_polled_twice_before_the_run_gives_way() {
    let mut contender = holding();
    assert_eq!(contender.deny(1, 4), [4]);
    assert_eq!(contender.show(4, Some(3)), None, "the other run may be about to release");
    let again = contender.now.plus(ms(300));
    assert_eq!(contender.acquisition.rival_wake_at(), again, "two op-timeouts");
    contender.now = again.minus(ms(1));
    assert!(contender.poll_rivals().is_empty(), "not due");
    contender.now = again;
    assert_eq!(contender.poll_rivals(), [4]);
    let rival = contender.show(4, Some(3));
    assert!(matches!(rival, Some(Rival::First { instance: 4, .. })), "{rival:?}");
}

#[test]
fn a_poll_that_is_late_is_made_up_for() {
    let mut contender = holding();
    let _ = contender.deny(1, 4);
    let _ = contender.show(4, Some(3));
    contender.now = contender.acquisition.rival_wake_at().plus(ms(1));
    assert_eq!(contender.poll_rivals(), [4]);
}

#[test]
fn a_run_gives_way_only_to_the_holder_that_it_was_denied_for() {
    for first in [None, Some(N)] {
        let mut contender = holding();
        let _ = contender.deny(1, 4);
        assert_eq!(contender.show(4, first), None);
        assert_eq!(contender.acquisition.rival_wake_at(), Time::NEVER, "{first:?}");
        let rival = contender.show(4, Some(3));
        assert!(matches!(rival, Some(Rival::Beside(..))), "{first:?}: {rival:?}");
    }
}

#[test]
fn only_a_denial_of_the_current_attempt_counts() {
    let mut contender = holding();
    let _ = contender.deny(1, 4);
    let mut out = Vec::new();
    let _ = contender.acquisition.start_refused(contender.now, &mut out);
    let _ = contender.release(None);
    assert!(contender.sleep().attempts());
    acquire(&mut contender);
    assert_eq!(contender.acquisition.rival_wake_at(), Time::NEVER, "a denial of attempt 1");
    assert!(contender.deny(1, 4).is_empty(), "a late one");
    assert_eq!(contender.acquisition.rival_wake_at(), Time::NEVER);
    assert_eq!(contender.deny(2, 4), [4]);
}

#[test]
fn a_foreign_key_is_polled_once_in_a_run() {
    let mut contender = holding();
    let mut foreign = || contender.compare(4, Response::Extension(Extension::Foreign)).1;
    assert_eq!(foreign(), [4]);
    assert!(foreign().is_empty());
}
