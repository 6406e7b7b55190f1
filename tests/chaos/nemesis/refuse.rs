//! The connections to some servers break, and new ones are refused. At the end, any run may set its
//! key on these servers before the holder sets its own. Often another server forgets at this
//! moment, and then only its guard keeps a second run out.

use super::{Active, flush, links, victims};
use crate::dice::Dice;
use crate::world::{World, servers, shown};
use std::time::Duration;

/// Longest extension of the fault.
const FOR_A_QUORUM: Duration = Duration::from_secs(3);

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let (able, at_most) = world.promise.may_be_cut_off();
    let chosen = dice.several(able, at_most);
    if chosen.is_empty() {
        return None;
    }
    for &i in &chosen {
        world.promise.is_disturbed(i, true);
        world.shut(i);
    }
    let length = super::length(dice, links::LONG);
    let mut dice = dice.split();
    let what = format!("{} for {} and until a bare quorum holds", servers(&chosen), shown(length));
    let fault = Active::new(what, length, move |world| {
        for i in chosen {
            world.open(i);
            world.promise.is_connected(i);
        }
        if dice.chance(70)
            && let Some(flushed) = flush::start(world, &mut dice)
        {
            world.journal.note(format!("nemesis: flush: {}", flushed.what));
        }
    });
    Some(fault.until(victims::is_bare, FOR_A_QUORUM))
}
