//! Lists of servers: how they are written, and which setting wins.

use crate::support::{Cluster, Run, key_of};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn every_way_to_write_an_instance_works() {
    let cluster = Cluster::start(3);
    let socket = |i: usize| cluster.socket(i).display().to_string();
    let table = [
        ("redis://", cluster.urls()),
        ("bare addresses", (0..3).map(|i| cluster.address(i)).collect::<Vec<_>>().join(",")),
        ("sockets", (0..3).map(|i| format!("unix://{}", socket(i))).collect::<Vec<_>>().join(",")),
        ("separated by blanks", cluster.urls().replace(',', " ")),
        ("separated by both", cluster.urls().replace(',', ", ")),
        ("names", cluster.urls().replace("127.0.0.1", "localhost")),
        ("mixed", format!("{} {},unix://{}", cluster.url(0), cluster.address(1), socket(2))),
        ("a trailing comma", format!("{},", cluster.urls())),
    ];
    for (label, urls) in table {
        let run = Run::redlock(&cluster).knowing_localhost(&cluster).env("REDLOCK_URLS", urls);
        run.args(["run", "--ttl", "1m", "any", "--", "true"])
            .finish()
            .expect(label, 0)
            .expect_silence(label);
        cluster.until_no_key_is_left();
    }
}

#[test]
fn the_database_of_a_url_holds_the_key() {
    let cluster = Cluster::start(3);
    let urls = (0..3).map(|i| format!("{}/2", cluster.url(i))).collect::<Vec<_>>().join(",");
    let script = "echo ready; cat >/dev/null";
    let run = Run::redlock(&cluster)
        .env("REDLOCK_URLS", urls)
        .args(["run", "base", "--", "sh", "-c", script]);
    let running = run.spawn();
    running.until_ready();
    let everywhere: Vec<String> = (0..3).map(|i| cluster.ask(i, &["INFO", "keyspace"])).collect();
    let held = everywhere
        .iter()
        .filter(|info| info.contains("db2:keys=1") && !info.contains("db0:"))
        .count();
    assert!(held >= 2, "a majority has the key in database 2: {everywhere:?}");
    running.finish().expect("in database 2", 0);
}

#[test]
fn a_flag_goes_before_the_variable_and_the_variable_before_the_file() {
    let cluster = Cluster::start(6);
    let config = cluster.dir().join("config.toml");
    let (first, second) = (cluster.urls_of(0..3), cluster.urls_of(3..6));
    let list =
        |urls: &str| urls.split(',').map(|url| format!("{url:?}")).collect::<Vec<_>>().join(", ");
    fs::write(&config, format!("urls = [{}]\nttl = \"7s\"\nprefix = \"file:\"\n", list(&second)))
        .unwrap();
    let show = ["run", "which", "--", "sh", "-c", r#"echo "$REDLOCK_TTL_MS $REDLOCK_KEY""#];
    let with_file = || Run::redlock(&cluster).env("REDLOCK_CONFIG", &config);

    let file = with_file().without("REDLOCK_URLS").args(show).finish().expect("the file alone", 0);
    assert_eq!(file.out(), "7000 file:which\n");
    let variable = with_file()
        .env("REDLOCK_URLS", &first)
        .env("REDLOCK_TTL", "8")
        .env("REDLOCK_PREFIX", "var:");
    assert_eq!(variable.args(show).finish().expect("variables", 0).out(), "8000 var:which\n");
    let flag = with_file().env("REDLOCK_TTL", "8").env("REDLOCK_PREFIX", "var:");
    let flag = flag.args(["run", "--ttl", "9s", "--prefix", "flag:"]).args(&show[1..]);
    assert_eq!(flag.finish().expect("flags", 0).out(), "9000 flag:which\n");
}

#[test]
fn the_servers_of_the_flag_replace_those_of_the_variable() {
    let cluster = Cluster::start(6);
    let flags = (3..6).flat_map(|i| ["-u".to_owned(), cluster.url(i)]);
    let run =
        Run::redlock(&cluster).env("REDLOCK_URLS", cluster.urls_of(0..3)).args(["run"]).args(flags);
    let running = run.args(["which", "--", "sh", "-c", "echo ready; cat >/dev/null"]).spawn();
    running.until_ready();
    let holders = |which: std::ops::Range<usize>| {
        which.filter(|&i| cluster.get(i, &key_of("which")).is_some()).count()
    };
    assert_eq!(holders(0..3), 0, "the servers of the variable were asked");
    assert!(holders(3..6) >= 2, "the servers of the flag were not asked");
    running.finish().expect("by flag", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn a_single_instance_is_enough_with_the_option_single() {
    let cluster = Cluster::start(1);
    let running = Run::redlock(&cluster).args(["run", "--single", "one", "--"]);
    let running = running.args(["sh", "-c", "echo ready; cat >/dev/null"]).spawn();
    running.until_ready();
    assert!(cluster.get(0, &key_of("one")).is_some(), "the only instance has the key");
    Run::redlock(&cluster)
        .args(["run", "--single", "-n", "one", "--", "true"])
        .finish()
        .expect("busy", 75);
    running.finish().expect("single", 0);
    cluster.until_no_key_is_left();
}

#[test]
fn an_even_number_of_instances_warns() {
    let cluster = Cluster::start(4);
    let output = Run::redlock(&cluster).args(["run", "even", "--", "true"]).finish();
    output.expect("four", 0).expect_words("four", &["4"]);
}

/// The address of a server that speaks another protocol, for as long as the test lives.
fn web_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // The server answers every request, and closes no connection.
            std::thread::spawn(move || {
                while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {
                    stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
                }
            });
        }
    });
    address
}

/// The address of a server that closes each connection after the first read, as a full one does,
/// and the number of these connections.
fn full_server() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            counter.fetch_add(1, Ordering::Relaxed);
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    (address, count)
}

#[test]
fn a_waiting_run_does_not_hammer_a_server_that_closes_each_connection() {
    let cluster = Cluster::start(2);
    let (address, connections) = full_server();
    (0..2).for_each(|i| cluster.occupy(i, "redlock:full"));
    let urls = format!("{},{},{address}", cluster.url(0), cluster.url(1));
    let running = Run::redlock(&cluster)
        .env("REDLOCK_URLS", urls)
        .args(["run", "-w", "2s", "full", "--", "true"])
        .spawn();
    running.wait().expect("it is held", 75);
    let connections = connections.load(Ordering::Relaxed);
    // Each attempt has a vote, a release and a place. The holder of another client is polled every
    // half second.
    assert!((2..40).contains(&connections), "{connections} connections in two seconds");
}

#[test]
fn servers_that_speak_another_protocol_are_told_apart_from_silent_ones() {
    let cluster = Cluster::start(1);
    let others: Vec<String> = (0..2).map(|_| web_server()).collect();
    let urls = format!("{},{},{}", cluster.url(0), others[0], others[1]);
    let run = Run::redlock(&cluster)
        .env("REDLOCK_URLS", urls)
        .args(["run", "-n", "web", "--", "echo", "ran"]);
    let output = run.finish().expect("no quorum", 69);
    assert_eq!(output.out(), "");
    output.expect_words("each is named", &[&others[0], &others[1], "no Redis server"]);
    cluster.until_no_key_is_left();
}
