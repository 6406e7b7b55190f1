//! The common part of the faults of connections: the servers, and the length.

use super::Active;
use crate::dice::Dice;
use crate::support::proxy::{Fate, Way};
use crate::world::{World, servers, shown};
use std::time::Duration;

/// A majority may be disturbed only for less than the shortest TTL.
const A_MOMENT: (u64, u64) = (30, 400);
/// A minority may be disturbed for longer than any TTL.
pub(super) const LONG: u64 = 3500;

/// The fate of the bytes in each direction, on open and on new connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fates {
    pub(super) requests: Fate,
    pub(super) replies: Fate,
}

/// Disturbs the connections of a minority of the servers, or of more of them for a moment.
pub(super) fn disturb(
    world: &mut World,
    dice: &mut Dice,
    label: &str,
    fates: Fates,
) -> Option<Active> {
    let for_long = dice.chance(60);
    let (chosen, length) = if for_long {
        let (able, at_most) = world.promise.may_be_cut_off();
        (dice.several(able, at_most), super::length(dice, LONG))
    } else {
        let at_most = usize::try_from(dice.between(1, 5)).expect("a small number");
        (
            dice.several(world.promise.may_be_disturbed(), at_most),
            dice.millis(A_MOMENT.0, A_MOMENT.1),
        )
    };
    (!chosen.is_empty()).then(|| start(world, label, fates, chosen, length, for_long))
}

/// Disturbs the connections of these servers.
pub(super) fn start(
    world: &mut World,
    label: &str,
    fates: Fates,
    chosen: Vec<usize>,
    length: Duration,
    for_long: bool,
) -> Active {
    for &i in &chosen {
        world.promise.is_disturbed(i, for_long);
        set(world, i, fates);
    }
    let what = format!("{label} before {} for {}", servers(&chosen), shown(length));
    Active::new(what, length, move |world| {
        for i in chosen {
            set(world, i, Fates { requests: Fate::Pass, replies: Fate::Pass });
            world.proxies[i].reset_lost();
            world.promise.is_connected(i);
        }
    })
}

fn set(world: &World, i: usize, fates: Fates) {
    world.proxies[i].set(Way::Requests, fates.requests);
    world.proxies[i].set(Way::Replies, fates.replies);
}
