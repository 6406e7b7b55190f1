//! Release of one attempt on all instances.

use crate::lock::{ClusterSize, ObservedHolder, Release, Revocation, Time};
use std::time::Duration;

/// Responses to one release.
#[derive(Clone, Debug)]
pub struct ReleaseRound {
    size: ClusterSize,
    attempt: u32,
    limit: Time,
    responses: Vec<Option<Release>>,
}

impl ReleaseRound {
    /// The release of `attempt` that is sent to all instances at `now`. The time limit is
    /// `op_timeout`.
    #[must_use]
    pub fn new(size: ClusterSize, attempt: u32, now: Time, op_timeout: Duration) -> Self {
        Self { size, attempt, limit: now.plus(op_timeout), responses: vec![None; size.count()] }
    }

    /// The time limit: the release is over then, however many responses are missing.
    #[must_use]
    pub const fn limit(&self) -> Time {
        self.limit
    }

    /// Records the response of `instance` to the release of `attempt`. A response to the release of
    /// another attempt is ignored.
    pub fn record(&mut self, instance: usize, attempt: u32, response: Release) {
        if attempt == self.attempt
            && let Some(place) = self.responses.get_mut(instance)
        {
            *place = Some(response);
        }
    }

    /// Whether the release is over: a majority has responded and every other socket has taken the
    /// request, or no further response can come, or the time limit has passed.
    #[must_use]
    pub fn is_done(&self, now: Time) -> bool {
        let open = self.responses.iter().any(|response| matches!(response, Some(Release::Written)));
        now >= self.limit || (self.is_sent() && (self.is_complete() || !open))
    }

    /// Whether every socket has taken the request, or has failed.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.responses.iter().all(Option::is_some)
    }

    /// Whether no further response can come.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.responses.iter().all(|response| !matches!(response, None | Some(Release::Written)))
    }

    /// Whether our key is known to be gone on a majority.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let gone = |response: &&Release| matches!(response, Release::Done(_) | Release::Nothing);
        self.responses.iter().flatten().filter(gone).count() >= self.size.quorum()
    }

    /// The response of each instance.
    #[must_use]
    pub fn responses(&self) -> &[Option<Release>] {
        &self.responses
    }

    /// The holder that most instances name, and whether a quorum does.
    #[must_use]
    pub fn holder(&self) -> (Option<&ObservedHolder>, bool) {
        let most = self.most();
        (most.map(|(holder, _)| holder), most.is_some_and(|(_, count)| count >= self.size.quorum()))
    }

    /// Whether the missing responses cannot change which holder has a quorum.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        let most = self.most().map_or(0, |(_, count)| count);
        let open = self
            .responses
            .iter()
            .filter(|response| matches!(response, None | Some(Release::Written)))
            .count();
        most >= self.size.quorum() || most + open < self.size.quorum()
    }

    /// The holder that most instances name, and their number.
    fn most(&self) -> Option<(&ObservedHolder, usize)> {
        let seen = |value: &str| {
            let is_same = |other: &&ObservedHolder| Revocation::same_holder(&other.value, value);
            self.observed_holders().filter(is_same).count()
        };
        self.observed_holders()
            .map(|holder| (holder, seen(&holder.value)))
            .max_by_key(|(_, count)| *count)
    }

    /// The shortest TTL left of a key that another run holds.
    #[must_use]
    pub fn shortest(&self) -> Option<Duration> {
        self.observed_holders().filter_map(|observed| observed.left).min()
    }

    fn observed_holders(&self) -> impl Iterator<Item = &ObservedHolder> {
        self.responses.iter().flatten().filter_map(|response| match response {
            Release::Done(observed) => observed.as_ref(),
            Release::Written | Release::Nothing | Release::Unknown(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::NoVoteReason;

    fn release_round(responses: &[Option<Release>]) -> ReleaseRound {
        let size = ClusterSize::redlock(responses.len()).unwrap();
        let mut release_round = ReleaseRound::new(size, 1, Time::default(), Duration::from_secs(1));
        for (instance, response) in responses.iter().enumerate() {
            if let Some(response) = response {
                release_round.record(instance, 1, response.clone());
            }
        }
        release_round
    }

    fn held_by(value: &str) -> Release {
        Release::Done(Some(ObservedHolder { value: value.into(), left: None }))
    }

    #[test]
    fn a_release_is_done_once_a_majority_answered_and_the_rest_is_written() {
        let (done, nothing) = (|| Some(Release::Done(None)), || Some(Release::Nothing));
        let (written, failed) =
            (|| Some(Release::Written), || Some(Release::Unknown(NoVoteReason::TimedOut)));
        for (label, responses, is_done) in [
            ("no response", [None, None, None], false),
            ("a majority, the third unwritten", [done(), done(), None], false),
            ("a majority, the third written", [done(), done(), written()], true),
            ("one response", [done(), written(), written()], false),
            ("one response, no other can come", [done(), failed(), failed()], true),
            ("one response, another may come", [done(), failed(), written()], false),
            ("nothing to release", [nothing(), nothing(), nothing()], true),
        ] {
            let release_round = release_round(&responses);
            assert_eq!(release_round.is_done(Time::default()), is_done, "{label}");
            assert!(release_round.is_done(release_round.limit()), "{label}: bounded");
            assert_eq!(
                release_round.is_sent(),
                !release_round.responses().contains(&None),
                "{label}"
            );
        }
    }

    #[test]
    fn a_response_to_another_attempt_is_ignored() {
        let mut release_round = release_round(&[None, None, None]);
        release_round.record(0, 2, Release::Done(None));
        assert_eq!(release_round.responses(), [None, None, None]);
    }

    #[test]
    fn the_holder_is_decided_when_no_response_can_change_it() {
        let (none, held) = (|| Some(Release::Done(None)), || Some(held_by("a")));
        let (written, failed) =
            (|| Some(Release::Written), || Some(Release::Unknown(NoVoteReason::TimedOut)));
        for (label, responses, is_decided) in [
            ("two without, one with", [none(), none(), held(), written(), None], false),
            ("a quorum", [none(), written(), held(), held(), held()], true),
            ("two with, one pending", [none(), none(), held(), held(), written()], false),
            ("two with, one is dead", [none(), none(), held(), held(), failed()], true),
            ("three without", [none(), none(), none(), held(), written()], true),
            ("two others", [Some(held_by("b")), Some(held_by("b")), held(), held(), none()], true),
        ] {
            assert_eq!(release_round(&responses).is_decided(), is_decided, "{label}");
        }
    }

    #[test]
    fn the_holder_is_the_one_that_most_instances_name() {
        let none = || Some(Release::Done(None));
        for (label, responses, name, quorum) in [
            ("no holder", [none(), none(), none()], None, false),
            ("a split", [Some(held_by("a")), none(), none()], Some("a"), false),
            ("a holder", [held_by("b"), held_by("a"), held_by("a")].map(Some), Some("a"), true),
        ] {
            let release_round = release_round(&responses);
            let (holder, is_quorum) = release_round.holder();
            assert_eq!((holder.map(|s| s.value.as_str()), is_quorum), (name, quorum), "{label}");
        }
    }
}
