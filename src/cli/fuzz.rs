//! Fuzz tests of texts from people and from other hosts: lock values, settings, lengths of time,
//! and `REDLOCK_HELD`.
#![cfg(test)]

use super::config::Config;
use super::duration;
use super::outer::OuterLock;
use super::report::holder;
use crate::fuzz::fuzz;
use crate::lock::{
    Agreement, LockValue, ObservedHolder, RestartGuard, Revocation, ServerName, Time, Wanted,
};
use std::time::Duration;

#[test]
fn no_lock_value_does_harm() {
    let seeds: [&[u8]; 4] = [
        br#"{"v":1,"id":"4fa2","token":"00ff","owner":"deploy@web1","pid":42,"cmd":"migrate.sh","reason":"why","since":1700000000,"ttl_ms":30000,"n":3,"slots":2,"servers":"abcdef,~123456"}"#,
        br#"{"v":1,"id":"","token":"","owner":"","pid":1,"cmd":"","since":18446744073709551615,"ttl_ms":18446744073709551615,"n":0}"#,
        b"9d3c7a",
        b"",
    ];
    let servers =
        [ServerName::tcp("a", 1, 0), ServerName::tcp("b", 1, 0), ServerName::tcp("c", 1, 0)];
    fuzz("lock values", &seeds, |bytes, dice| {
        let value = String::from_utf8_lossy(bytes).into_owned();
        let left = [None, Some(Duration::ZERO), Some(Duration::MAX)][dice.below(3)];
        let observed = ObservedHolder { value, left };
        let shown = holder::described(Some(&observed), Duration::from_secs(1_700_000_000));
        assert!(shown.len() < 8192 && !shown.chars().any(char::is_control), "{shown}");
        let guard = RestartGuard::For(Duration::from_secs(30));
        let limit = Duration::from_millis(100);
        let mut agreement = Agreement::new("deploy@web2", 1, servers.to_vec(), guard, limit);
        for seconds in [0, 1, 1_000_000] {
            let now = Time::default().plus(Duration::from_secs(seconds));
            let _ = agreement.compare(now, dice.below(4), Some(&observed));
            let _ = (agreement.next_look(now), agreement.suspects(now), agreement.refusal());
        }
    });
}

#[test]
fn no_revocation_does_harm() {
    let seeds: [&[u8]; 5] = [
        br#"{"revoked":{"by":"ops@web2","reason":"it hangs","at":1700000000},"v":1,"id":"4fa2","token":"00ff","owner":"deploy@web1","pid":42,"cmd":"sh","since":1700000000,"ttl_ms":30000,"n":3}"#,
        br#"{"revoked":{"by":"ops@web2","at":18446744073709551615},"value":"sha256:0123456789ab"}"#,
        br#"{"v":1,"id":"4fa2","token":"00ff","owner":"deploy@web1","pid":42,"cmd":"sh","since":1,"ttl_ms":30000,"n":3}"#,
        br#"{"revoked":{"by":"","at":0},"revoked":{"by":"","at":0},"v":"#,
        b"secret",
    ];
    fuzz("revocations", &seeds, |bytes, dice| {
        // The servers cut a value at 4 KiB.
        let bytes = &bytes[..bytes.len().min(8192)];
        let value = String::from_utf8_lossy(bytes).into_owned();
        let other = String::from_utf8_lossy(dice.one_of(&seeds)).into_owned();
        let is_same = Revocation::same_holder(&value, &other);
        assert_eq!(is_same, Revocation::same_holder(&other, &value), "{value} {other}");
        assert!(Revocation::same_holder(&value, &value), "{value}");
        let revocation = Revocation::new(&value, Some(&value), u64::MAX);
        assert!(revocation.header().len() < 1024, "{value}");
        match Revocation::parse(&value) {
            Some(read) => {
                let shown = holder::revoked(&read);
                assert!(!shown.chars().any(char::is_control), "{shown}");
            }
            None if LockValue::parse(&value).is_some() && !value.starts_with("{\"revoked\":") => {
                let Some(rest) = value.strip_prefix('{') else { return };
                let revoked = revocation.header() + rest;
                assert!(Revocation::same_holder(&value, &revoked), "{value}");
            }
            None => {}
        }
        for wanted in [Wanted::parse(&value), Wanted::parse(&Wanted::word(&value))] {
            let _ = (wanted.is_holder(&value), wanted.is_holder(&other));
        }
    });
}

#[test]
fn no_configuration_does_harm() {
    let seeds: [&[u8]; 4] = [
        b"urls = [\"redis://a\", \"b:6379\"]\nttl = \"30s\"\nop-timeout = 1\n",
        b"user = 'u'\npassword-file = \"/x\"\nprefix = \"p:\"\nrestart-guard = \"off\"\n",
        b"ttl = 0.5\nurls = []\n[a.b]\nc = 1979-05-27T07:32:00Z\n",
        b"ttl = [[[[{a = {b = 1}}]]]]\n",
    ];
    fuzz("configurations", &seeds, |bytes, _| {
        if let Err(error) = toml::from_str::<Config>(&String::from_utf8_lossy(bytes)) {
            let _ = error.to_string();
        }
    });
}

#[test]
fn no_length_of_time_does_harm() {
    let seeds: [&[u8]; 7] =
        [b"30s", b"1h30m", b"500ms", b"0.5", b"10", b"1 day 2h", b"584542046years"];
    fuzz("durations", &seeds, |bytes, _| {
        if let Ok(length) = duration::parse(&String::from_utf8_lossy(bytes)) {
            let _ = (duration::shown(length), duration::brief(length));
        }
    });
}

#[test]
fn no_line_of_redlock_held_does_harm() {
    let seeds: [&[u8]; 4] =
        [b"redlock:a 7.99.4f", b"a key 1.0.x", b"a -1.18446744073709551615.", b"redlock:a"];
    fuzz("outer locks", &seeds, |bytes, _| {
        for line in String::from_utf8_lossy(bytes).split('\n') {
            let outer = OuterLock::parse(line);
            let _ = (outer.held_key(), outer.id(), outer.is_around());
            assert!(!outer.key.is_empty() || line.is_empty() || line.starts_with(' '), "{line}");
        }
    });
}
