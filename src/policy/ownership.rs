//! Whether a run holds a lock, by what the instances show of it.

use crate::lock::{ClusterSize, LockValue, StatusResponse};

/// The answers to one look at all instances.
#[derive(Debug)]
pub struct Ownership {
    size: ClusterSize,
    id: String,
    /// Whether each instance that has answered shows the run as the holder.
    answers: Vec<Option<bool>>,
}

impl Ownership {
    /// No answer yet about the run with this public name.
    #[must_use]
    pub fn new(size: ClusterSize, id: String) -> Self {
        Self { size, id, answers: vec![None; size.count()] }
    }

    /// `instance` answered, or is known to be out of reach. Its first answer counts.
    pub fn heard(&mut self, instance: usize, response: &StatusResponse) {
        let is_holder = match response {
            StatusResponse::Seen(status) => status
                .holder
                .as_ref()
                .and_then(|holder| LockValue::parse(&holder.value))
                .is_some_and(|value| value.id == self.id),
            StatusResponse::Unknown(_) => false,
        };
        if let Some(place) = self.answers.get_mut(instance) {
            place.get_or_insert(is_holder);
        }
    }

    /// Whether a quorum shows the run as the holder; `None` while answers can decide either way.
    #[must_use]
    pub fn verdict(&self) -> Option<bool> {
        let count = |which| self.answers.iter().filter(|answer| **answer == which).count();
        let (holding, open) = (count(Some(true)), count(None));
        if holding >= self.size.quorum() {
            Some(true)
        } else {
            (holding + open < self.size.quorum()).then_some(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::{LockStatus, NoVoteReason, ObservedHolder};

    fn held_by(id: &str) -> StatusResponse {
        let value = format!(
            "{{\"v\":1,\"id\":\"{id}\",\"token\":\"\",\"owner\":\"\",\"pid\":1,\"cmd\":\"\",\"since\":0,\"ttl_ms\":1,\"n\":3}}"
        );
        let holder = Some(ObservedHolder { value, left: None });
        StatusResponse::Seen(LockStatus { free: vec![], holder, place: None })
    }

    #[test]
    fn a_run_holds_a_lock_when_a_quorum_shows_its_id() {
        let free = || StatusResponse::Seen(LockStatus::default());
        let dead = || StatusResponse::Unknown(NoVoteReason::TimedOut);
        let ours = || held_by("ours");
        for (answers, verdict) in [
            (vec![], None),
            (vec![ours()], None),
            (vec![ours(), ours()], Some(true)),
            (vec![ours(), dead(), ours()], Some(true)),
            (vec![held_by("theirs"), ours()], None),
            (vec![free(), dead()], Some(false)),
            (vec![ours(), held_by("theirs"), free()], Some(false)),
        ] {
            let mut ownership = Ownership::new(ClusterSize::redlock(3).unwrap(), "ours".into());
            for (instance, answer) in answers.iter().enumerate() {
                ownership.heard(instance, answer);
            }
            assert_eq!(ownership.verdict(), verdict, "{answers:?}");
        }
    }
}
