//! The table of misbehaviours.

use super::peer::{Deed, Kind};
use super::{bytes, values};

/// The name of a misbehaviour, the requests that do not reach the server, and the replacement of
/// each reply.
pub(super) type Row = (&'static str, &'static [Kind], Deed);

/// All misbehaviours. The first row is an honest server.
pub(super) fn rows() -> Vec<Row> {
    let all = [
        bytes::PACE,
        bytes::PROTOCOLS,
        bytes::LENGTHS,
        bytes::ORDER,
        values::ALWAYS,
        values::IDENTITY,
        values::VOTES,
        values::HOLDERS,
    ];
    all.concat()
}

/// Rows that `make test` tries: at least one for each mechanism of redlock.
pub(super) const FAST: [&str; 12] = [
    "honest",
    "accepts and never reads",
    "answers one byte each 10 ms",
    "pushes without end",
    "arrays of 4096 parts without end",
    "a third of the replies is left out",
    "wake-ups without end",
    "nil for everything",
    "a copied run_id",
    "each extension is of a foreign key",
    "held by a holder of the end of time",
    "free for ever",
];

/// Rows with which one of three servers may deny: it shows the value of a host with other servers,
/// and is the same as such a host to redlock.
pub(super) const DENIES_ALONE: [&str; 2] =
    ["held by a host with other servers", "held by a holder with a thousand slots"];
