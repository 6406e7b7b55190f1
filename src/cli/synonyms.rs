//! Verbs and options of other tools, and the words of redlock for them.
//!
//! Spelling alone can mislead: the nearest option to `--timeout` of flock(1) is `--op-timeout`. So
//! a known word is looked up before any spelling is compared.

use clap::Command;

/// Words of other tools, each with the verb of redlock that means the same.
const RENAMED: &[(&[&str], &str)] = &[
    (&["exec", "execute", "lock", "with", "wrap", "try", "start", "do", "flock"], "run"),
    (
        &["show", "get", "describe", "holder", "owner", "who", "info", "inspect", "state", "stat"],
        "status",
    ),
    (&["ls", "locks", "ps", "keys", "show-all"], "list"),
    (&["ping", "test", "diagnose", "health", "healthcheck", "verify"], "doctor"),
    (&["demo", "playground", "server", "servers"], "sandbox"),
    (&["completion", "complete"], "completions"),
    (&["watch", "await"], "wait"),
];

/// Verbs of other tools without an equal verb here: the verb to use if there is one, and advice.
const ADVISED: &[(&[&str], Option<&str>, &str)] = &[
    (
        &["unlock", "force-unlock", "break", "delete", "del", "rm", "remove", "steal", "kill"],
        Some("force-release"),
        "write: redlock force-release NAME",
    ),
    (
        &[
            "unlock",
            "force-unlock",
            "break",
            "delete",
            "del",
            "rm",
            "remove",
            "steal",
            "kill",
            "force-release",
        ],
        None,
        "a lock is free as soon as its command has ended; for the process to stop, write: redlock status NAME",
    ),
    (
        &["renew", "refresh", "keepalive", "keep-alive"],
        None,
        "a lock is extended while its command runs; write: redlock run NAME -- COMMAND",
    ),
    (
        &["daemon", "serve", "agent"],
        None,
        "the lock lives on Redis servers, and no daemon is needed; write: redlock run NAME -- COMMAND",
    ),
    (
        &["config", "configure", "init", "setup", "login"],
        None,
        "name the servers in REDLOCK_URLS or as urls in ~/.config/redlock/config.toml, and write: redlock doctor",
    ),
    (
        &["man", "manual", "usage", "?", "commands"],
        None,
        "write: redlock --help, or redlock help VERB",
    ),
];

/// The verb that other tools call `word`.
pub(super) fn verb(word: &str) -> Option<&'static str> {
    let renamed = RENAMED.iter().find(|(words, _)| words.contains(&word));
    renamed.map(|(_, verb)| *verb)
}

/// Advice about the verb `word`, which redlock lacks or has under another name.
pub(super) fn advice(word: &str, command: &Command) -> Option<&'static str> {
    let is_there =
        |verb: Option<&str>| verb.is_none_or(|verb| command.find_subcommand(verb).is_some());
    let found = ADVISED.iter().find(|(words, verb, _)| words.contains(&word) && is_there(*verb));
    found.map(|(.., advice)| *advice)
}

/// Words for one option.
struct Synonym {
    words: &'static [&'static str],
    /// The option that a verb must have for the advice to fit.
    needs: Option<&'static str>,
    /// The words to type. A word in braces stands for the value that was typed, if one was.
    advice: &'static str,
}

const fn synonym(
    words: &'static [&'static str],
    needs: Option<&'static str>,
    advice: &'static str,
) -> Synonym {
    Synonym { words, needs, advice }
}

