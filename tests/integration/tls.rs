//! Locks over servers that speak TLS: that they are locks, the messages about faults, and the cost.
#![cfg(feature = "tls")]

use crate::support::clock::{now, since};
use crate::support::proxy::{Fate, Proxy, Way};
use crate::support::{Cluster, HOLD, Monitor, Output, Pki, Run, Running, until};
use std::fs;
use std::time::Duration;

const KEY: &str = "redlock:tls";

/// redlock with these URLs and options. The caller adds a command.
fn run(cluster: &Cluster, urls: &str, options: &[&str]) -> Run {
    let run = Run::redlock(cluster).knowing_localhost(cluster).env("REDLOCK_URLS", urls);
    run.arg_line("run", options, &["tls", "--"])
}

/// A holder that has the key on all three servers.
fn hold_everywhere(cluster: &Cluster, urls: &str, options: &[&str]) -> Running {
    let running = run(cluster, urls, options).args(HOLD).spawn();
    running.until_ready();
    until("all have the key", || (0..3).all(|i| cluster.get(i, KEY).is_some()));
    running
}

/// One try to run something.
fn once(cluster: &Cluster, urls: &str, options: &[&str]) -> Output {
    run(cluster, urls, &[&["-n"], options].concat()).args(["sh", "-c", "echo ran"]).finish()
}

/// Checks that redlock refused with this exit code and these words, and that nothing is locked.
fn refused(cluster: &Cluster, output: Output, label: &str, code: i32, words: &[&str]) {
    let output = output.expect(label, code).expect_words(label, words);
    assert_eq!(output.out(), "", "{label}: the command ran");
    assert!(!output.stderr.contains("PRIVATE"), "{label}: a key is shown: {}", output.stderr);
    cluster.until_no_key_is_left();
}

#[test]
fn a_lock_over_five_servers_with_tls_is_held_extended_and_released() {
    let pki = Pki::new();
    let cluster = Cluster::start_tls(5, &pki, &[]);
    let monitor = Monitor::of(&cluster, 4);
    let urls = cluster.tls_urls();
    for (label, urls) in [
        ("addresses", urls.clone()),
        ("names", urls.replace("127.0.0.1", "localhost")),
        ("the other scheme", urls.replace("rediss", "valkeys")),
    ] {
        let extended = monitor.extensions(KEY).len();
        let options = ["--ttl", "1s", "--op-timeout", "300ms", "--cacert", &pki.text("ca.crt")];
        let running = run(&cluster, &urls, &options).args(HOLD).spawn();
        running.until_ready();
        monitor.until_extended(KEY, extended + 2);
        once(&cluster, &cluster.urls(), &[]).expect("the same servers without TLS", 75);
        let output = running.finish().expect(label, 0);
        assert_eq!(output.stderr, "", "{label}: silence was expected");
        cluster.until_no_key_is_left();
    }
}

