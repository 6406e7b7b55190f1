//! Servers that have no room for another connection.

use crate::support::clock::let_pass;
use crate::support::{Cluster, Run, hold, until};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A connection that is made before the server is full.
struct Admin(TcpStream);

impl Admin {
    fn of(cluster: &Cluster, i: usize) -> Self {
        let mut admin =
            Self(TcpStream::connect(("127.0.0.1", cluster.port(i))).expect("the server listens"));
        admin.ask("PING");
        admin
    }

    fn ask(&mut self, line: &str) -> String {
        self.0.write_all(format!("{line}\r\n").as_bytes()).expect("the server reads");
        let (mut all, mut room) = (String::new(), [0; 4096]);
        while !is_whole(&all) {
            let count = self.0.read(&mut room).expect("the server answers");
            all.push_str(&String::from_utf8_lossy(&room[..count]));
        }
        all
    }

    fn info(&mut self, name: &str) -> usize {
        let info = self.ask("INFO");
        let field = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        field.expect("the field").parse().expect("a number")
    }
}

/// Whether a reply is complete: a line, or a bulk string of the length in its line.
fn is_whole(reply: &str) -> bool {
    let Some((line, rest)) = reply.split_once("\r\n") else { return false };
    let length = line.strip_prefix('$').map(|length| length.parse::<usize>().expect("a length"));
    length.is_none_or(|length| rest.len() >= length + 2)
}

#[test]
fn a_contender_that_is_refused_for_want_of_room_gives_way() {
    let cluster = Cluster::start(3);
    let mut admins: Vec<_> = (0..3).map(|i| Admin::of(&cluster, i)).collect();
    let mut holder = hold(&cluster, "held", &["--ttl", "3s"]);
    until("the servers know the holder and the admin alone", || {
        admins.iter_mut().all(|admin| admin.info("connected_clients") == 2)
    });
    for admin in &mut admins {
        admin.ask("CONFIG SET maxclients 2");
    }
    let contend =
        |name: &str| Run::redlock(&cluster).args(["run", "-w", "6s", name, "--", "true"]).spawn();
    let contenders: Vec<_> = ["held", "other", "third"].into_iter().map(contend).collect();
    until("each was refused", || {
        admins.iter_mut().all(|admin| admin.info("rejected_connections") >= 3)
    });
    // The holder reconnects, in competition with the contenders.
    for admin in &mut admins {
        admin.ask("CLIENT KILL TYPE normal SKIPME yes");
    }
    let_pass(Duration::from_secs(5));
    holder.assert_goes_on("it has reconnected");
    for contender in contenders {
        let output = contender.wait().expect("no room", 69);
        output.expect_words("no room", &["max number of clients"]);
    }
    // Refusals of each of three contenders: at 0, 1 and 3 s, or at 0, 0.25, 0.75, 1.75 and 3.75 s
    // if a reset hides the error. The holder reconnects at once.
    let refused: Vec<_> =
        admins.iter_mut().map(|admin| admin.info("rejected_connections")).collect();
    assert!(refused.iter().all(|count| *count <= 20), "connections refused: {refused:?}");
    for admin in &mut admins {
        admin.ask("CONFIG SET maxclients 100");
    }
    holder.finish().expect("held", 0);
    cluster.until_no_key_is_left();
}
