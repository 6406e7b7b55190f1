//! Command lines: their plans, and refusals.

use super::super::args::Command;
use super::super::outer::OuterLock;
use super::*;
use crate::lock::RestartGuard;

const THREE: &str = "-u a -u b -u c";

fn plan_with(line: &str, config: &Config, around: &Environment) -> Result<Invocation, CliError> {
    let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    match crate::cli::parse(&words)?.command {
        Command::Run(args) => {
            Invocation::new(*args, &words, config, around, &mut vec![], |_, _, _, _| true)
        }
        other => panic!("{line}: {other:?}"),
    }
}

fn held(meaning: Invocation) -> Plan {
    match meaning {
        Invocation::Hold(plan) => *plan,
        Invocation::Nested { argv, .. } => panic!("{argv:?} is nested"),
    }
}

fn plan(line: &str) -> Result<Plan, CliError> {
    plan_with(&format!("redlock run {line}"), &Config::default(), &Environment::default()).map(held)
}

fn refused(line: &str) -> (u8, String) {
    match plan(line) {
        Err(refusal) => (refusal.code, format!("{:#}", refusal.error)),
        Ok(plan) => panic!("{line}: {plan:?}"),
    }
}

#[test]
fn defaults_are_those_of_the_help() {
    let plan = plan(&format!("{THREE} -- ./migrate.sh --all")).unwrap();
    assert_eq!(plan.servers.schedule.ttl().length(), Duration::from_secs(30));
    assert_eq!(plan.servers.schedule.kill_after(), Duration::from_secs(5));
    assert_eq!(plan.servers.schedule.op_timeout(), Duration::from_secs(1));
    assert_eq!(plan.servers.guard, RestartGuard::For(Duration::from_secs(60)));
    assert_eq!((plan.wait_limit, plan.busy_code), (Waiting::Forever, 75));
    assert_eq!(plan.stop_signal, Signal::TERM);
    assert!(plan.names[0].as_str().starts_with("migrate.sh-"), "{}", plan.names[0]);
    assert_eq!(plan.target.keys(), [format!("redlock:{}", plan.names[0])]);
}

#[test]
fn flags_reach_the_plan() {
    let line = format!(
        "{THREE} --ttl 10s -k 2s --op-timeout 200ms -w 5 -E 9 --prefix p: --signal INT --restart-guard off n -- true"
    );
    let plan = plan(&line).unwrap();
    assert_eq!(plan.target.keys(), ["p:n"]);
    assert_eq!(plan.wait_limit, Waiting::For(Duration::from_secs(5)));
    assert_eq!((plan.busy_code, plan.servers.guard), (9, RestartGuard::Off));
    assert_eq!(plan.stop_signal, Signal::INT);
    assert_eq!(plan.servers.schedule.kill_after(), Duration::from_secs(2));
    assert_eq!(plan.servers.schedule.op_timeout(), Duration::from_millis(200));
}

#[test]
fn a_maximum_runtime_of_zero_is_no_limit() {
    for (length, limit) in [("0", None), ("1ms", Some(Duration::from_millis(1)))] {
        assert_eq!(
            plan(&format!("{THREE} --max-runtime {length} -- true")).unwrap().max_runtime,
            limit,
            "{length}"
        );
    }
}

#[test]
fn a_string_is_run_by_a_shell() {
    let plan = plan(&format!("{THREE} -c make")).unwrap();
    assert_eq!(plan.argv, ["sh", "-c", "make"]);
}

#[test]
fn options_that_cannot_work_are_refused_with_a_way_out() {
    for (line, code, words) in [
        ("-u a -- true", 78, "--single"),
        ("-u a -u b -- true", 78, "two Redis servers are worse than one"),
        ("-u a -u b --single -- true", 78, "exactly one"),
        ("-- true", 78, "REDLOCK_URLS"),
        ("-u a -u b -u a:6379 -- true", 78, "'a' and 'a:6379' are the same server"),
        ("-u a -u b -u redis://:secret@h:x -- true", 78, "'redis://…': expected a port"),
        ("-u a -u b -u c --ttl 100ms -- true", 64, "200ms"),
        ("-u a -u b -u c --ttl 1s -k 800ms -- true", 64, "raise --ttl above 1s 297ms"),
        ("-u a -u b -u c --ttl 12900ms -k 8s -- true", 64, "raise --ttl above 13s"),
        ("-u a -u b -u c --ttl 60s -k 50s -- true", 64, "raise --ttl above 1m 17s"),
        ("-u a -u b -u c --ttl 300ms -k 200ms -- true", 64, "raise --ttl above 375ms"),
        ("-u a -u b -u c --ttl 3s -k 1s --op-timeout 2s -- true", 64, "raise --ttl above 4s 500ms"),
        ("-u a -u b -u c --prefix a\nb -- true", 64, "the --prefix cannot be used"),
        ("-u a -u b -u c --op-timeout 0 -- true", 64, "--op-timeout"),
        ("-u a -u b -u c --op-timeout 18446744073709551615 -- true", 64, "raise --ttl"),
        ("-u a -u b -u c -k 18446744073709551615 -- true", 64, "raise --ttl"),
        ("-u a -u b -u c bad\u{7}name -- true", 64, "control"),
        ("-u a -u b -u c -n -w 3 -- true", 64, "cannot be used with"),
        ("-u a -u b -u c -q -v -- true", 64, "cannot be used with"),
        ("-u a -u b -u c --key k --prefix p -- true", 64, "cannot be used with"),
        ("-u a -u b -u c --user me -- true", 78, "expected a password for the user"),
        ("-u a -u b -u c --password-file /nonexistent/file -- true", 78, "/nonexistent/file"),
        ("-u a -u b -u c --signal NONE -- true", 64, "expected a signal"),
        ("-u a -u b -u c ./x", 64, "write: redlock run -u a -u b -u c -- ./x"),
        ("-u a -u b -u c lock ./x y", 64, "write: redlock run -u a -u b -u c lock -- ./x y"),
        ("-u redis://:secret@a lock ./x y", 64, "write: redlock run -u redis://…@a lock -- ./x y"),
        ("-u redis://:secret@a redis://:secret@b redis://:secret@c -- true", 64, "'redis://…@c'"),
        ("--url=redis://:secret@a --ttl=redis://:secret@b -- true", 64, "'redis://…@b'"),
        ("-u a -u b -u redis://me:secret -- true", 78, "'redis://…'"),
        ("-u a -u b -u redis://me@c -- true", 78, "expected a password for the user"),
        ("-u a -u b -u c", 64, "missing the command"),
    ] {
        let (seen, text) = refused(line);
        assert_eq!(seen, code, "{line}: {text}");
        assert!(
            text.contains(words) && !text.contains("secret") && !text.contains('\n'),
            "{line}: {text}"
        );
    }
}

