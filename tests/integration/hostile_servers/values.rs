//! Misbehaviours in the values: well-formed replies that are false, absurd, or those of another
//! kind of server.

use super::peer::Act::{Beside, Last, Say};
use super::peer::{Act, Kind, Reply};
use super::resp::{array, bulk, int, message, parts, text};
use super::table::Row;
use std::time::Duration;

const NONE: &[Kind] = &[];

/// Sends `bytes` in place of each reply.
fn always(reply: &Reply<'_>, bytes: &[u8]) -> Act {
    Say(if matches!(reply.kind, Kind::Accept | Kind::Push) { vec![] } else { bytes.to_vec() })
}

/// Sends other bytes in place of the replies of one kind.
fn instead(reply: &Reply<'_>, kind: Kind, bytes: impl FnOnce() -> Vec<u8>) -> Act {
    Say(if reply.kind == kind { bytes() } else { reply.said.to_vec() })
}

/// Changes one part of the server's report: 0 is INFO, 1 the mark, 2 and 3 the time.
fn report(reply: &Reply<'_>, part: usize, change: impl FnOnce(&str) -> Vec<u8>) -> Act {
    instead(reply, Kind::Report, || {
        let mut all = parts(reply.said);
        if let Some(part) = all.get_mut(part).filter(|part| part.starts_with(b"$")) {
            *part = change(&text(part));
        }
        array(&all)
    })
}

/// INFO with another value for one field.
fn field(reply: &Reply<'_>, name: &str, value: &str) -> Act {
    report(reply, 0, |info| {
        let change = |line: &str| {
            if line.starts_with(name) { format!("{value}\r\n") } else { format!("{line}\r\n") }
        };
        bulk(info.lines().map(change).collect::<String>())
    })
}

/// Shows each lock as held, by this value and for `left` ms. `{n}` in the value becomes the number
/// of servers that the client names.
fn held(reply: &mut Reply<'_>, value: &[u8], left: i64) -> Act {
    if reply.kind == Kind::Acquire {
        let own = reply.request.iter().find_map(|word| word.split_once("\"n\":")?.1.get(..1));
        *reply.kept = own.unwrap_or_default().as_bytes().to_vec();
    }
    let own = String::from_utf8_lossy(reply.kept).into_owned();
    let value = match std::str::from_utf8(value) {
        Ok(text) => text.replace("{n}", &own).into_bytes(),
        Err(_) => value.to_vec(),
    };
    match reply.kind {
        Kind::Acquire => Say(b"_\r\n".to_vec()),
        Kind::Status => Say(array(&[int(0), bulk(value), int(left)])),
        Kind::Release => Say(array(&[bulk(value), int(left)])),
        _ => Say(reply.said.to_vec()),
    }
}

/// The value of a holder, with these additional fields.
fn holder(fields: &str) -> Vec<u8> {
    let begin = r#"{"v":1,"id":"4fa2","token":"00","owner":"x@y","pid":1,"cmd":"c","#;
    format!("{begin}{fields}}}").into_bytes()
}

