//! Servers that are no Redis, or send malicious replies: one of three can only abstain, and all
//! together can only deny.

mod bytes;
mod matrix;
mod meter;
mod peer;
mod resp;
mod table;
mod values;

use crate::support::clock::{now, since};
use crate::support::{Cluster, HOLD, Monitor, Run, until};
use matrix::{Cell, EXTENTS, Extent, STEPS, Step, TTL};
use meter::Figures;
use peer::Peer;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use table::{FAST, Row, rows};

/// Reads until the end, and counts the bytes.
fn swallow(mut stream: TcpStream, came: &AtomicUsize) {
    let mut room = [0; 4096];
    while let Ok(count) = stream.read(&mut room) {
        if count == 0 {
            return;
        }
        came.fetch_add(count, Ordering::Relaxed);
    }
}

/// A server that reads and never replies, and the number of bytes that it has read. Its threads end
/// with their connections.
fn silent_server() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("redis://{}", listener.local_addr().expect("an address"));
    let came = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&came);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counter = Arc::clone(&counter);
            thread::spawn(move || swallow(stream, &counter));
        }
    });
    (url, came)
}

/// Tries these rows of the table, with each of these extents, from each step on. Prints a line for
/// each row, and returns the failures.
fn survey(rows: &[Row], extents: &[Extent], hold: Duration, cpu_percent: u32) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let cells: Mutex<Vec<Tried>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let cluster = Cluster::start(5);
                // The marks must be older than the longest lease.
                let _ = tried(&cluster, rows[0], (Extent::TwoOfFive, Step::Acquire), hold, "first");
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let (row, rest) = (number / STEPS.len(), STEPS[number % STEPS.len()]);
                    let (row, extent) = (row / extents.len(), extents[row % extents.len()]);
                    let cell = (extent, rest);
                    let Some(found) = rows.get(row) else { return };
                    // A busy machine makes a cell fail now and then, a fault of redlock every time.
                    let mut again = (0..TRIES).map(|n| {
                        tried(&cluster, *found, cell, hold, &format!("harm-{number}-{n}"))
                    });
                    let first = again.next().unwrap_or_else(|| Err("it was not tried".into()));
                    let result = first.or_else(|why| again.find_map(Result::ok).ok_or(why));
                    let mut cells = cells.lock().expect("no thread has panicked");
                    cells.push((row, cell.0, cell.1, result));
                }
            });
        }
    });
    let mut cells = cells.into_inner().expect("no thread has panicked");
    cells.sort_by_key(|(row, extent, step, _)| (*row, *extent as u8, *step as u8));
    report(rows, extents, &cells, cpu_percent)
}

/// Number of tries after which a cell counts as wrong, if all fail.
const TRIES: usize = 3;
/// Number of cells that are tried at once: a cell waits more than it works.
const AT_ONCE: usize = 8;

/// The number of a row, one of its cells, and the result.
type Tried = (usize, Extent, Step, Result<Figures, String>);

fn tried(
    cluster: &Cluster,
    row: Row,
    (extent, step): (Extent, Step),
    hold: Duration,
    name: &str,
) -> Result<Figures, String> {
    let cell = Cell::new(cluster, row, extent, name.to_owned());
    let result = catch_unwind(AssertUnwindSafe(|| cell.try_step(step, hold)));
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map_or("it panicked", String::as_str);
        Err(text.chars().take(900).collect())
    })
}

fn report(rows: &[Row], extents: &[Extent], cells: &[Tried], cpu_percent: u32) -> Vec<String> {
    println!("took ms / cpu ms / peak MiB, by the step from which on the servers lie");
    let mut wrong = vec![];
    let honest = |step: Step| {
        let of_step = |(row, _, other, _): &&(usize, _, Step, _)| *row == 0 && *other == step;
        let all = cells.iter().filter(of_step).filter_map(|(.., result)| result.as_ref().ok());
        all.fold(Figures::default(), |all, one| all.max(*one))
    };
    for (number, row) in rows.iter().enumerate() {
        for extent in extents.iter().copied() {
            print!("{:44} {:10} ", row.0, format!("{extent:?}"));
            for (_, _, step, result) in
                cells.iter().filter(|(row, other, ..)| *row == number && *other == extent)
            {
                let label = format!("{}, {extent:?}, {step:?}", row.0);
                match result {
                    Ok(figures) => {
                        let most = honest(*step).cpu
                            + figures.lived * cpu_percent / 100
                            + Duration::from_millis(30);
                        if figures.cpu > most {
                            wrong.push(format!(
                                "{label}: {:?} of processor time, at most {most:?}",
                                figures.cpu
                            ));
                        }
                        let (took, cpu) = (figures.took.as_millis(), figures.cpu.as_millis());
                        print!("{step:?} {took:5} {cpu:4} {:2}   ", figures.peak >> 10);
                    }
                    Err(why) => {
                        wrong.push(format!("{label}: {why}"));
                        print!("{step:?} WRONG            ");
                    }
                }
            }
            println!();
        }
    }
    wrong
}

