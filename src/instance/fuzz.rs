//! Fuzz tests of replies of servers, and of URLs.
#![cfg(test)]

use super::endpoint::{Endpoint, Login};
use super::examine::{self, InfoFields};
use super::list;
use super::observe;
use super::redacted::{has_password, redacted};
use super::reply::{self, Asked, Part};
use super::resp::{MOST_BYTES, ReplyBuffer};
use super::revoke;
use super::server_error::meaning;
use super::server_info::{self, Hello, ServerInfo};
use crate::fuzz::fuzz;
use crate::lock::{Key, Memory, RestartGuard, ServerReport, Target, Time, Vote};
use redis::Value;
use std::time::Duration;

/// Parses a reply in every way that a run does.
fn interpret(value: &Value) {
    let _ = reply::vote(Ok(value.clone()));
    let _ = reply::extension(Ok(value.clone()));
    let _ = reply::release(Ok(value.clone()));
    let key = Key::literal("k").unwrap();
    for slots in [1, 3] {
        let _ = reply::status(Ok(value.clone()), &Target::slots(&key, slots));
    }
    let hello = Hello::parse(value);
    let _ = hello.as_ref().and_then(Hello::unsupported);
    let _ = server_info::remark(value);
    if let Value::ServerError(error) = value {
        let _ = meaning(error);
    }
    let parts = [Part::Greeting, Part::Hello, Part::ServerReport, Part::Setup, Part::Request];
    let _ = reply::sort(vec![value.clone(); 5], &parts, Asked::default());
    judge(value);
    for_operators(value);
}

/// Parses a reply in every way that a verb of the operator does.
fn for_operators(value: &Value) {
    for keys in 1..3 {
        let _ = revoke::removed(value.clone(), keys);
        let _ = observe::read(value.clone(), keys);
    }
    let _ = list::read(value.clone());
    let _ = examine::refused(value.clone());
    if let Some(info) = server_info::text(value) {
        let _ = InfoFields::parse(info);
    }
}

/// Judges the report and the mark of a server, and whether its vote counts.
fn judge(value: &Value) {
    let wall = Duration::from_secs(1_700_000_000);
    let info = ServerInfo::parse(value, wall, true);
    let _ = info.unsupported(None);
    let mut memory = Memory::default();
    for seconds in [0, 5, u64::MAX / 2_000_000_000] {
        let at = Time::default().plus(Duration::from_secs(seconds));
        let report = ServerReport { account: info.account.clone(), marking: info.marking.clone() };
        memory.learn(&report, at);
        for guard in [Duration::ZERO, Duration::from_secs(30), Duration::MAX] {
            let _ = memory.vote(RestartGuard::For(guard), at, Vote::Granted);
        }
    }
    let _ = memory.run_id();
}

#[test]
fn no_bytes_of_a_server_do_harm() {
    let seeds: [&[u8]; 16] = [
        b"+OK\r\n",
        b"-NOPERM this user has no permissions\r\n",
        b"-ERR max number of clients reached\r\n",
        b"*3\r\n:1\r\n$10\r\n1700000000\r\n$6\r\n250000\r\n",
        b"*3\r\n:0\r\n$1\r\nv\r\n:-2\r\n",
        b"*5\r\n:-1\r\n$0\r\n\r\n:-2\r\n:500\r\n:-1\r\n",
        b"*2\r\n$1\r\nv\r\n:1500\r\n",
        b"%2\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n",
        b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n",
        b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nk\r\n",
        b"=8\r\ntxt:run1\r\n",
        b"~2\r\n_\r\n#t\r\n,1.5\r\n(9\r\n",
        // Of force-release, list, status and doctor.
        b"*3\r\n:2\r\n:1500\r\n$0\r\n\r\n",
        b"*5\r\n$1\r\n0\r\n$1\r\nk\r\n$1\r\nv\r\n:1500\r\n:2\r\n",
        b"*5\r\n$1\r\nv\r\n:1500\r\n:2\r\n$4\r\n4fa2\r\n$16\r\n1700000000000000\r\n",
        b"*3\r\n$0\r\n\r\n$3\r\nDEL\r\n$28\r\nNOPERM no permissions to DEL\r\n",
    ];
    fuzz("resp", &seeds, |bytes, dice| {
        let mut buffer = ReplyBuffer::with_room(MOST_BYTES);
        for piece in bytes.chunks(1 + dice.below(bytes.len() + 1)) {
            buffer.extend(piece);
            loop {
                match buffer.take() {
                    Ok(Some(value)) => interpret(&value),
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
        }
    });
}

#[test]
fn no_report_of_a_server_does_harm() {
    let seeds: [&[u8]; 5] = [
        b"# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:0f3c\r\nuptime_in_seconds:99\r\n|0f3c 1700000000000000 1700000000000000|1700000000|250000",
        b"server_mode:standalone\r\nrun_id:0f3c\r\nuptime_in_seconds:-1\r\n|0f3c 1 1|0|0",
        b"redis_mode:cluster\r\nrun_id:\r\n|| |",
        b"role:master\r\nconnected_slaves:2\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n|x|1|1",
        b"run_id:0f3c\r\nuptime_in_seconds:18446744073709551615\r\n|0f3c 18446744073709551615 18446744073709551615|18446744073709551615|999999999",
    ];
    fuzz("info and marks", &seeds, |bytes, _| {
        let bulk = |part: &[u8]| Value::BulkString(part.to_vec());
        judge(&Value::Array(bytes.split(|byte| *byte == b'|').map(bulk).collect()));
        let _ = server_info::remark(&bulk(bytes));
    });
}

#[test]
fn no_url_does_harm() {
    let seeds: [&[u8]; 8] = [
        b"redis://user:p%40ss@host:6379/2?protocol=2",
        b"rediss://:secret@[::1]:6380/0?db=1&password=x&username=y",
        b"unix:///run/redis.sock?db=1",
        b"unix://:secret@/run/redis.sock",
        b"host:6379",
        b"host",
        b"[fe80::1%25eth0]:6379",
        b"redis:/:secret@host/?a#b,c",
    ];
    fuzz("urls", &seeds, |bytes, _| {
        let url = String::from_utf8_lossy(bytes);
        let login = Login { user: Some("u".into()), password: Some("p".into()) };
        for login in [Login::default(), login] {
            match Endpoint::parse(&url, &login) {
                Ok(endpoint) => {
                    let _ = (endpoint.server_name(), endpoint.is_local(), endpoint.to_string());
                    assert!(endpoint.is_same_server(&endpoint), "{url}");
                }
                Err(error) => drop(error.to_string()),
            }
        }
        let _ = (redacted(&url), has_password(&url));
    });
}
