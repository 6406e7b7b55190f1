//! Misbehaviours in the bytes: replies that are no RESP, cut, or sent at the wrong moment.

use super::peer::Act::{Beside, Deaf, Flood, Last, Mute, Reset, Say, Slowly};
use super::peer::{Act, Kind, Reply};
use super::resp::{bulk, message};
use super::table::Row;
use std::time::Duration;

const NONE: &[Kind] = &[];
const PIECE: usize = 60_000;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Sends `first` and then `again` without end, from the first reply on.
fn flood(first: &[u8], again: &[u8], pause: u64) -> Act {
    Flood(first.to_vec(), again.to_vec(), ms(pause))
}

/// Sends `bytes` in place of each reply.
fn say(reply: &Reply<'_>, bytes: impl AsRef<[u8]>) -> Act {
    Say(if is_unasked(reply) { vec![] } else { bytes.as_ref().to_vec() })
}

fn is_unasked(reply: &Reply<'_>) -> bool {
    matches!(reply.kind, Kind::Accept | Kind::Push)
}

/// Sends the greeting of another kind of server, and is then silent.
fn greet(reply: &Reply<'_>, bytes: &[u8]) -> Act {
    if reply.kind == Kind::Accept { Say(bytes.to_vec()) } else { Mute }
}

/// Bytes without a pattern, the same in each run.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..count).map(|_| next()).collect()
}

/// Ends of connections, and pace.
pub(super) const PACE: &[Row] = &[
    ("honest", NONE, |reply| Say(reply.said.to_vec())),
    ("closes at once", NONE, |_| Last(vec![])),
    ("resets at once", NONE, |_| Reset),
    ("closes at the first request", NONE, |reply| match reply.kind {
        Kind::Accept => Say(vec![]),
        _ => Last(vec![]),
    }),
    ("closes after one byte of each reply", NONE, |reply| match reply.said {
        [] => Say(vec![]),
        said => Last(said[..1].to_vec()),
    }),
    ("closes after half a reply", NONE, |reply| match reply.said {
        [] => Say(vec![]),
        said => Last(said[..said.len() / 2].to_vec()),
    }),
    ("closes after each reply", NONE, |reply| match reply.said {
        [] => Say(vec![]),
        said => Last(said.to_vec()),
    }),
    ("closes after five replies", NONE, |reply| match reply.nth {
        5 => Last(reply.said.to_vec()),
        _ => Say(reply.said.to_vec()),
    }),
    ("closes after each report of itself", NONE, |reply| match reply.kind {
        Kind::Report => Last(reply.said.to_vec()),
        _ => Say(reply.said.to_vec()),
    }),
    ("resets after a grant", NONE, |reply| match reply.kind {
        Kind::Acquire => Reset,
        _ => Say(reply.said.to_vec()),
    }),
    ("accepts and never reads", NONE, |_| Deaf),
    ("reads and never answers", NONE, |_| Mute),
    ("never answers an acquisition", NONE, |reply| match reply.kind {
        Kind::Acquire => Mute,
        _ => Say(reply.said.to_vec()),
    }),
    ("answers one byte a second", NONE, |reply| Slowly(reply.said.to_vec(), ms(1000))),
    ("answers one byte each 10 ms", NONE, |reply| Slowly(reply.said.to_vec(), ms(10))),
    ("answers 300 ms late", NONE, |reply| {
        crate::support::clock::let_pass(ms(300));
        Say(reply.said.to_vec())
    }),
];

