//! URLs of servers: each part is understood or refused, and no piece of a password is shown.

use crate::support::{Cluster, Run, key_of};
use std::fs;

const HOLD: [&str; 5] = ["url", "--", "sh", "-c", "echo ready; cat >/dev/null"];

/// The URLs of all servers, with `end` behind each.
fn with_end(cluster: &Cluster, end: &str) -> String {
    cluster.all_urls().iter().map(|url| format!("{url}{end}")).collect::<Vec<_>>().join(",")
}

#[test]
fn the_database_of_a_parameter_holds_the_key() {
    let cluster = Cluster::start(3);
    let sockets = (0..3)
        .map(|i| format!("unix://{}?db=2", cluster.socket(i).display()))
        .collect::<Vec<_>>()
        .join(",");
    for (label, urls) in [
        ("?db=", with_end(&cluster, "?db=2")),
        ("/?db=", with_end(&cluster, "/?db=2")),
        ("unix", sockets),
    ] {
        let running =
            Run::redlock(&cluster).env("REDLOCK_URLS", urls).args(["run"]).args(HOLD).spawn();
        running.until_ready();
        let has_it =
            |i: &usize| cluster.ask::<String>(*i, &["INFO", "keyspace"]).contains("db2:keys=1");
        assert!(
            (0..3).filter(has_it).count() >= 2,
            "{label}: a majority has the key in database 2"
        );
        assert!(
            (0..3).all(|i| cluster.get(i, &key_of("url")).is_none()),
            "{label}: database 0 has the key"
        );
        running.finish().expect(label, 0);
    }
}

#[test]
fn user_and_password_of_parameters_are_used() {
    let mut cluster = Cluster::start(3);
    (0..3).for_each(|i| {
        drop(cluster.cli(i, &["ACL", "SETUSER", "lk", "on", ">p@ss", "~*", "&*", "+@all"]));
    });
    (0..3).for_each(|i| cluster.require_password(i, "right"));
    for (label, end, code) in [
        ("a password", "?password=right", 0),
        ("another one", "?password=wrong", 77),
        ("a user", "?username=lk&password=p%40ss", 0),
    ] {
        let run = Run::redlock(&cluster)
            .env("REDLOCK_URLS", with_end(&cluster, end))
            .args(["run", "url", "--", "true"]);
        let output = run.finish().expect(label, code);
        assert!(!output.stderr.contains("wrong"), "{label}: {}", output.stderr);
    }
    cluster.until_no_key_is_left();
}

#[test]
fn the_second_protocol_of_a_parameter_does_without_hello() {
    let cluster = Cluster::start(3);
    let greeted = || {
        (0..3)
            .filter(|&i| {
                cluster.ask::<String>(i, &["INFO", "commandstats"]).contains("cmdstat_hello")
            })
            .count()
    };
    let run = |end: &str| {
        let run = Run::redlock(&cluster)
            .env("REDLOCK_URLS", with_end(&cluster, end))
            .args(["run", "url", "--", "true"]);
        run.finish().expect(end, 0).expect_silence(end);
    };
    // Commands of the test itself must not be counted.
    let before = greeted();
    run("?protocol=2");
    assert_eq!(greeted(), before, "HELLO was sent");
    run("?protocol=3");
    assert_eq!(greeted(), 3, "HELLO was not sent");
}

#[test]
fn an_unknown_part_of_a_url_is_refused_and_named() {
    let cluster = Cluster::start(3);
    for (end, words) in [
        ("?dbs=2", "'dbs'"),
        ("?socket_timeout=1", "'socket_timeout'"),
        ("?db=two", "number of a database"),
        ("?db=1&db=2", "two databases"),
        ("/1?db=2", "two databases"),
        ("?protocol=1", "protocol=2 or protocol=3"),
        ("#insecure", "no '#'"),
        ("/0#2", "no '#'"),
    ] {
        let run = Run::redlock(&cluster).env("REDLOCK_URLS", with_end(&cluster, end));
        let output = run.args(["run", "url", "--", "echo", "ran"]).finish().expect(end, 78);
        assert_eq!(output.out(), "", "{end}");
        output.expect_words(end, &[words, "number 1 of REDLOCK_URLS"]);
    }
    cluster.until_no_key_is_left();
}

