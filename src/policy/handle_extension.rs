//! One extension of a lock that an earlier process acquired, by [`Extender`]: rounds, and the moment
//! at which the result is known.

use super::{Action, Extender, LossCause};
use crate::lock::{ClusterSize, Extension, HeldLock, InstanceResponse, Response, Schedule, Time};

/// Result of one extension.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum ExtensionResult {
    /// No result yet.
    Pending,
    /// A quorum of members has confirmed the extension. Holds the expiry of the lock.
    Extended(Time),
    /// The lock is lost.
    Lost(LossCause),
    /// No quorum has confirmed within the time limit. The lock expires at the moment that is held,
    /// unless a later extension succeeds.
    Unconfirmed(Time),
}

/// One extension.
#[derive(Debug)]
pub struct HandleExtension {
    extender: Extender,
    begun: Time,
    /// When the instances that have not answered are left out, if the others are a quorum.
    soon: Time,
    /// When the extension ends in any case.
    limit: Time,
    /// Instances with an unanswered request.
    open: Vec<bool>,
    /// Last response of each instance.
    responses: Vec<Option<Extension>>,
}

impl HandleExtension {
    /// Time limit without a quorum, in op-timeouts.
    const LIMIT: u32 = 3;

    /// The extension at `now` of `held_lock`.
    #[must_use]
    pub fn new(schedule: Schedule, size: ClusterSize, held_lock: HeldLock, now: Time) -> Self {
        let op_timeout = schedule.op_timeout();
        Self {
            extender: Extender::resumed(schedule, size, held_lock, now),
            begun: now,
            soon: now.plus(op_timeout),
            limit: now.plus(op_timeout.saturating_mul(Self::LIMIT)),
            open: vec![false; size.count()],
            responses: vec![None; size.count()],
        }
    }