#[test]
fn a_minority_that_lies_can_only_abstain_and_all_servers_can_only_deny() {
    let rows: Vec<Row> = rows().into_iter().filter(|row| FAST.contains(&row.0)).collect();
    assert_eq!(rows.len(), FAST.len(), "each is in the table");
    let wrong = survey(&rows, &[Extent::OneOfThree, Extent::All], TTL, 100);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "takes some minutes: make hostile"]
fn the_whole_matrix_of_misbehaviours() {
    let word = std::env::var("REDLOCK_HOSTILE_WORD").unwrap_or_default();
    let rows: Vec<Row> =
        rows().into_iter().filter(|row| row.0 == "honest" || row.0.contains(&word)).collect();
    assert!(!word.is_empty() || rows.len() > 60, "misbehaviours: {}", rows.len());
    let wrong = survey(&rows, &EXTENTS, TTL * 5, if cfg!(debug_assertions) { 25 } else { 5 });
    println!("{} misbehaviours, {} cells, {} wrong", rows.len(), rows.len() * 12, wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_waiter_sends_no_more_to_servers_that_never_answer_however_long_it_waits() {
    let cluster = Cluster::start(1);
    let servers = [(); 3].map(|()| silent_server());
    let urls = servers.iter().map(|(url, _)| url.clone()).collect::<Vec<_>>().join(",");
    let options = ["run", "--ttl", "1s", "--op-timeout", "1ms", "harm", "--", "true"];
    let mut waiter = Run::redlock(&cluster).env("REDLOCK_URLS", urls).args(options).spawn();
    let sent = || servers.iter().map(|(_, came)| came.load(Ordering::Relaxed)).sum::<usize>();
    until("much was asked", || sent() > 3 * 4_000);
    let mut last = (sent(), now());
    until("nothing more is sent for some seconds", || {
        let sent = sent();
        if sent != last.0 {
            last = (sent, now());
        }
        !waiter.goes_on() || since(last.1) > Duration::from_secs(6)
    });
    assert!(waiter.goes_on(), "it waits");
    waiter.signal(nix::sys::signal::Signal::SIGTERM);
    waiter.wait().expect_death("by the signal", nix::sys::signal::Signal::SIGTERM);
}

#[test]
fn a_holder_comes_back_ever_later_to_a_server_that_confirms_and_closes() {
    let cluster = Cluster::start(3);
    let rows = rows();
    let row = rows.iter().find(|row| row.0 == "closes after each report of itself").expect("a row");
    let peer = Peer::before(cluster.port(0), row.2, row.1);
    peer.lie();
    let honest = (1..3).map(|i| format!("redis://default:any@{}/1", cluster.address(i)));
    let urls = std::iter::once(peer.url()).chain(honest).collect::<Vec<_>>().join(",");
    let monitors = [0, 1].map(|i| Monitor::of(&cluster, i));
    let run = Run::redlock(&cluster).env("REDLOCK_URLS", urls);
    let mut holder = run.args(["run", "--ttl", "1s", "harm", "--"]).args(HOLD).spawn();
    holder.until_ready();
    monitors[1].until_extended("redlock:harm", 9);
    let [closing, sound] = monitors.map(|monitor| monitor.extensions("redlock:harm").len());
    assert!((9..4 * sound).contains(&closing), "{closing} logins, {sound} extensions");
    holder.assert_goes_on("a minority closes");
    holder.finish().expect("a minority closes", 0);
}

#[test]
fn a_holder_from_the_end_of_time_ends_no_waiter() {
    let cluster = Cluster::start(3);
    let claim = format!(
        "{{\"v\":1,\"id\":\"\",\"token\":\"\",\"owner\":\"x\",\"pid\":1,\"cmd\":\"c\",\"since\":{},\"ttl_ms\":1,\"n\":3}}",
        u64::MAX
    );
    (0..3).for_each(|i| drop(cluster.cli(i, &["SET", "redlock:harm", &claim, "PX", "60000"])));
    let output = Run::redlock(&cluster)
        .args(["run", "-n", "harm", "--", "true"])
        .finish()
        .expect("busy", 75);
    output.expect_words("its holder", &["'harm' is busy, held by x (c, pid 1)"]);
}