#[test]
fn servers_with_and_without_tls_make_one_cluster() {
    let pki = Pki::new();
    let cluster = Cluster::start_tls(3, &pki, &[]);
    let urls = format!(
        "{},{},unix://{}",
        cluster.url(0),
        cluster.tls_urls_of([1]),
        cluster.socket(2).display()
    );
    let running = hold_everywhere(&cluster, &urls, &["--cacert", &pki.text("ca.crt")]);
    running.finish().expect("mixed", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_server_with_and_without_tls_is_one_server() {
    let pki = Pki::new();
    let cluster = Cluster::start_tls(2, &pki, &[]);
    let urls = format!("{},{}", cluster.urls(), cluster.tls_urls_of([0]));
    let running = run(&cluster, &urls, &["--ttl", "1s", "--cacert", &pki.text("ca.crt")])
        .args(["sh", "-c", "echo ready; cat >/dev/null"])
        .spawn();
    running.until_ready();
    running.until_stderr("are the same server");
    let output = running.finish().expect("two ports", 0);
    output.expect_words("two ports", &[&cluster.address(0)]);
    cluster.until_no_key_is_left();
}

#[test]
fn settings_of_tls_come_from_flags_variables_and_the_file() {
    let pki = Pki::new();
    let cluster = Cluster::start_tls(3, &pki, &["--tls-auth-clients", "yes"]);
    pki.issue("client", "ca", "DNS:client", "2");
    let (ca, cert, key) = (pki.text("ca.crt"), pki.text("client.crt"), pki.text("client.key"));
    let urls = cluster.tls_urls();
    once(&cluster, &urls, &["--cacert", &ca, "--cert", &cert, "--key-file", &key])
        .expect("flags", 0);
    let files = [("REDLOCK_CACERT", &ca), ("REDLOCK_CERT", &cert), ("REDLOCK_KEY_FILE", &key)];
    let shown = "env | grep -E 'REDLOCK_(CACERT|CERT|KEY_FILE)='; echo end";
    let variables =
        files.iter().fold(run(&cluster, &urls, &["-n"]), |run, (name, path)| run.env(name, path));
    let output = variables.args(["sh", "-c", shown]).finish().expect("variables", 0);
    assert_eq!(output.out(), "end\n", "the command is told of the files");
    let config = cluster.dir().join("config.toml");
    fs::write(&config, format!("cacert = {ca:?}\ncert = {cert:?}\nkey-file = {key:?}\n")).unwrap();
    once(&cluster, &urls, &["--config", config.to_str().unwrap()]).expect("the file", 0);
    let system = run(&cluster, &urls, &["-n", "--cert", &cert, "--key-file", &key])
        .env("SSL_CERT_FILE", &ca);
    system.args(["true"]).finish().expect("what OpenSSL takes for the system's", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_client_certificate_that_is_missing_or_wrong_is_a_matter_of_access() {
    let pki = Pki::new();
    pki.authority("other");
    pki.issue("stranger", "other", "DNS:client", "2");
    pki.issue("old", "ca", "DNS:client", "-1");
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        let options = ["--tls-auth-clients", "yes", "--tls-protocols", protocol];
        let cluster = Cluster::start_tls(3, &pki, &options);
        let urls = cluster.tls_urls();
        let with = |name: &str| {
            let (cert, key) = (pki.text(&format!("{name}.crt")), pki.text(&format!("{name}.key")));
            once(
                &cluster,
                &urls,
                &["--cacert", &pki.text("ca.crt"), "--cert", &cert, "--key-file", &key],
            )
        };
        let without = once(&cluster, &urls, &["--cacert", &pki.text("ca.crt")]);
        refused(&cluster, without, protocol, 77, &["client certificate", "--key-file"]);
        refused(&cluster, with("stranger"), protocol, 77, &["does not trust"]);
        refused(&cluster, with("old"), protocol, 77, &["--cert", "expired"]);
        assert_eq!(with("server").expect(protocol, 0).out(), "ran\n");
    }
}

#[test]
fn a_server_whose_certificate_does_not_convince_is_a_matter_of_configuration() {
    let pki = Pki::new();
    pki.authority("other");
    pki.issue("elsewhere", "ca", "DNS:elsewhere.example,IP:127.0.0.2", "2");
    pki.issue("old", "ca", crate::support::pki::HERE, "-1");
    for (label, name, roots, words) in [
        (
            "signed by somebody",
            "server",
            Some("other.crt"),
            ["not signed by a CA that is trusted", "--cacert"],
        ),
        (
            "unknown to the system",
            "server",
            None,
            ["not signed by a CA that is trusted", "--cacert"],
        ),
        (
            "for another host",
            "elsewhere",
            Some("ca.crt"),
            ["its certificate is not valid for '127.0.0.1'", ""],
        ),
        ("of yesterday", "old", Some("ca.crt"), ["its certificate has expired", ""]),
        ("that of a CA", "ca", Some("ca.crt"), ["its certificate is that of a CA", "CA:FALSE"]),
    ] {
        let cluster = Cluster::start_tls_as(3, &pki.options(name), &[]);
        let roots = pki.text(roots.unwrap_or("other.crt"));
        let output = match label {
            // A machine may have no CAs of its own.
            "unknown to the system" => {
                let run = run(&cluster, &cluster.tls_urls(), &["-n"]).env("SSL_CERT_FILE", &roots);
                run.args(["true"]).finish()
            }
            _ => once(&cluster, &cluster.tls_urls(), &["--cacert", &roots]),
        };
        assert!(
            output.stderr.matches(": its certificate").count() >= 2,
            "{label}: not for each: {}",
            output.stderr
        );
        refused(&cluster, output, label, 78, &words);
    }
}

#[test]
fn a_minority_whose_certificate_does_not_convince_is_done_without() {
    let pki = Pki::new();
    pki.issue("named", "ca", "DNS:localhost", "2");
    let cluster = Cluster::start_tls_as(5, &pki.options("named"), &[]);
    let urls = format!(
        "{},{}",
        cluster.tls_urls_of(0..2),
        cluster.tls_urls_of(2..5).replace("127.0.0.1", "localhost")
    );
    let output =
        once(&cluster, &urls, &["--cacert", &pki.text("ca.crt")]).expect("three of five", 0);
    assert_eq!(output.out(), "ran\n");
    output.expect_words(
        "said once",
        &["2 of 5 instances cannot vote", "its certificate is not valid"],
    );
    cluster.until_no_key_is_left();
}

#[test]
fn a_file_that_cannot_be_used_is_named_and_nothing_is_locked() {
    let pki = Pki::new();
    let cluster = Cluster::start_tls(3, &pki, &[]);
    fs::write(pki.path("empty.pem"), "").unwrap();
    fs::write(
        pki.path("damaged.pem"),
        "-----BEGIN CERTIFICATE-----\nsecret!\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    fs::write(
        pki.path("broken.key"),
        "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n",
    )
    .unwrap();
    let text = |file: &str| pki.text(file);
    let (ca, cert, key) = (text("ca.crt"), text("server.crt"), text("server.key"));
    let missing = "/no/such/file.pem";
    let table: [(&str, &[&str], i32, &[&str]); 10] = [
        ("no CA file", &["--cacert", missing], 78, &[missing]),
        (
            "an empty CA file",
            &["--cacert", &text("empty.pem")],
            78,
            &["empty.pem", "no certificate"],
        ),
        ("a key as CA file", &["--cacert", &key], 78, &["server.key", "no certificate"]),
        ("a damaged CA file", &["--cacert", &text("damaged.pem")], 78, &["damaged.pem", "damaged"]),
        ("no certificate file", &["--cert", missing, "--key-file", &key], 78, &[missing]),
        ("no key file", &["--cert", &cert, "--key-file", missing], 78, &[missing]),
        (
            "a certificate as key",
            &["--cert", &cert, "--key-file", &cert],
            78,
            &["server.crt", "private key"],
        ),
        (
            "a broken key",
            &["--cert", &cert, "--key-file", &text("broken.key")],
            78,
            &["broken.key", "private key"],
        ),
        (
            "another's key",
            &["--cert", &cert, "--key-file", &text("ca.key")],
            78,
            &["ca.key", "server.crt"],
        ),
        ("a certificate alone", &["--cert", &cert], 64, &["--key-file"]),
    ];
    for (label, options, code, words) in table {
        let with_ca = [&["--cacert", &ca][..], options].concat();
        let with_ca = if options[0] == "--cacert" { options } else { &with_ca };
        let output = once(&cluster, &cluster.tls_urls(), with_ca);
        assert!(
            !output.stderr.contains("secret"),
            "{label}: what is in the file is shown: {}",
            output.stderr
        );
        refused(&cluster, output, label, code, words);
    }
    once(&cluster, &cluster.urls(), &["--cacert", missing]).expect("nobody needs the file", 0);
}

#[test]
fn a_port_that_speaks_something_else_is_called_so() {
    let pki = Pki::new();
    let cluster = Cluster::start_tls(3, &pki, &[]);
    let ca = pki.text("ca.crt");
    let output = once(&cluster, &cluster.urls().replace("redis", "rediss"), &["--cacert", &ca]);
    // A server without TLS answers only if the random bytes that it gets contain the end of a line.
    let code = output.status.code();
    assert!(matches!(code, Some(69 | 78)), "TLS to a port without: {code:?} {}", output.stderr);
    output.expect_words("TLS to a port without", &["TLS", "on this port", &cluster.address(0)]);
    let output = once(&cluster, &cluster.tls_urls().replace("rediss", "redis"), &[]);
    output
        .expect("no TLS to a port with", 69)
        .expect_words("no TLS to a port with", &["as a server with TLS does (rediss://)"]);
    cluster.until_no_key_is_left();
}

#[test]
fn servers_that_hang_in_the_handshake_cost_no_time() {
    let pki = Pki::new();
    let mut cluster = Cluster::start_tls_alone(5, &pki, &[]);
    cluster.stop(0);
    cluster.stop(1);
    let options = ["--cacert", &pki.text("ca.crt"), "--ttl", "1m", "--op-timeout", "15s"];
    let start = now();
    let running = run(&cluster, &cluster.tls_urls(), &options).args(HOLD).spawn();
    running.until_ready();
    assert!(since(start) < Duration::from_secs(5), "the start took {:?}", since(start));
    let end = now();
    running.finish().expect("three of five", 0);
    assert!(since(end) < Duration::from_secs(5), "the end took {:?}", since(end));
    cluster.cont(0);
    cluster.cont(1);
    cluster.until_no_key_is_left();
}

#[test]
fn requests_through_tls_that_come_when_all_is_over_leave_no_key() {
    let pki = Pki::new();
    let cluster = Cluster::start_tls(3, &pki, &[]);
    let proxy = Proxy::before(cluster.tls_port(0));
    let monitor = Monitor::of(&cluster, 0);
    let urls = format!("{},{}", proxy.tls_url(), cluster.tls_urls_of(1..3));
    for round in 1..=3 {
        proxy.set(Way::Requests, Fate::HoldAfterFirst);
        let running = run(&cluster, &urls, &["--ttl", "1m", "--cacert", &pki.text("ca.crt")])
            .args(HOLD)
            .spawn();
        running.until_ready();
        proxy.until_held();
        running.finish().expect("two of three", 0);
        proxy.set(Way::Requests, Fate::Pass);
        until("the late SET has come", || monitor.attempts(KEY).len() == round);
        cluster.until_no_key_is_left();
    }
}

#[test]
fn a_server_with_tls_that_hangs_at_the_end_keeps_no_ghost() {
    let pki = Pki::new();
    let mut cluster = Cluster::start_tls(3, &pki, &[]);
    let options = ["--ttl", "1m", "--cacert", &pki.text("ca.crt")];
    let running = hold_everywhere(&cluster, &cluster.tls_urls(), &options);
    cluster.stop(0);
    running.finish().expect("two of three", 0);
    cluster.cont(0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_server_with_tls_that_slept_through_many_extensions_keeps_no_ghost() {
    let pki = Pki::new();
    let mut cluster = Cluster::start_tls(3, &pki, &[]);
    let options = ["--ttl", "6s", "--cacert", &pki.text("ca.crt")];
    let running = hold_everywhere(&cluster, &cluster.tls_urls(), &options);
    cluster.stop(0);
    let monitor = Monitor::of(&cluster, 1);
    monitor.until_extended(KEY, 4);
    running.finish().expect("two of three", 0);
    cluster.cont(0);
    let woken = now();
    cluster.until_no_key_is_left();
    assert!(since(woken) < Duration::from_secs(3), "the key was not deleted, it expired");
}
