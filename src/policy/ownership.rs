//! Whether a run holds a lock, by its status on the instances.

use crate::lock::{ClusterSize, LockValue, StatusResponse};

/// The responses to one poll of all instances.
#[derive(Debug)]
pub struct Ownership {
    size: ClusterSize,
    id: String,
    /// Whether the run is the holder on each instance. `None` without a response.
    responses: Vec<Option<bool>>,
}

impl Ownership {
    /// A poll about the run with the public id `id`, without responses.
    #[must_use]
    pub fn new(size: ClusterSize, id: String) -> Self {
        Self { size, id, responses: vec![None; size.count()] }
    }

    /// Takes the response of `instance`. The first response counts.
    pub fn heard(&mut self, instance: usize, response: &StatusResponse) {
        let is_holder = match response {
            StatusResponse::Seen(status) => status
                .holder
                .as_ref()
                .is_some_and(|holder| LockValue::held_by(&self.id, &holder.value).is_some()),
            StatusResponse::Unknown(_) => false,
        };
        if let Some(place) = self.responses.get_mut(instance) {
            place.get_or_insert(is_holder);
        }
    }

    /// Whether the run is the holder on a quorum. `None` while the missing responses can decide
    /// either way.
    #[must_use]
    pub fn verdict(&self) -> Option<bool> {
        let count = |which| self.responses.iter().filter(|response| **response == which).count();
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
    fn a_run_holds_a_lock_if_a_quorum_holds_its_id() {
        let free = || StatusResponse::Seen(LockStatus::default());
        let dead = || StatusResponse::Unknown(NoVoteReason::TimedOut);
        let ours = || held_by("ours");
        for (responses, verdict) in [
            (vec![], None),
            (vec![ours()], None),
            (vec![ours(), ours()], Some(true)),
            (vec![ours(), dead(), ours()], Some(true)),
            (vec![held_by("theirs"), ours()], None),
            (vec![free(), dead()], Some(false)),
            (vec![ours(), held_by("theirs"), free()], Some(false)),
        ] {
            let mut ownership = Ownership::new(ClusterSize::redlock(3).unwrap(), "ours".into());
            for (instance, response) in responses.iter().enumerate() {
                ownership.heard(instance, response);
            }
            assert_eq!(ownership.verdict(), verdict, "{responses:?}");
        }
    }
}