#[rustfmt::skip]
const OPTIONS: &[Synonym] = &[
    synonym(&["--lock-timeout", "--wait-timeout", "--acquire-timeout", "--max-wait", "--wait-time", "--waittime", "--block-timeout"],
        Some("wait"), "write --wait {LENGTH}"),
    synonym(&["--no-wait", "--nowait", "--no-block", "--noblock", "--nonblocking", "--non-blocking", "--try", "--try-lock", "--trylock", "--once",
        "--fail-fast", "--immediate"], Some("nonblock"), "write -n"),
    synonym(&["--no-wait", "--nowait", "--nb", "--nonblock", "-n", "--try"], Some("wait"), "write --wait 0"),
    synonym(&["--expire", "--expires", "--expiry", "--expiration", "--lease", "--lease-time", "--lease-ttl", "--session-ttl", "--lock-ttl",
        "--validity", "--lifetime", "--ex", "-t", "--time-to-live"], Some("ttl"), "write --ttl {LENGTH}"),
    synonym(&["--px", "--ttl-ms"], Some("ttl"), "write --ttl with a unit, as --ttl 30s or --ttl 500ms"),
    synonym(&["--duration"], Some("max-runtime"),
        "write --ttl {LENGTH} for the expiry of the lock if redlock dies, or --max-runtime {LENGTH} for the time limit of the command"),
    synonym(&["--name", "--lock-name", "--lockname", "--resource", "--id", "-N"], Some("nonblock"),
        "write the name as a word: redlock run {NAME} -- COMMAND"),
    synonym(&["--name", "--lock-name", "-N"], None, "write the name as a word, without an option"),
    synonym(&["--retry", "--retries", "--max-retries", "--retry-count", "--attempts", "--tries", "-r"], Some("wait"),
        "write --wait LENGTH for how long to try"),
    synonym(&["--retry-delay", "--retry-interval", "--interval", "--delay", "--poll", "--poll-interval", "--backoff", "-i"], Some("wait"),
        "leave it out: the release of the lock wakes the first waiter"),
    synonym(&["-o", "--output", "--format", "--output-format"], Some("json"), "write --json"),
    synonym(&["--json", "-o", "--output", "--format", "--output-format", "--log-format"], None,
        "a run prints its exit code alone; for programs write: redlock status --json NAME"),
    synonym(&SECRETS, Some("password-file"),
        "every user of this host can read an argument: write --password-file FILE, or set REDLOCK_PASSWORD"),
    synonym(&["--username", "--login", "-U"], Some("user"), "write --user {USER}"),
    synonym(&["--host", "--hosts", "--hostname", "--server", "--servers", "--redis", "--redis-url", "--redis-host", "--urls", "--uri", "--nodes",
        "--node", "--endpoint", "--endpoints", "--address", "--addr", "--http-addr", "--instances", "--instance"], Some("url"), "write --url {URL}"),
    synonym(&["--port", "-p"], Some("url"), "write the port behind the host: --url HOST:{PORT}"),
    synonym(&["--db", "--database", "--dbnum"], Some("url"), "write the database behind the server: --url redis://HOST:PORT/{DB}"),
    synonym(&["--tls", "--ssl"], Some("url"), "write the URL of each server as --url rediss://HOST:PORT"),
    synonym(&["--cafile", "--ca", "--ca-file", "--ca-cert", "--certificate-authority"], Some("cacert"), "write --cacert {FILE}"),
    synonym(&["--insecure", "--skip-verify", "--insecure-skip-verify", "--no-verify"], Some("cacert"),
        "certificates are always checked: write --cacert FILE for a CA of your own"),
    synonym(&["--quorum", "--majority"], None, "leave it out: the quorum is the majority of the servers"),
    synonym(&["--cluster", "--sentinel"], Some("url"), "write --url for each of three or more servers that stand alone"),
    synonym(&["-x", "-e", "--exclusive"], Some("slots"), "leave it out: the lock is exclusive"),
    synonym(&["-s", "--shared"], Some("slots"), "write --slots N to let N commands run at once"),
    synonym(&["--semaphore", "--concurrency", "--limit", "--max-concurrent", "--parallel", "--permits", "--holders"], Some("slots"),
        "write --slots {N}"),
    synonym(&["-F", "--no-fork", "--close"], Some("nonblock"), "leave it out: the command does not inherit the lock"),
    synonym(&["--debug", "--trace", "--log-level", "-d", "-D"], Some("verbose"), "write -v"),
    synonym(&["--silent", "-s", "-S"], Some("quiet"), "write -q"),
    synonym(&["--dry-run", "--check", "--test"], None,
        "to test the servers write: redlock doctor, and to see a lock: redlock status NAME"),
    synonym(&["--force", "--steal", "--break-lock"], None,
        "a held lock is not taken by force; for its holder write: redlock status NAME"),
    synonym(&["--exit-code", "--busy-exit-code", "--error-code"], Some("conflict-exit-code"), "write -E {CODE}"),
    synonym(&["--skip", "--skip-if-locked", "--skip-if-busy", "--if-locked", "--if-held", "--on-busy", "--on-conflict", "--on-locked"],
        Some("if-busy"), "write --if-busy skip"),
    synonym(&["--max-time", "--time-limit", "--runtime", "--run-timeout", "--job-timeout", "--command-timeout", "--deadline"],
        Some("max-runtime"), "write --max-runtime {LENGTH}"),
    synonym(&["--kill", "--grace", "--grace-period", "--stop-timeout", "--kill-timeout"], Some("kill-after"), "write --kill-after {LENGTH}"),
    synonym(&["--message", "--comment", "--note", "--why", "--description", "-m"], Some("reason"), "write --reason {TEXT}"),
    synonym(&["--shell", "--cmd", "--exec", "--script"], Some("command"), "write -c {STRING}"),
    synonym(&["--file", "--config-file", "--conf", "--settings"], Some("config"), "write --config {FILE}"),
    synonym(&["--background", "--daemon", "--detach", "-b"], Some("nonblock"), "put '&' at the end of the line"),
    synonym(&["--key-prefix", "--namespace"], Some("prefix"), "write --prefix {TEXT}"),
    synonym(&["--connect-timeout", "--socket-timeout", "--io-timeout"], Some("op-timeout"), "write --op-timeout {LENGTH}"),
    synonym(&["--no-color", "--no-colour", "--nocolor"], Some("color"), "write --color never"),
    synonym(&["--min-duration", "--hold", "--at-least"], Some("min-hold"), "write --min-hold {LENGTH}"),
    synonym(&["--watch", "--follow"], None, "write: watch redlock status NAME"),
    synonym(&["-A", "--all-namespaces"], Some("all"), "write -a"),
];