#[test]
fn names_stand_in_the_order_of_their_keys_and_once() {
    let plan = plan(&format!("{THREE} z -l a -l m -l a -- true")).unwrap();
    assert_eq!(plan.names.iter().map(Name::as_str).collect::<Vec<_>>(), ["a", "m", "z"]);
    assert_eq!(plan.target.keys(), ["redlock:a", "redlock:m", "redlock:z"]);
}

#[test]
fn a_fault_of_the_configuration_is_not_blamed_on_the_line() {
    let config = Config { restart_guard: Some("never".into()), ..Config::default() };
    let refusal =
        plan_with(&format!("redlock run {THREE} -- true"), &config, &Environment::default())
            .unwrap_err();
    assert_eq!((refusal.code, refusal.error.to_string().contains("configuration")), (78, true));
}

#[test]
fn a_flag_goes_before_the_environment_and_that_before_the_file() {
    let config = Config { urls: ["f1", "f2", "f3"].map(String::from).into(), ..Config::default() };
    let around = Environment { urls: Some("e1, e2\te3,,e4 e5".into()), ..Environment::default() };
    let nothing = Environment::default();
    for (line, around, first, count) in [
        ("redlock run -u a -u b -u c -- true", &around, "a:6379", 3),
        ("redlock run -- true", &around, "e1:6379", 5),
        ("redlock run -- true", &nothing, "f1:6379", 3),
    ] {
        let plan = held(plan_with(line, &config, around).unwrap());
        assert_eq!(
            (plan.servers.endpoints[0].to_string().as_str(), plan.servers.size.count()),
            (first, count),
            "{line}"
        );
    }
}

#[test]
fn a_lock_held_up_the_stack_is_enough_with_reentrant() {
    let held = vec![OuterLock::of_parent("redlock:a")];
    let around = Environment { held, ..Environment::default() };
    for (line, is_nested) in
        [("--reentrant a -- true", true), ("--reentrant -u a -u b -u c b -- true", false)]
    {
        let meaning =
            plan_with(&format!("redlock run {line}"), &Config::default(), &around).unwrap();
        assert_eq!(matches!(meaning, Invocation::Nested { .. }), is_nested, "{line}");
    }
}

#[test]
fn a_lock_held_up_the_stack_is_refused_at_once() {
    let around = Environment {
        held: ["redlock:a", "redlock:b"].map(OuterLock::of_parent).into(),
        ..Environment::default()
    };
    let config = Config::default();
    for (name, fits) in [("a", false), ("b", false), ("c", true)] {
        let result = plan_with(&format!("redlock run {THREE} {name} -- true"), &config, &around);
        assert_eq!(result.map_err(|refusal| refusal.code).err(), (!fits).then_some(64), "{name}");
    }
}

#[test]
fn a_line_that_cannot_be_true_is_ignored_with_a_warning() {
    let outer = |line| Environment { held: vec![line], ..Environment::default() };
    let ended = OuterLock::parse("redlock:a 1.1.4f");
    for (label, around, is_held, words) in [
        ("a redlock that is not around", outer(ended), true, "not running around this one"),
        ("no holder", outer(OuterLock::parse("redlock:a")), true, "not running around this one"),
        ("other servers", outer(OuterLock::of_parent("redlock:a")), false, "on these servers"),
    ] {
        for flags in ["", "--reentrant "] {
            let line = format!("redlock run {THREE} {flags}a -- true");
            let words_of: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let Command::Run(args) = crate::cli::parse(&words_of).unwrap().command else {
                panic!("{line}")
            };
            let mut warnings = vec![];
            let confirm: IsHeld = if is_held { |_, _, _, _| true } else { |_, _, _, _| false };
            let config = Config::default();
            let meaning =
                Invocation::new(*args, &words_of, &config, &around, &mut warnings, confirm);
            assert_eq!(held(meaning.unwrap()).names[0].as_str(), "a", "{label}");
            assert!(warnings.len() == 1 && warnings[0].contains(words), "{label}: {warnings:?}");
        }
    }
}
