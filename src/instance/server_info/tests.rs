//! Tests of the report of a server.

use super::*;

fn bulk(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

fn server_info(lines: &str) -> Value {
    bulk(&format!("# Server\r\nredis_version:7.0.15\r\n{lines}"))
}

fn parse(parts: Vec<Value>) -> ServerInfo {
    ServerInfo::parse(&Value::Array(parts), Duration::from_secs(9), true)
}

#[test]
fn the_report_is_read_from_the_reply() {
    let reply = |mode: &str| {
        server_info(&format!("redis_mode:{mode}\r\nrun_id:abc\r\nuptime_in_seconds:7\r\n"))
    };
    let server_info = parse(vec![reply("standalone"), bulk("abc 1 2"), bulk("3"), bulk("500000")]);
    let told = Account::Told { run_id: "abc".into(), uptime: Duration::from_secs(7) };
    assert_eq!(
        (server_info.account, server_info.clock),
        (Some(told), Some(Duration::from_millis(3_500)))
    );
    let seen = MarkSeen {
        text: "abc 1 2".into(),
        server_clock: Duration::from_millis(3_500),
        host_clock: Duration::from_secs(9),
    };
    assert_eq!(server_info.marking, Some(Marking::Seen(seen)));
    for (mode, fits) in [("standalone", true), ("cluster", false), ("sentinel", false)] {
        assert_eq!(
            parse(vec![reply(mode), Value::Nil]).unsupported(None).is_none(),
            fits,
            "{mode}"
        );
    }
}

#[test]
fn a_server_without_a_mode_has_no_vote_and_a_mode_counts_from_any_reply() {
    let told = |mode: &str| {
        parse(vec![
            server_info(&format!("{mode}run_id:abc\r\nuptime_in_seconds:7\r\n")),
            Value::Nil,
        ])
    };
    for (info, hello, fits) in [
        ("redis_mode:standalone\r\n", None, true),
        ("server_mode:standalone\r\n", None, true),
        ("server_mode:cluster\r\n", None, false),
        ("server_mode:cluster\r\n", Some(Mode::Standalone), false),
        ("server_mode:something\r\n", None, false),
        ("", Some(Mode::Standalone), true),
        ("", Some(Mode::ClusterNode), false),
        ("", None, false),
    ] {
        assert_eq!(told(info).unsupported(hello).is_none(), fits, "{info} {hello:?}");
    }
    let refused = ServerInfo::untold(NoVoteReason::Refused(PermanentError::Access, String::new()));
    assert_eq!(refused.unsupported(None), None, "INFO was not permitted");
    assert!(refused.unsupported(Some(Mode::ClusterNode)).is_some());
}

#[test]
fn a_report_without_its_fields_does_not_count_and_a_negative_uptime_is_zero() {
    let told = |uptime| Account::Told { run_id: "abc".into(), uptime: Duration::from_secs(uptime) };
    for (lines, expected) in [
        ("run_id:abc\r\nuptime_in_seconds:-3600\r\n", Some(told(0))),
        ("run_id:abc\r\nuptime_in_seconds:31\r\n", Some(told(31))),
        ("run_id:abc\r\n", None),
        ("uptime_in_seconds:31\r\n", None),
        ("run_id:abc\r\nuptime_in_seconds:long\r\n", None),
    ] {
        let account = parse(vec![server_info(lines), Value::Nil]).account.unwrap();
        match expected {
            Some(expected) => assert_eq!(account, expected, "{lines}"),
            None => assert!(
                matches!(account, Account::Untold(NoVoteReason::Refused(..))),
                "{lines}: {account:?}"
            ),
        }
    }
    assert_eq!(
        parse(vec![Value::Nil, bulk("abc 1 2"), bulk("3"), bulk("0")]).account,
        None,
        "it was not asked"
    );
}

#[test]
fn only_a_missing_right_ends_the_requests_for_a_report() {
    let error = |line: &str| redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
    for (line, expected) in [
        ("NOPERM this user has no permissions to run the 'info' command", true),
        ("ERR The user executing the script can't run this command or subcommand", true),
        ("BUSY Redis is busy running a script", false),
        ("LOADING Redis is loading the dataset in memory", false),
        ("ERR unknown command 'INFO'", false),
    ] {
        let account = ServerInfo::parse(&error(line), Duration::ZERO, true).account;
        assert_eq!(account == Some(Account::NotPermitted), expected, "{line}: {account:?}");
        assert_eq!(matches!(account, Some(Account::Untold(_))), !expected, "{line}: {account:?}");
    }
    assert!(matches!(
        ServerInfo::parse(&Value::Nil, Duration::ZERO, true).account,
        Some(Account::Untold(_))
    ));
}

#[test]
fn a_mark_that_cannot_be_set_is_unavailable() {
    assert_eq!(
        parse(vec![server_info("run_id:a\r\n"), Value::Nil]).marking,
        Some(Marking::Unavailable)
    );
    let parts = vec![server_info("run_id:a\r\n"), Value::Nil];
    assert_eq!(ServerInfo::parse(&Value::Array(parts), Duration::ZERO, false).marking, None);
}

#[test]
fn a_server_that_may_evict_keys_is_warned_of() {
    for (limit, policy, forgets) in
        [("0", "allkeys-lru", false), ("1", "noeviction", false), ("1", "volatile-ttl", true)]
    {
        let text = format!("# Memory\r\nmaxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n");
        let expected = forgets.then_some(ServerWarning::Evicts);
        assert_eq!(remark(&Value::BulkString(text.into_bytes())), expected, "{limit} {policy}");
    }
    assert_eq!(remark(&Value::Nil), None);
}

#[test]
fn a_server_with_replicas_is_warned_of() {
    for (count, expected) in
        [(0, None), (1, Some(ServerWarning::Replicated)), (12, Some(ServerWarning::Replicated))]
    {
        assert_eq!(
            remark(&bulk(&format!("# Replication\r\nrole:master\r\nconnected_slaves:{count}\r\n"))),
            expected
        );
    }
}

#[test]
fn a_replica_is_told_by_its_reply_to_hello() {
    let said = |role: &str| {
        Hello::parse(&Value::Map(vec![
            (bulk("proto"), Value::Int(3)),
            (bulk("mode"), bulk("cluster")),
            (bulk("role"), bulk(role)),
        ]))
        .unwrap()
    };
    assert_eq!(said("master").unsupported(), None);
    assert!(said("replica").unsupported().is_some());
    assert_eq!(said("master").mode, Some(Mode::ClusterNode));
    assert_eq!(Hello::parse(&Value::Nil), None);
}
