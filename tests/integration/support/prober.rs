//! A client that takes a lock as soon as a majority of the servers grants it, and notes the time.

use super::Cluster;
use super::clock::wall;
use redis::{Client, Connection, RedisError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Tries until it is stopped. It keeps an acquired majority for a while, as a client would.
pub(crate) struct Prober {
    stop: Arc<AtomicBool>,
    first: Option<JoinHandle<Option<Duration>>>,
}

impl Prober {
    pub(crate) fn of(cluster: &Cluster, key: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (urls, key, over) = (cluster.all_urls(), key.to_owned(), Arc::clone(&stop));
        let first = thread::spawn(move || {
            let mut servers: Vec<Server> =
                urls.into_iter().map(|url| Server { url, connection: None }).collect();
            loop {
                // Read before the attempt, so that one attempt follows the event that the test
                // waited for.
                let is_last = over.load(Ordering::SeqCst);
                let won = attempt(&mut servers, &key);
                if won.is_some() || is_last {
                    return won;
                }
            }
        });
        Self { stop, first: Some(first) }
    }

    /// Whether the prober has had the lock.
    pub(crate) fn has_won(&self) -> bool {
        self.first.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// The first acquisition, by the wall clock; tries once more before the answer.
    pub(crate) fn first(mut self) -> Option<Duration> {
        self.stop.store(true, Ordering::SeqCst);
        self.first.take().expect("asked once").join().expect("no panic")
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

struct Server {
    url: String,
    connection: Option<Connection>,
}

impl Server {
    /// Sends one command. A late answer counts as none.
    fn ask(&mut self, words: &[&str]) -> Result<redis::Value, RedisError> {
        let limit = Duration::from_millis(60);
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Client::open(self.url.as_str())?.get_connection_with_timeout(limit)?,
        };
        connection.set_read_timeout(Some(limit))?;
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(*word);
        });
        let reply = command.query(&mut connection)?;
        // A connection with an answer outstanding is not used again.
        self.connection = Some(connection);
        Ok(reply)
    }
}

/// One attempt on all servers. Fewer votes than a majority are released.
fn attempt(servers: &mut [Server], key: &str) -> Option<Duration> {
    let quorum = servers.len() / 2 + 1;
    let set = ["SET", key, "prober", "NX", "PX", "3000"];
    let granted: Vec<_> = servers
        .iter_mut()
        .map(|server| matches!(server.ask(&set), Ok(redis::Value::Okay)))
        .collect();
    let when = wall();
    if granted.iter().filter(|granted| **granted).count() >= quorum {
        return Some(when);
    }
    for (server, granted) in servers.iter_mut().zip(granted) {
        if granted {
            let mine =
                "if redis.call('GET', KEYS[1]) == 'prober' then redis.call('DEL', KEYS[1]) end";
            let _ = server.ask(&["EVAL", mine, "1", key]);
        }
    }
    None
}
