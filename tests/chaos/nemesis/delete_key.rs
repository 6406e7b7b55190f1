//! Another client deletes the key on one server.
//!
//! No guard can notice that. So a key is deleted only if a quorum of other servers has the key for
//! at least as long, and the deadline of the holder is still true.

use super::Active;
use crate::dice::Dice;
use crate::promise::QUORUM;
use crate::world::World;

/// Deletes the key if it has this value, and was not extended since the poll.
const DELETE: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PTTL', KEYS[1]) <= tonumber(ARGV[2]) \
then return redis.call('DEL', KEYS[1]) end return 0";

pub(super) fn start(world: &mut World, _: &mut Dice) -> Option<Active> {
    let key = World::key();
    let (value, places) = world.held().into_iter().find(|(_, places)| places.len() > QUORUM)?;
    let (left, i) = places.into_iter().min()?;
    if left <= 0 || !world.promise.may_forget(i) {
        return None;
    }
    world.promise.forgets(i);
    let deleted: i64 =
        world.cluster.ask(i, &["EVAL", DELETE, "1", &key, &value, &left.to_string()]);
    world.intrude();
    (deleted == 1)
        .then(|| Active::momentary(format!("on server {i}, with {left} ms left, of {value}")))
}