/// One error or reply to every request.
pub(super) const ALWAYS: &[Row] = &[
    ("OK for everything", NONE, |reply| always(reply, b"+OK\r\n")),
    ("QUEUED for everything", NONE, |reply| always(reply, b"+QUEUED\r\n")),
    ("nil for everything", NONE, |reply| always(reply, b"_\r\n")),
    ("1 for everything", NONE, |reply| always(reply, b":1\r\n")),
    ("an empty array for everything", NONE, |reply| always(reply, b"*0\r\n")),
    ("an empty block for everything", NONE, |reply| always(reply, b"$0\r\n\r\n")),
    ("true for everything", NONE, |reply| always(reply, b"#t\r\n")),
    ("ERR for ever", NONE, |reply| always(reply, b"-ERR no\r\n")),
    ("an error without a word", NONE, |reply| always(reply, b"-\r\n")),
    ("LOADING for ever", NONE, |reply| always(reply, b"-LOADING Redis is loading\r\n")),
    ("BUSY for ever", NONE, |reply| always(reply, b"-BUSY Redis is busy\r\n")),
    ("MASTERDOWN for ever", NONE, |reply| always(reply, b"-MASTERDOWN Link is down\r\n")),
    ("READONLY for ever", NONE, |reply| always(reply, b"-READONLY a replica\r\n")),
    ("MOVED to another server", NONE, |reply| always(reply, b"-MOVED 3999 127.0.0.1:1\r\n")),
    ("ASK another server", NONE, |reply| always(reply, b"-ASK 3999 10.0.0.1:6381\r\n")),
    ("MOVED to nowhere", NONE, |reply| always(reply, b"-MOVED x\r\n")),
    ("CLUSTERDOWN for ever", NONE, |reply| always(reply, b"-CLUSTERDOWN down\r\n")),
    ("TRYAGAIN for ever", NONE, |reply| always(reply, b"-TRYAGAIN later\r\n")),
    ("NOAUTH for ever", NONE, |reply| always(reply, b"-NOAUTH Authentication required.\r\n")),
    ("WRONGPASS for ever", NONE, |reply| always(reply, b"-WRONGPASS invalid\r\n")),
    ("NOPERM for ever", NONE, |reply| always(reply, b"-NOPERM no right\r\n")),
    ("OOM for ever", NONE, |reply| always(reply, b"-OOM command not allowed\r\n")),
    ("MISCONF for ever", NONE, |reply| always(reply, b"-MISCONF cannot save\r\n")),
    ("full for ever", NONE, |_| Last(b"-ERR max number of clients reached\r\n".to_vec())),
    ("errors with control characters", NONE, |reply| {
        always(reply, "-ERR \u{1b}[31m\u{7}\u{202e}\u{61c}\u{200b}\u{feff}\u{85}\r\n".as_bytes())
    }),
    ("unknown command for each script", NONE, |reply| match reply.request.first() {
        Some(word) if word == "EVAL" => Say(b"-ERR unknown command 'EVAL'\r\n".to_vec()),
        _ => Say(reply.said.to_vec()),
    }),
];

/// The greeting, and the server's report about itself.
pub(super) const IDENTITY: &[Row] = &[
    ("HELLO refused", NONE, |reply| {
        instead(reply, Kind::Hello, || b"-ERR unknown command 'HELLO'\r\n".to_vec())
    }),
    ("HELLO unknown protocol", NONE, |reply| {
        instead(reply, Kind::Hello, || b"-NOPROTO unsupported\r\n".to_vec())
    }),
    ("HELLO of a number", NONE, |reply| instead(reply, Kind::Hello, || int(i64::MIN))),
    ("HELLO of a sentinel", NONE, |reply| {
        instead(reply, Kind::Hello, || b"%2\r\n+mode\r\n+sentinel\r\n+role\r\n+master\r\n".to_vec())
    }),
    ("HELLO of a replica", NONE, |reply| {
        instead(reply, Kind::Hello, || b"%1\r\n$4\r\nrole\r\n$7\r\nreplica\r\n".to_vec())
    }),
    ("AUTH refused", NONE, |reply| instead(reply, Kind::Auth, || b"-WRONGPASS no\r\n".to_vec())),
    ("SELECT refused", NONE, |reply| {
        instead(reply, Kind::Select, || b"-ERR DB index is out of range\r\n".to_vec())
    }),
    ("INFO refused", NONE, |reply| match reply.kind {
        Kind::Info | Kind::Report => Say(b"-NOPERM no right to 'info'\r\n".to_vec()),
        _ => Say(reply.said.to_vec()),
    }),
    ("INFO empty", NONE, |reply| report(reply, 0, |_| bulk(""))),
    ("INFO of 60 kB", NONE, |reply| report(reply, 0, |_| bulk("run_id".repeat(10_000)))),
    ("INFO without run_id", NONE, |reply| field(reply, "run_id", "none:1")),
    ("INFO with two run_ids", NONE, |reply| field(reply, "run_id", "run_id:aa\r\nrun_id:bb")),
    ("INFO with an empty run_id", NONE, |reply| field(reply, "run_id", "run_id:")),
    ("a copied run_id", NONE, |reply| field(reply, "run_id", "run_id:copied")),
    ("a run_id of control characters", NONE, |reply| {
        field(reply, "run_id", "run_id:\u{1b}[2J\u{202e}")
    }),
    ("a run_id for each question", NONE, |reply| {
        reply.kept.push(0);
        field(reply, "run_id", &format!("run_id:{:p}{}", reply.said, reply.kept.len()))
    }),
    ("an uptime of zero", NONE, |reply| field(reply, "uptime_in_seconds", "uptime_in_seconds:0")),
    ("an uptime beyond u64", NONE, |reply| {
        field(reply, "uptime_in_seconds", "uptime_in_seconds:99999999999999999999999")
    }),
    ("the largest uptime", NONE, |reply| {
        field(reply, "uptime_in_seconds", "uptime_in_seconds:9223372036854775807")
    }),
    ("an uptime of NaN", NONE, |reply| field(reply, "uptime_in_seconds", "uptime_in_seconds:NaN")),
    ("a cluster node", NONE, |reply| field(reply, "redis_mode", "redis_mode:cluster")),
    ("no mode", NONE, |reply| field(reply, "redis_mode", "redis_mode_:")),
    ("TIME beyond u64", NONE, |reply| report(reply, 2, |_| bulk("99999999999999999999999"))),
    ("TIME at the end of u64", NONE, |reply| report(reply, 2, |_| bulk(u64::MAX.to_string()))),
    ("TIME before 1970", NONE, |reply| report(reply, 2, |_| bulk("-9223372036854775808"))),
    ("TIME of a thousand digits", NONE, |reply| report(reply, 3, |_| bulk("9".repeat(1000)))),
    ("TIME of NaN in extensions", NONE, |reply| {
        instead(reply, Kind::Extend, || array(&[int(1), bulk("NaN"), bulk("-1")]))
    }),
    ("TIME at the end of u64 in extensions", NONE, |reply| {
        let most = bulk(u64::MAX.to_string());
        instead(reply, Kind::Extend, || array(&[int(1), most.clone(), most]))
    }),
    ("a mark from the future", NONE, |reply| {
        report(reply, 1, |mark| {
            let run_id = mark.split(' ').next().unwrap_or_default();
            bulk(format!("{run_id} {0} {0}", u64::MAX))
        })
    }),
    ("a mark of 1970", NONE, |reply| {
        report(reply, 1, |mark| bulk(format!("{} 1 1", mark.split(' ').next().unwrap_or_default())))
    }),
    ("a mark of another server", NONE, |reply| report(reply, 1, |_| bulk("0123abcd 1 1"))),
    ("a mark of noise", NONE, |reply| report(reply, 1, |_| bulk(b"\xff\0 \x1b[ -1 NaN"))),
    ("a mark of 60 kB", NONE, |reply| report(reply, 1, |_| bulk("1 ".repeat(30_000)))),
    ("eviction, replicas and a promotion", NONE, |reply| {
        instead(reply, Kind::Info, || {
            bulk(
                "maxmemory_policy:allkeys-lru\r\nmaxmemory:1\r\nrole:master\r\nconnected_slaves:-1\r\n\
                 second_repl_offset:99999999999999999999\r\nmaster_replid2:\u{1b}\r\n",
            )
        })
    }),
];