#[test]
fn no_piece_of_a_password_is_shown() {
    let cluster = Cluster::start(3);
    let good = cluster.urls_of([0, 1]);
    let config = cluster.dir().join("config.toml");
    for url in [
        "redis://:sec@ret?s3cret@lock-1",
        "redis://:sec@ret/s3cret@lock-1",
        "redis://:sec@ret,s3cret@lock-1",
        "redis://:sec@ret#s3cret@lock-1",
        "redis://:12,ret,ret,s3cret@lock-1",
        "redis://user:12?s3cret@lock-1",
        "redis://user:12/s3cret@lock-1",
        "redis://s3cret?ret@lock-1",
        "redis:/:s3cret",
        "redis:s3cret@lock-1",
        "redis://:s3cret",
        "redis://user:s3cret",
        "s3cret://ret@lock-1",
        "redis://s3cret#ret",
        "unix://user:s3cret/run/redis",
        "unix://:a@/s3cret@/run/redis",
    ] {
        let line = |run: Run| run.args(["gate", "--", "echo", "ran"]).finish();
        let variable =
            Run::redlock(&cluster).env("REDLOCK_URLS", format!("{good},{url}")).args(["run"]);
        let option = Run::redlock(&cluster).args(["run", "-u", &good, "-u", url]);
        let joined = Run::redlock(&cluster).args(["run", "-u", &good, &format!("--url={url}")]);
        fs::write(
            &config,
            format!("urls = {:?}", good.split(',').chain([url]).collect::<Vec<_>>()),
        )
        .unwrap();
        let file = Run::redlock(&cluster)
            .without("REDLOCK_URLS")
            .args(["run", "--config"])
            .args([&config]);
        for (way, run) in
            [("variable", variable), ("option", option), ("joined", joined), ("file", file)]
        {
            let output = line(run);
            let (label, said) = (format!("{url} as {way}"), &output.stderr);
            // One of the passwords has a comma. A file has one URL per entry, so there the comma is
            // no separator.
            if way == "file" && url.contains(",s3cret") {
                assert!(!said.contains("ret"), "{label}: {said}");
                continue;
            }
            assert!(
                !said.contains("s3c") && !said.contains("'sec") && !said.contains("ret@"),
                "{label}: {said}"
            );
            output.expect(&label, 78);
        }
        let undashed =
            Run::redlock(&cluster).args(["run", "-u", url, "backup", "./x.sh", "a"]).finish();
        assert!(
            !undashed.stderr.contains("s3cret"),
            "{url} in a corrected line: {}",
            undashed.stderr
        );
        undashed.expect(url, 64);
    }
}

#[test]
fn an_option_may_name_several_servers_as_the_variable_does() {
    let cluster = Cluster::start(3);
    for (label, options) in [
        ("commas", vec![cluster.urls()]),
        ("blanks", vec![cluster.urls().replace(',', " ")]),
        ("both ways", vec![cluster.urls_of([0, 1]), cluster.url(2)]),
    ] {
        let options = options.into_iter().flat_map(|urls| ["--url".to_owned(), urls]);
        let run = Run::redlock(&cluster).without("REDLOCK_URLS").args(["run"]).args(options);
        run.args(["many", "--", "true"]).finish().expect(label, 0).expect_silence(label);
    }
    let empty = Run::redlock(&cluster)
        .args(["run", "-u", &cluster.urls(), "-u", "", "many", "--", "true"])
        .finish();
    empty.expect("an option without a URL", 78).expect_words("it is named", &["number 4 of --url"]);
}
