//! The commands that a server was sent, with the time: its `MONITOR`.

use super::Cluster;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// One command that a server executed.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Time of the execution, by the wall clock.
    pub(crate) at: Duration,
    /// Whether a script called the command.
    pub(crate) by_script: bool,
    pub(crate) words: Vec<String>,
}

impl Seen {
    /// Whether this is `command` on `key`. Case does not matter.
    pub(crate) fn is(&self, command: &str, key: &str) -> bool {
        let named = self.words.first().is_some_and(|word| word.eq_ignore_ascii_case(command));
        named && self.words.get(1).is_some_and(|word| word == key)
    }

    /// Whether this is a script with `key` as its only or first key.
    pub(crate) fn is_eval_on(&self, key: &str) -> bool {
        self.words.first().is_some_and(|word| word.eq_ignore_ascii_case("EVAL"))
            && self.words.get(3).is_some_and(|word| word == key)
    }

    /// Whether the command only tries a right: it would set an existing key, or extend a missing
    /// one.
    pub(crate) fn is_probe(&self) -> bool {
        self.by_script
            && match &self.words[..] {
                [_, _, _, option] => option == "XX",
                [_, _, length] => length == "1" || length == "x",
                _ => false,
            }
    }
}

/// Listens to one server until this is dropped.
pub(crate) struct Monitor {
    stream: TcpStream,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Monitor {
    pub(crate) fn of(cluster: &Cluster, i: usize) -> Self {
        let mut stream =
            TcpStream::connect(("127.0.0.1", cluster.port(i))).expect("the server listens");
        stream.write_all(b"MONITOR\r\n").expect("the server reads");
        let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
        assert_eq!(lines.next().expect("an answer").expect("an answer"), "+OK");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let ours = Arc::clone(&seen);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                seen.lock().expect("no panic").extend(parse(&line));
            }
        });
        Self { stream, seen: ours }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }

    /// The values to which runs and other clients tried to set this key, in order: by SET, or by a
    /// script that sets with NX.
    pub(crate) fn attempts(&self, key: &str) -> Vec<String> {
        self.attempts_at(key).into_iter().map(|(_, value)| value).collect()
    }

    /// The same, each with its moment.
    pub(crate) fn attempts_at(&self, key: &str) -> Vec<(Duration, String)> {
        let value = |seen: &Seen| {
            let is_acquisition =
                seen.words.get(1).is_some_and(|script| script.contains("'NX', 'PX'"))
                    && seen.is_eval_on(key);
            let place = if is_acquisition { 4 } else { 2 };
            (!seen.by_script && (is_acquisition || seen.is("SET", key)))
                .then(|| (seen.at, seen.words[place].clone()))
        };
        self.seen().iter().filter_map(value).collect()
    }

    /// The moments at which this key got a new expiry.
    pub(crate) fn extensions(&self, key: &str) -> Vec<Duration> {
        self.seen()
            .into_iter()
            .filter(|seen| seen.is("PEXPIRE", key) && !seen.is_probe())
            .map(|seen| seen.at)
            .collect()
    }

    /// The moment at which this key last got an expiry, by a SET or later.
    pub(crate) fn last_expiry_set(&self, key: &str) -> Duration {
        let expiries = self
            .seen()
            .into_iter()
            .filter(|seen| (seen.is("PEXPIRE", key) || seen.is("SET", key)) && !seen.is_probe());
        expiries.map(|seen| seen.at).max().expect("the key was set")
    }

    /// Waits until the key was extended so many more times.
    pub(crate) fn until_extended(&self, key: &str, times: usize) {
        let before = self.extensions(key).len();
        super::until(&format!("{key} was extended {times} times"), || {
            self.extensions(key).len() >= before + times
        });
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Parses `+1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`. For a script, the client is `lua`.
fn parse(line: &str) -> Option<Seen> {
    let (stamp, rest) = line.strip_prefix('+')?.split_once(" [")?;
    let (seconds, micros) = stamp.split_once('.')?;
    let at =
        Duration::from_secs(seconds.parse().ok()?) + Duration::from_micros(micros.parse().ok()?);
    let (client, words) = rest.split_once("] ")?;
    Some(Seen { at, by_script: client.ends_with(" lua"), words: words_of(words) })
}

/// The words between quotes, as far as they are ASCII.
fn words_of(text: &str) -> Vec<String> {
    let (mut words, mut word, mut chars) = (Vec::new(), None::<String>, text.chars());
    while let Some(char) = chars.next() {
        match (char, &mut word) {
            ('"', Some(_)) => words.extend(word.take()),
            ('"', None) => word = Some(String::new()),
            ('\\', Some(word)) => match chars.next() {
                Some('n') => word.push('\n'),
                Some('r') => word.push('\r'),
                Some('t') => word.push('\t'),
                other => word.extend(other),
            },
            (char, Some(word)) => word.push(char),
            (_, None) => {}
        }
    }
    words
}
