//! The connection of one client to one instance: first in, first out in both directions, and breakable.

use redlock_cli::lock::Ask;

/// What a client's worker knows of its one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    /// Which connection it is; what was sent on an older one is gone.
    pub(crate) epoch: u64,
    pub(crate) is_up: bool,
    /// Whether the server has said who it is.
    pub(crate) is_known: bool,
    /// When the last request arrives there, and the last reply here.
    pub(crate) last_there: u64,
    pub(crate) last_here: u64,
    /// Requests without an answer.
    pub(crate) pending: Vec<Ask>,
    /// Whether our key may be there, and under which value.
    pub(crate) planted: Option<String>,
}

impl Link {
    /// Breaks the connection; what was pending will not be answered.
    pub(crate) fn cut(&mut self) -> Vec<Ask> {
        self.is_up = false;
        std::mem::take(&mut self.pending)
    }

    /// Connects anew if need be; whether it did.
    pub(crate) fn connect(&mut self) -> bool {
        if self.is_up {
            return false;
        }
        self.epoch += 1;
        (self.is_up, self.is_known) = (true, false);
        true
    }

    /// The moment at which something arrives that needs `delay`, behind whatever is on its way already.
    pub(crate) fn arrives(last: &mut u64, now: u64, delay: u64) -> u64 {
        *last = (*last + 1).max(now + delay);
        *last
    }
}
