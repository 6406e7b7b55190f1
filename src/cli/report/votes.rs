//! Votes and releases of all instances in words.

use super::Report;
use super::describe::{extension, unknown};
use super::holder::safe;
use crate::lock::{Extension, NoVoteReason, PermanentError, Release, Vote};
use std::time::Duration;

impl Report {
    /// The votes of an attempt that failed.
    pub(super) fn votes(&self, votes: &[Option<Vote>]) -> String {
        let each = self.each(votes, |vote| match vote {
            // The attempt was decided without this vote, so the instance may still grant it.
            None => Some("answer not needed".into()),
            Some(Vote::Granted) => None,
            Some(Vote::Denied) => Some("busy".into()),
            Some(Vote::Unknown(why)) => Some(unknown(why)),
        });
        let (total, count) =
            (votes.len(), |which: fn(&&Vote) -> bool| votes.iter().flatten().filter(which).count());
        let count = if votes.contains(&None) {
            format!(
                "{} of {total} instances cannot vote",
                count(|vote| matches!(vote, Vote::Unknown(_)))
            )
        } else {
            let is_answer = |vote: &&Vote| {
                !matches!(
                    vote,
                    Vote::Unknown(NoVoteReason::TimedOut | NoVoteReason::Unreachable(_))
                )
            };
            format!("{} of {total} instances answered", count(is_answer))
        };
        format!("{count}, {} must grant; {each}", self.quorum)
    }

    /// The votes of an attempt that acquired the lock.
    pub(super) fn granted(&self, votes: &[Option<Vote>]) -> String {
        let granted = votes.iter().flatten().filter(|vote| **vote == Vote::Granted).count();
        let others = self.each(votes, |vote| match vote {
            Some(Vote::Granted) => None,
            None => Some("no vote yet".into()),
            Some(Vote::Denied) => Some("busy".into()),
            Some(Vote::Unknown(why)) => Some(unknown(why)),
        });
        let others = if others.is_empty() { others } else { format!("; {others}") };
        format!("granted by {granted} of {} instances{others}", votes.len())
    }

    /// Time until enough servers have passed the restart guard for a quorum, if no other reason
    /// prevents one.
    pub(super) fn until_old_enough(&self, votes: &[Option<Vote>]) -> Option<Duration> {
        let votes_in = |vote: &Option<Vote>| match vote {
            Some(Vote::Granted) => Some(Duration::ZERO),
            Some(Vote::Unknown(
                NoVoteReason::Restarted { votes_in, .. } | NoVoteReason::Unproven { votes_in },
            )) => Some(*votes_in),
            Some(Vote::Denied | Vote::Unknown(_)) | None => None,
        };
        let mut times: Vec<Duration> = votes.iter().filter_map(votes_in).collect();
        times.sort_unstable();
        let left = *times.get(self.quorum.checked_sub(1)?)?;
        (!left.is_zero()).then_some(left)
    }

    /// The instances that did not extend, in words.
    pub(in super::super) fn extensions(&self, answers: &[Option<Extension>]) -> String {
        self.each(answers, |response| match response {
            Some(Extension::Kept | Extension::SetAgain) => None,
            Some(response) => Some(extension(response)),
            None => Some("timed out".into()),
        })
    }

    /// The instances that did not release, in words.
    pub(in super::super) fn releases(&self, answers: &[Option<Release>]) -> String {
        self.each(answers, |response| match response {
            Some(Release::Done(_) | Release::Nothing) => None,
            Some(Release::Unknown(why)) => Some(unknown(why)),
            Some(Release::Written) | None => Some("timed out".into()),
        })
    }

    fn each<T>(&self, answers: &[T], words: impl Fn(&T) -> Option<String>) -> String {
        let each = answers.iter().enumerate().filter_map(|(instance, response)| {
            words(response).map(|words| format!("{}: {}", self.instance(instance), safe(&words)))
        });
        each.collect::<Vec<_>>().join("; ")
    }
}

/// Advice about instances that refuse access.
pub(super) fn refused_access(votes: &[Option<Vote>]) -> Option<&'static str> {
    votes.iter().flatten().find_map(|vote| match vote {
        Vote::Unknown(why) => access(why),
        Vote::Granted | Vote::Denied => None,
    })
}

/// Advice about an instance that refuses access.
pub(super) fn access(why: &NoVoteReason) -> Option<&'static str> {
    let NoVoteReason::Refused(PermanentError::Access, text) = why else { return None };
    Some(match text.split(' ').next()? {
        "NOAUTH" => "give the password in REDLOCK_PASSWORD or with --password-file",
        "WRONGPASS" => "check the password, and the user in the URL or of --user",
        "NOPERM" => "give the user of redlock the rights in docs/servers.md",
        _ => return None,
    })
}