/// Votes, extensions and releases.
pub(super) const VOTES: &[Row] = &[
    ("OK without keeping", &[Kind::Acquire], |reply| {
        instead(reply, Kind::Acquire, || b"+OK\r\n".to_vec())
    }),
    ("never keeps, and says that it does", &[Kind::Acquire, Kind::Extend], |reply| {
        match reply.kind {
            Kind::Acquire => Say(b"+OK\r\n".to_vec()),
            Kind::Extend => Say(array(&[int(1)])),
            _ => Say(reply.said.to_vec()),
        }
    }),
    ("keeps, and denies", NONE, |reply| instead(reply, Kind::Acquire, || b"_\r\n".to_vec())),
    ("each extension is of a foreign key", NONE, |reply| {
        instead(reply, Kind::Extend, || array(&[int(4)]))
    }),
    ("each extension misses the key", NONE, |reply| {
        instead(reply, Kind::Extend, || array(&[int(3)]))
    }),
    ("each extension sets the key again", NONE, |reply| {
        instead(reply, Kind::Extend, || array(&[int(2)]))
    }),
    ("extensions of absurd numbers", NONE, |reply| {
        instead(reply, Kind::Extend, || array(&[int(i64::MIN), int(i64::MAX), int(-1)]))
    }),
    ("extensions are not executed", &[Kind::Extend], |reply| {
        instead(reply, Kind::Extend, || array(&[int(1)]))
    }),
    ("releases are not executed", &[Kind::Release], |reply| {
        instead(reply, Kind::Release, || int(0))
    }),
    ("releases fail", &[Kind::Release], |reply| {
        instead(reply, Kind::Release, || b"-ERR no\r\n".to_vec())
    }),
    ("each release finds another holder", NONE, |reply| {
        instead(reply, Kind::Release, || array(&[bulk(vec![b'v'; 60_000]), int(i64::MAX)]))
    }),
    ("releases of absurd numbers", NONE, |reply| instead(reply, Kind::Release, || int(i64::MIN))),
    ("releases of noise", NONE, |reply| {
        instead(reply, Kind::Release, || array(&[bulk(b"\xff\xfe"), int(-9)]))
    }),
    ("QUIT without an end", &[Kind::Quit], |reply| {
        instead(reply, Kind::Quit, || b"+OK\r\n".to_vec())
    }),
];

