//! The counters of one instance, and the rule of its two steps.
//!
//! The steps are those of the scripts `PROPOSE` and `RAISE`, which a test compares with these. The
//! simulator and the model run them as they are.

use super::{FenceToken, FenceVote, LackingCounter, Proposal};
use std::fmt::Display;

/// The value of a counter `redlock-fence:KEY`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct FenceCounter<Id = String> {
    /// The token.
    pub token: FenceToken,
    /// Nonce of the attempt that raised the counter to the token.
    pub nonce: Id,
    /// `run_id` of the server at that time. `None` if no client asked.
    pub run_id: Option<Id>,
}

impl FenceCounter {
    /// Parses a stored text. `None` if another program wrote the text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (token, rest) = text.split_once(' ')?;
        let (nonce, run_id) = rest.split_once(' ')?;
        let is_word =
            |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_number = token.bytes().all(|byte| byte.is_ascii_digit());
        let token = FenceToken::new(token.parse().ok().filter(|_| is_number)?)?;
        let run_id =
            if run_id == "-" { None } else { Some(run_id).filter(|id| is_word(id)).map(Some)? };
        Some(Self {
            token,
            nonce: Some(nonce).filter(|nonce| is_word(nonce))?.to_owned(),
            run_id: run_id.map(str::to_owned),
        })
    }
}

impl<Id: Display> FenceCounter<Id> {
    /// The text to store.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { token, nonce, run_id } = self;
        let run_id = run_id.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        format!("{token} {nonce} {run_id}")
    }
}

/// The keys of one lock on one instance, and their counters.
#[derive(Debug)]
pub struct FenceRegister<'a, Id> {
    /// Nonce of the holder of each key.
    pub keys: &'a mut [Option<Id>],
    /// The counter of each key.
    pub counters: &'a mut [Option<FenceCounter<Id>>],
    /// `run_id` of the server. `None` without a restart guard: a counter of any start of the server
    /// is believed then.
    pub run_id: Option<Id>,
}

impl<Id: Clone + Eq> FenceRegister<'_, Id> {
    /// Acquires the keys, if all are free and the proposal is larger than every counter. Raises the
    /// counters too, except for those that are lacking.
    pub fn propose(&mut self, proposal: &Proposal<Id>) -> FenceVote {
        if self.keys.iter().any(Option::is_some) {
            return FenceVote::NotOurs;
        }
        if let Some(token) = self.not_below(proposal) {
            return FenceVote::Stale(token);
        }
        let lacking = self.lacking();
        self.keys.fill(Some(proposal.nonce.clone()));
        for key in 0..self.counters.len() {
            if lacking.iter().all(|one| one.key != key) {
                self.write(key, proposal);
            }
        }
        if lacking.is_empty() { FenceVote::Raised } else { FenceVote::Lacking(lacking) }
    }

    /// Writes these counters, which are lacking, if the keys are those of the proposal.
    pub fn raise(&mut self, proposal: &Proposal<Id>, counters: &[usize]) -> FenceVote {
        if self.keys.iter().any(|key| key.as_ref() != Some(&proposal.nonce)) {
            return FenceVote::NotOurs;
        }
        if let Some(token) = self.not_below(proposal) {
            return FenceVote::Stale(token);
        }
        for key in counters {
            self.write(*key, proposal);
        }
        FenceVote::Raised
    }

    /// The largest counter that is not below the proposal, whatever start of the server it is of. A
    /// counter that the same attempt raised is below.
    fn not_below(&self, proposal: &Proposal<Id>) -> Option<FenceToken> {
        let is_ours = |counter: &&FenceCounter<Id>| {
            counter.token == proposal.token && counter.nonce == proposal.nonce
        };
        let others = self.counters.iter().flatten().filter(|counter| !is_ours(counter));
        others.map(|counter| counter.token).filter(|token| *token >= proposal.token).max()
    }

    fn lacking(&self) -> Vec<LackingCounter> {
        let is_believed =
            |counter: &FenceCounter<Id>| self.run_id.is_none() || counter.run_id == self.run_id;
        let counters = self.counters.iter().enumerate();
        let lacking = counters.filter(|(_, counter)| !counter.as_ref().is_some_and(is_believed));
        lacking
            .map(|(key, counter)| LackingCounter {
                key,
                earlier: counter.as_ref().map(|counter| counter.token),
            })
            .collect()
    }

    fn write(&mut self, key: usize, proposal: &Proposal<Id>) {
        if let Some(counter) = self.counters.get_mut(key) {
            *counter = Some(FenceCounter {
                token: proposal.token,
                nonce: proposal.nonce.clone(),
                run_id: self.run_id.clone(),
            });
        }
    }
}