    /// The moment at which a timeout is due.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        let expiry = self.extender.deadline().unwrap_or_default();
        let next = if self.is_confirmed() { self.soon } else { self.limit };
        self.extender.wake_at().min(next).min(expiry)
    }

    /// Takes a timeout, or a response that was received at `now`.
    pub fn handle(
        &mut self,
        now: Time,
        received: Option<&InstanceResponse>,
        out: &mut Vec<Action>,
    ) -> ExtensionResult {
        let first = out.len();
        match received {
            None => self.extender.handle_timeout(now, out),
            Some(received) => {
                if let Response::Extension(extension) = &received.response {
                    self.note(received.instance, extension);
                }
                self.extender.handle_response(now, received, out);
            }
        }
        for action in out.iter().skip(first) {
            if let Action::Extend(_, instances) = action {
                for instance in instances {
                    if let Some(open) = self.open.get_mut(*instance) {
                        *open = true;
                    }
                }
            }
        }
        self.result(now)
    }

    fn note(&mut self, instance: usize, extension: &Extension) {
        if let (Some(open), Some(response)) =
            (self.open.get_mut(instance), self.responses.get_mut(instance))
        {
            (*open, *response) = (false, Some(extension.clone()));
        }
    }

    /// Whether a quorum of members has confirmed a request of this extension.
    fn is_confirmed(&self) -> bool {
        self.extender.held_lock().confirmed_at() >= Some(self.begun)
    }

    fn result(&self, now: Time) -> ExtensionResult {
        match self.extender.deadline() {
            None => ExtensionResult::Lost(
                self.extender
                    .revocation()
                    .map_or(LossCause::KeysGone, |revoked| LossCause::Revoked(revoked.clone())),
            ),
            Some(expiry) if now >= expiry => ExtensionResult::Lost(LossCause::NoQuorum),
            Some(expiry) if self.is_confirmed() => {
                let is_over = now >= self.soon || !self.open.contains(&true);
                if is_over { ExtensionResult::Extended(expiry) } else { ExtensionResult::Pending }
            }
            Some(expiry) if now >= self.limit => ExtensionResult::Unconfirmed(expiry),
            Some(_) => ExtensionResult::Pending,
        }
    }

    /// The lock after the extension.
    #[must_use]
    pub const fn held_lock(&self) -> &HeldLock {
        self.extender.held_lock()
    }

    /// The last response of each instance.
    #[must_use]
    pub fn responses(&self) -> &[Option<Extension>] {
        &self.responses
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::{IfMissing, InstanceLease, NoVoteReason, RestartGuard, Ttl};
    use std::time::Duration;

    fn at(millis: u64) -> Time {
        Time::default().plus(Duration::from_millis(millis))
    }

    /// TTL 3 s, so a validity of 2968 ms, and an op-timeout of 150 ms. Three of five are members
    /// since 1 s.
    fn extension(now: u64) -> HandleExtension {
        let ttl = Ttl::new(Duration::from_secs(3)).unwrap();
        let size = ClusterSize::redlock(5).unwrap();
        let mut leases = vec![InstanceLease::default(); 5];
        leases.iter_mut().take(3).for_each(|lease| *lease = InstanceLease::example(at(1_000)));
        let held_lock = HeldLock::resumed(size, ttl, RestartGuard::Off, leases).unwrap();
        HandleExtension::new(Schedule::new(ttl, None, None).unwrap(), size, held_lock, at(now))
    }

    fn response(instance: usize, sent: u64, extension: Extension) -> InstanceResponse {
        let response = Response::Extension(extension);
        InstanceResponse { instance, sent: at(sent), report: None, clock: None, response }
    }

    /// The result after these responses, which come a millisecond later.
    fn after(
        extension: &mut HandleExtension,
        now: u64,
        responses: &[Extension],
    ) -> ExtensionResult {
        let mut out = vec![];
        let mut result = extension.handle(at(now), None, &mut out);
        for (instance, heard) in responses.iter().enumerate() {
            let received = response(instance, now, heard.clone());
            result = extension.handle(at(now + 1), Some(&received), &mut out);
        }
        result
    }

    #[test]
    fn a_quorum_of_members_extends_and_any_other_instance_does_not() {
        use Extension::{Foreign, Kept, Missing};
        let dead = || Extension::Unknown(NoVoteReason::TimedOut);
        let until = ExtensionResult::Extended(at(2_000 + 2_968));
        let lost = ExtensionResult::Lost(LossCause::KeysGone);
        for (label, responses, expected) in [
            ("all", vec![Kept, Kept, Kept, Kept, Kept], until.clone()),
            ("the members", vec![Kept, Kept, Kept, Foreign, dead()], until),
            ("two members and two others", vec![Kept, Kept, Foreign, Kept, Kept], lost.clone()),
            ("two members lost it", vec![Kept, Missing, Missing, Kept, Kept], lost),
            ("two members, one silent", vec![Kept, Kept, dead()], ExtensionResult::Pending),
        ] {
            assert_eq!(after(&mut extension(2_000), 2_000, &responses), expected, "{label}");
        }
    }

    #[test]
    fn a_missing_key_is_set_again_only_while_the_members_hold_the_lock() {
        let mut extended = extension(2_000);
        let mut out = vec![];
        let _ = extended.handle(at(2_000), None, &mut out);
        let missing = response(4, 2_000, Extension::Missing);
        let _ = extended.handle(at(2_001), Some(&missing), &mut out);
        assert_eq!(out.last(), Some(&Action::Extend(IfMissing::Set, vec![4])));
        let mut expired = extension(4_000);
        let mut out = vec![];
        let result = expired.handle(at(4_000), None, &mut out);
        assert_eq!(result, ExtensionResult::Lost(LossCause::NoQuorum));
        assert_eq!(out, [], "nothing is sent after the lease");
    }

    #[test]
    fn the_next_timeout_is_that_of_a_request_of_a_limit_or_of_the_expiry() {
        let quorum = [Extension::Kept, Extension::Kept, Extension::Kept];
        let mut out = vec![];
        let mut silent = extension(2_000);
        assert_eq!(silent.wake_at(), at(2_000), "the first round");
        let _ = silent.handle(at(2_000), None, &mut out);
        assert_eq!(silent.wake_at(), at(2_150), "the second request");
        let _ = silent.handle(at(2_350), None, &mut out);
        assert_eq!(silent.wake_at(), at(2_450), "the time limit without a quorum");
        let mut confirmed = extension(2_000);
        let _ = after(&mut confirmed, 2_100, &quorum);
        assert_eq!(confirmed.wake_at(), at(2_150), "the time limit of the others");
        let mut last = extension(3_900);
        let _ = last.handle(at(3_900), None, &mut out);
        assert_eq!(last.wake_at(), at(3_968), "the expiry");
    }

    #[test]
    fn the_last_response_of_each_instance_is_known() {
        use Extension::{Foreign, Kept, Missing};
        let mut extended = extension(2_000);
        assert_eq!(extended.responses(), [const { None }; 5]);
        let _ = after(&mut extended, 2_000, &[Kept, Kept, Missing]);
        let _ = extended.handle(at(2_002), Some(&response(2, 2_001, Foreign)), &mut vec![]);
        let known = [Some(Kept), Some(Kept), Some(Foreign), None, None];
        assert_eq!(extended.responses(), known);
    }

    #[test]
    fn silence_is_unknown_until_the_lease_is_over() {
        let mut silent = extension(2_000);
        assert_eq!(after(&mut silent, 2_000, &[]), ExtensionResult::Pending);
        let mut out = vec![];
        let result = silent.handle(at(2_450), None, &mut out);
        assert_eq!(result, ExtensionResult::Unconfirmed(at(3_968)));
        assert_eq!(
            silent.handle(at(3_968), None, &mut out),
            ExtensionResult::Lost(LossCause::NoQuorum)
        );
        let mut slow = extension(2_000);
        let quorum = [Extension::Kept, Extension::Kept, Extension::Kept];
        assert_eq!(after(&mut slow, 2_000, &quorum), ExtensionResult::Pending, "two may answer");
        assert!(matches!(slow.handle(at(2_150), None, &mut out), ExtensionResult::Extended(_)));
    }
}