/// Holders that a waiting run is shown.
pub(super) const HOLDERS: &[Row] = &[
    ("held for ever by another client", NONE, |reply| held(reply, b"somebody else", -1)),
    ("held for the longest time", NONE, |reply| held(reply, b"x", i64::MAX)),
    ("held for less than nothing", NONE, |reply| held(reply, b"x", i64::MIN)),
    ("held by nothing", NONE, |reply| held(reply, b"", 0)),
    ("held by 60 kB", NONE, |reply| held(reply, &[b'x'; 60_000], 500)),
    ("held by noise", NONE, |reply| held(reply, b"\xff\xfe\x1b[2J\x07\r\n\r\n", 500)),
    ("held by a value of braces", NONE, |reply| held(reply, &[b'['; 4000], 500)),
    ("held by a holder of the end of time", NONE, |reply| {
        let fields = format!("\"since\":{0},\"ttl_ms\":{0},\"n\":{{n}}", u64::MAX);
        held(reply, &holder(&fields), 500)
    }),
    ("held by a holder with numbers beyond u64", NONE, |reply| {
        held(reply, &holder("\"since\":99999999999999999999999,\"ttl_ms\":1e999,\"n\":1e400"), 500)
    }),
    ("held by a holder with numbers below zero", NONE, |reply| {
        held(reply, &holder("\"since\":-1,\"ttl_ms\":-1,\"n\":-3,\"slots\":-1"), 500)
    }),
    ("held by a holder with a thousand slots", NONE, |reply| {
        let fields = format!("\"since\":1,\"ttl_ms\":0,\"n\":{{n}},\"slots\":{}", u32::MAX);
        held(reply, &holder(&fields), 500)
    }),
    ("held by a host with other servers", NONE, |reply| {
        held(
            reply,
            &holder("\"since\":1,\"ttl_ms\":1000,\"n\":7,\"servers\":\"abcdef,fedcba\""),
            500,
        )
    }),
    ("free for ever", NONE, |reply| {
        instead(reply, Kind::Status, || array(&[int(0), bulk(""), int(-2)]))
    }),
    ("free, and with a holder", NONE, |reply| {
        instead(reply, Kind::Status, || array(&[int(-1), bulk("x"), int(-2)]))
    }),
    ("an absurd place in the queue", NONE, |reply| {
        instead(reply, Kind::Status, || array(&[int(i64::MAX), bulk(""), int(-2)]))
    }),
    ("a place below zero", NONE, |reply| {
        instead(reply, Kind::Status, || array(&[int(i64::MIN), bulk("x"), int(5)]))
    }),
    ("a status of too many keys", NONE, |reply| {
        instead(reply, Kind::Status, || {
            array(&[&[int(0), bulk("")][..], &vec![int(-2); 4000]].concat())
        })
    }),
    ("a status without keys", NONE, |reply| instead(reply, Kind::Status, || array(&[int(0)]))),
    ("a status of other types", NONE, |reply| {
        instead(reply, Kind::Status, || array(&[bulk("0"), int(0), b"_\r\n".to_vec()]))
    }),
    ("SUBSCRIBE refused", NONE, |reply| {
        instead(reply, Kind::Subscribe, || b"-NOPERM no channel\r\n".to_vec())
    }),
    ("subscribed to another channel", NONE, |reply| {
        instead(reply, Kind::Subscribe, || {
            [b">3\r\n$9\r\nsubscribe\r\n".to_vec(), bulk("other"), int(7)].concat()
        })
    }),
    ("unsubscribed at once", NONE, |reply| {
        instead(reply, Kind::Subscribe, || {
            [b">3\r\n$11\r\nunsubscribe\r\n".to_vec(), bulk("other"), int(0)].concat()
        })
    }),
    ("wake-ups of other keys", NONE, |reply| match reply.kind {
        Kind::Subscribe => {
            let wake = message(reply.request[1].as_bytes(), b"redlock:other");
            Beside(reply.said.to_vec(), wake, Duration::from_millis(5))
        }
        _ => Say(reply.said.to_vec()),
    }),
];
