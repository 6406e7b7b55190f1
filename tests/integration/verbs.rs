//! The common behaviour of the operator's verbs: options, help, and hidden passwords.

use crate::support::{Cluster, HOLD, Output, Run, Running};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

const SECRET: &str = "s3cret-w0rd";

/// Each verb, and its exit code while `deploy` is held.
fn verbs() -> [(&'static [&'static str], i32); 6] {
    [
        (&["status", "deploy"], 0),
        (&["list"], 0),
        (&["doctor"], 0),
        (&["wait", "-w", "0", "deploy"], 75),
        (&["force-release", "deploy"], 64),
        (&["force-release", "deploy", "--id", "0123456789ab", "--yes"], 75),
    ]
}

/// A server for `--single` that knows only the user `lk`.
fn server() -> Cluster {
    let cluster = Cluster::start(3);
    let rights = format!("ACL SETUSER lk on >{SECRET} ~* &* +@all");
    (0..3).for_each(|i| drop(cluster.cli(i, &rights.split(' ').collect::<Vec<_>>())));
    cluster
}

fn hold_as(cluster: &Cluster, run: Run) -> Running {
    let holder = run.args(["run", "--ttl", "1m", "deploy", "--"]).args(HOLD).spawn();
    holder.until_ready();
    let _ = cluster;
    holder
}

fn is_discreet(label: &str, output: Output, code: i32) {
    let output = output.expect(label, code);
    assert!(!(output.out() + &output.stderr).contains(SECRET), "{label}: {}", output.out());
}

/// `redlock check` inside a command, which does not inherit the servers and these settings.
fn checks_inside(label: &str, run: Run, settings: &str) {
    let script = format!("{settings} \"$RL\" check && {settings} \"$RL\" check other");
    let run = run.args(["run", "--ttl", "1m", "deploy", "--", "sh", "-c", &script]);
    let output =
        run.finish().expect_words(label, &["no redlock around this command holds 'other'"]);
    is_discreet(label, output, 75);
}

#[test]
fn each_verb_knows_a_user_one_server_and_a_configuration_and_shows_no_password() {
    let cluster = server();
    let config = cluster.dir().join("config.toml");
    let urls: Vec<String> =
        (0..3).map(|i| cluster.url(i).replacen("://", &format!("://lk:{SECRET}@"), 1)).collect();
    fs::write(&config, format!("urls = {urls:?}")).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let by_user =
        || Run::redlock(&cluster).env("REDLOCK_USER", "lk").env("REDLOCK_PASSWORD", SECRET);
    let single =
        || Run::redlock(&cluster).env("REDLOCK_SINGLE", "true").env("REDLOCK_URLS", &urls[0]);
    let configured =
        || Run::redlock(&cluster).without("REDLOCK_URLS").env("REDLOCK_CONFIG", &config);
    let ways: [(&str, &dyn Fn() -> Run); 3] =
        [("a user", &by_user), ("one server", &single), ("a configuration", &configured)];
    for (label, way) in ways {
        let holder = hold_as(&cluster, way());
        for (line, code) in verbs() {
            let label = format!("{label}: {line:?}");
            is_discreet(&label, way().args(line).finish(), code);
            if line[0] != "wait" {
                is_discreet(&label, way().args(line).args(["--json"]).finish(), code);
            }
        }
        holder.finish().expect(label, 0);
        cluster.until_no_key_is_left();
    }
    for (label, way, settings, servers) in [
        (
            "a user",
            ways[0].1,
            "REDLOCK_URLS=$S REDLOCK_USER=lk REDLOCK_PASSWORD=$P",
            cluster.urls(),
        ),
        ("one server", ways[1].1, "REDLOCK_URLS=$S REDLOCK_SINGLE=true", urls[0].clone()),
        ("a configuration", ways[2].1, "REDLOCK_CONFIG=$S", config.to_str().unwrap().to_owned()),
    ] {
        checks_inside(label, way().env("S", servers).env("P", SECRET), settings);
    }
    // A wrong password is an error for each verb, and is not shown either.
    let wrong = urls.join(",").replace(":s3cret", ":wr0ng-s3cret");
    for (line, _) in verbs() {
        let run = Run::redlock(&cluster).env("REDLOCK_URLS", &wrong).args(line);
        is_discreet(&format!("a wrong password: {line:?}"), run.finish(), 77);
    }
}

#[cfg(feature = "tls")]
#[test]
fn each_verb_speaks_tls() {
    let pki = crate::support::Pki::new();
    pki.issue("year", "ca", crate::support::pki::HERE, "365");
    let cluster = Cluster::start_tls_as(3, &pki.options("year"), &[]);
    let way = || {
        let run = Run::redlock(&cluster).env("REDLOCK_URLS", cluster.tls_urls());
        run.env("REDLOCK_CACERT", pki.text("ca.crt"))
    };
    let holder = hold_as(&cluster, way());
    for (line, code) in verbs() {
        way().args(line).finish().expect(&format!("{line:?}"), code);
    }
    holder.finish().expect("the holder", 0);
    let run = way().env("S", cluster.tls_urls()).env("P", pki.text("ca.crt"));
    checks_inside("check", run, "REDLOCK_URLS=$S REDLOCK_CACERT=$P");
}

#[test]
fn the_help_of_each_verb_fits_eighty_columns() {
    let cluster = Cluster::start(3);
    for verb in ["run", "wait", "status", "list", "force-release", "doctor", "check"] {
        let run = Run::redlock(&cluster).env("COLUMNS", "80").args([verb, "-h"]);
        let help = run.finish().expect(verb, 0).out();
        let widest = help.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 80, "{verb}: {widest} columns: {help}");
    }
}