/// Other protocols.
pub(super) const PROTOCOLS: &[Row] = &[
    ("speaks HTTP", NONE, |_| flood(b"HTTP/1.1 400 Bad Request\r\n\r\n", b"<html>", 0)),
    ("greets as SMTP", NONE, |reply| greet(reply, b"220 mail ESMTP\r\n")),
    ("greets as SSH", NONE, |reply| greet(reply, b"SSH-2.0-OpenSSH_9.2p1\r\n")),
    ("greets as MySQL", NONE, |reply| greet(reply, b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0")),
    ("answers with a TLS alert", NONE, |reply| say(reply, b"\x15\x03\x03\0\x02\x02\x28")),
    ("sends TLS garbage", NONE, |_| Flood(b"\x16\x03\x03\xff\xff".to_vec(), noise(999), ms(1))),
    ("answers as memcached", NONE, |reply| say(reply, b"ERROR\r\n")),
    ("sends noise", NONE, |_| Flood(vec![], noise(PIECE), ms(0))),
    ("sends zeros", NONE, |_| flood(b"", &[0; PIECE], 0)),
    ("sends line ends", NONE, |_| flood(b"", &b"\r\n".repeat(PIECE), 0)),
    ("ends lines without a return", NONE, |reply| say(reply, b"+OK\n")),
    ("says invalid UTF-8", NONE, |reply| say(reply, b"+\xff\xfe\xc0\x80\r\n")),
];

/// Floods and absurd lengths.
pub(super) const LENGTHS: &[Row] = &[
    ("pushes without end", NONE, |_| {
        flood(b"", &message(b"c", b"redlock:harm").repeat(PIECE / 46), 0)
    }),
    ("replies without end", NONE, |_| flood(b"", &b"+OK\r\n".repeat(PIECE / 5), 0)),
    ("an array of a million parts", NONE, |_| flood(b"*1000000\r\n", &b"_\r\n".repeat(9), 0)),
    ("arrays of 4096 parts without end", NONE, |_| {
        flood(b"", &[b"*4095\r\n".to_vec(), b"_\r\n".repeat(4095)].concat(), 0)
    }),
    ("arrays in arrays", NONE, |_| flood(b"", &b"*1\r\n".repeat(9), 0)),
    ("maps in maps", NONE, |_| flood(b"", &b"%1\r\n+k\r\n".repeat(9), 0)),
    ("a block of exabytes", NONE, |_| flood(b"$9223372036854775807\r\n", b"x", 0)),
    ("a block beyond u64", NONE, |_| flood(b"$99999999999999999999999\r\n", b"x", 0)),
    ("a block of less than nothing", NONE, |reply| say(reply, b"$-7\r\n")),
    ("an array of less than nothing", NONE, |reply| say(reply, b"*-9223372036854775808\r\n")),
    ("a block longer than it says", NONE, |reply| say(reply, b"$2\r\nlonger\r\n")),
    ("a block that never ends", NONE, |_| flood(b"$60000\r\n", b"x", 10)),
    ("blocks of 64 kB without end", NONE, |_| Flood(vec![], bulk(vec![b'x'; 1 << 16]), ms(0))),
    ("a line that never ends", NONE, |_| flood(b"+", &[b'x'; 4096], 0)),
    ("a line that never ends, slowly", NONE, |_| flood(b"+", b"x", 1)),
    ("a number of a thousand digits", NONE, |reply| {
        say(reply, [b":".as_slice(), &b"9".repeat(1000), b"\r\n"].concat())
    }),
    ("a big number", NONE, |reply| say(reply, b"(3492890328409238509324850943850943825024385\r\n")),
    ("NaN", NONE, |reply| say(reply, b",nan\r\n")),
    ("an empty map and an empty push", NONE, |_| flood(b"%0\r\n>0\r\n", b"*0\r\n", 1)),
    ("a streamed block", NONE, |reply| say(reply, b"$?\r\n;4\r\nHell\r\n;0\r\n")),
    ("an error as a block", NONE, |reply| say(reply, b"!9\r\nSYNTAX in\r\n")),
    ("errors of a megabyte", NONE, |_| {
        Flood(vec![], [b"-ERR ".as_slice(), &[0x1b; 1 << 20], b"\r\n"].concat(), ms(0))
    }),
    ("errors of 60 kB", NONE, |reply| {
        say(reply, [b"-ERR ".as_slice(), &[b'x'; PIECE], b"\r\n"].concat())
    }),
];

/// Replies and messages at the wrong moment.
pub(super) const ORDER: &[Row] = &[
    ("attributes before each reply", NONE, |reply| {
        say(reply, [b"|1\r\n+ttl\r\n:3600\r\n".as_slice(), reply.said].concat())
    }),
    ("a reply before each request", NONE, |reply| match reply.kind {
        Kind::Accept => Say(b"+OK\r\n".to_vec()),
        _ => Say(reply.said.to_vec()),
    }),
    ("each reply twice", NONE, |reply| Say(reply.said.repeat(2))),
    ("a reply too many once in a while", NONE, |reply| match reply.nth % 7 {
        6 => Say([reply.said, b"+OK\r\n"].concat()),
        _ => Say(reply.said.to_vec()),
    }),
    ("each reply one late", NONE, |reply| {
        let now = std::mem::replace(reply.kept, reply.said.to_vec());
        Say(now)
    }),
    ("replies in pairs the wrong way round", NONE, |reply| {
        if reply.kept.is_empty() {
            *reply.kept = reply.said.to_vec();
            return Say(vec![]);
        }
        Say([reply.said.to_vec(), std::mem::take(reply.kept)].concat())
    }),
    ("a third of the replies is left out", NONE, |reply| {
        say(reply, if reply.nth % 3 == 2 { b"" } else { reply.said })
    }),
    ("a message before each reply", NONE, |reply| {
        Say([message(b"c", b"redlock:harm"), reply.said.to_vec()].concat())
    }),
    ("invalidations without end", NONE, |reply| {
        let push = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nkey\r\n".to_vec();
        if reply.nth == 3 {
            Beside(reply.said.to_vec(), push, ms(1))
        } else {
            Say(reply.said.to_vec())
        }
    }),
    ("wake-ups without end", NONE, |reply| match reply.kind {
        Kind::Subscribe => {
            *reply.kept = reply.request[1].clone().into_bytes();
            Say(reply.said.to_vec())
        }
        Kind::Status if !reply.kept.is_empty() => {
            let wake = message(&std::mem::take(reply.kept), reply.request[3].as_bytes());
            Beside(reply.said.to_vec(), wake, ms(5))
        }
        _ => Say(reply.said.to_vec()),
    }),
    ("wake-ups without a subscription", NONE, |reply| match reply.kind {
        Kind::Acquire | Kind::Extend if reply.kept.is_empty() => {
            reply.kept.push(1);
            let key = if reply.request[0] == "SET" { 1 } else { 3 };
            let wake = message(b"redlock-wake:x", reply.request[key].as_bytes());
            Beside(reply.said.to_vec(), wake, ms(5))
        }
        _ => Say(reply.said.to_vec()),
    }),
    ("no wake-up", NONE, |reply| match reply.kind {
        Kind::Push => Say(vec![]),
        _ => Say(reply.said.to_vec()),
    }),
];
