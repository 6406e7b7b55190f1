//! Fuzz test of the messages between redlock and the guardian.
#![cfg(test)]

use super::protocol::{GuardianCommand, GuardianEvent, Inbox, Readiness};
use crate::fuzz::fuzz;

#[test]
fn no_message_between_redlock_and_the_guardian_does_harm() {
    let seeds: [&[u8]; 7] = [
        br#"{"Start":{"id":1,"program":{"words":["a"],"changes":[]},"stop_at":1,"kill_at":2}}"#,
        b"{\"SetKillDeadline\":18446744073709551615}\n",
        b"{\"Signal\":{\"number\":-2147483648,\"wake\":true}}\n\"Kill\"\n",
        b"{\"SetHook\":null}\n\"Dismiss\"\n",
        b"{\"program\":1,\"pid\":-1,\"what\":\"Started\"}\n",
        b"{\"Err\":{\"Call\":38}}\n{\"Ok\":{\"pidfds\":true}}\n",
        b"[[[[[[[[",
    ];
    fuzz("guardian messages", &seeds, |bytes, dice| {
        let mut inbox = Inbox::default();
        for piece in bytes.chunks(1 + dice.below(bytes.len() + 1)) {
            inbox.fill(piece);
            match dice.below(3) {
                0 => while inbox.next::<GuardianCommand>().is_some() {},
                1 => while inbox.next::<GuardianEvent>().is_some() {},
                _ => while inbox.next::<Readiness>().is_some() {},
            }
        }
    });
}