/// Options of other tools whose value is a secret.
const SECRETS: [&str; 10] = [
    "--password",
    "--pass",
    "--passwd",
    "--auth",
    "--requirepass",
    "--pw",
    "--secret",
    "--token",
    "-a",
    "--redis-password",
];

/// Whether the value of this option is a secret.
pub(super) fn is_secret(flag: &str) -> bool {
    SECRETS.contains(&flag)
}

/// The words to type instead of the option `flag` of `verb`, whose value was `value`.
pub(super) fn option(flag: &str, value: Option<&str>, verb: &Command) -> Option<String> {
    let has = |needed: &str| verb.get_arguments().any(|arg| arg.get_long() == Some(needed));
    let found =
        OPTIONS.iter().find(|one| one.words.contains(&flag) && one.needs.is_none_or(&has))?;
    let mut text = String::new();
    for part in found.advice.split('{') {
        match part.split_once('}') {
            Some((placeholder, rest)) => {
                text += value.unwrap_or(placeholder);
                text += rest;
            }
            None => text += part,
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::super::args::Cli;
    use super::*;
    use clap::CommandFactory as _;

    /// Whether a verb has an option of this name.
    fn exists(command: &Command, flag: &str) -> bool {
        command.get_subcommands().flat_map(Command::get_arguments).any(|arg| {
            arg.get_long().is_some_and(|long| flag.strip_prefix("--") == Some(long))
                || arg.get_short().is_some_and(|short| flag == format!("-{short}"))
        })
    }

    #[test]
    fn every_verb_and_option_that_is_advised_exists() {
        let command = Cli::command();
        for (_, verb) in RENAMED {
            assert!(command.find_subcommand(verb).is_some(), "{verb}");
        }
        for one in OPTIONS {
            for word in one.advice.split([' ', ',', ':']).filter(|word| word.starts_with('-')) {
                assert!(word == "--" || exists(&command, word), "{word} in: {}", one.advice);
            }
            if let Some(needed) = one.needs {
                assert!(exists(&command, &format!("--{needed}")), "{needed}");
            }
        }
        let advice = ADVISED.iter().filter(|(_, verb, _)| verb.is_none());
        for verb in advice.flat_map(|(.., advice)| advice.split("redlock ").skip(1)) {
            let verb = verb.split([' ', ',']).next().unwrap();
            assert!(
                verb == "help" || verb.starts_with("--") || command.find_subcommand(verb).is_some(),
                "{verb}"
            );
        }
    }

    #[test]
    fn the_value_that_was_typed_is_in_the_advice() {
        let command = Cli::command();
        let run = command.find_subcommand("run").unwrap();
        for (flag, value, advice) in [
            ("--lock-timeout", Some("10"), Some("write --wait 10")),
            ("--lock-timeout", None, Some("write --wait LENGTH")),
            ("--no-wait", None, Some("write -n")),
            ("--frobnicate", None, None),
        ] {
            assert_eq!(option(flag, value, run).as_deref(), advice, "{flag}");
        }
        for secret in SECRETS {
            assert!(!option(secret, Some("hush"), run).unwrap().contains("hush"), "{secret}");
        }
        let wait = command.find_subcommand("wait").unwrap();
        assert_eq!(option("-n", None, wait).as_deref(), Some("write --wait 0"));
    }
}
