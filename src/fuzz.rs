//! Mutated inputs for the fuzz tests of the parsers.
//!
//! Without a library, so that a fuzz test runs with the other tests: inputs are mutations of seeds,
//! without feedback from the code under test. Each test tries some thousands of inputs, or for
//! `REDLOCK_FUZZ_SECONDS` (`make fuzz`). `REDLOCK_FUZZ_SEED` repeats a run.
#![cfg(test)]
#![allow(clippy::print_stdout, reason = "a long run tells its seed and its number of inputs")]

use crate::supervisor::now;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

/// Number of inputs of a short run.
const SHORT: u64 = 3_000;
/// Longest input, in bytes.
const MOST_BYTES: usize = 1 << 17;
/// Longest time for one input, on a machine that does much else.
const MOST_TIME: Duration = Duration::from_secs(5);

/// Pieces that mean something to one of the parsers.
const PIECES: [&[u8]; 32] = [
    b"\r\n",
    b"\n",
    b"\0",
    b" ",
    b":",
    b"-1",
    b"0",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"99999999999999999999999",
    b"1e999",
    b"NaN",
    b"$",
    b"*1\r\n",
    b"%1\r\n",
    b">2\r\n",
    b"_\r\n",
    b"{\"",
    b"\":",
    b"[",
    b"]",
    b"null",
    b"%",
    b"%40",
    b"@",
    b"//",
    b"?",
    b"#",
    b",",
    b"\xff",
    b"\xe2\x80\xae",
    b"\x1b[2J",
];

/// Random numbers: splitmix64.
pub(crate) struct Dice(u64);

impl Dice {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is at least 1.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// One of `choices`.
    pub(crate) fn one_of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}

/// Tries mutations of `seeds` on `target`, which must not panic. `target` gets the dice, too.
pub(crate) fn fuzz(name: &str, seeds: &[&[u8]], target: impl Fn(&[u8], &mut Dice)) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number("REDLOCK_FUZZ_SECONDS");
    let moment = u64::try_from(crate::supervisor::since_1970().as_nanos() & 0xffff_ffff).unwrap();
    // A short run is the same each time.
    let seed = number("REDLOCK_FUZZ_SEED").unwrap_or(if seconds.is_some() { moment } else { 1 });
    let (begun, mut tried, mut dice) = (now(), 0, Dice(seed));
    for seed in seeds {
        target(seed, &mut dice);
    }
    loop {
        let is_over = match seconds {
            Some(seconds) => now().since(begun) >= Duration::from_secs(seconds),
            None => tried >= SHORT,
        };
        if is_over {
            break;
        }
        let input = mutated(seeds, &mut dice);
        let sent = now();
        let result = catch_unwind(AssertUnwindSafe(|| target(&input, &mut dice)));
        let took = now().since(sent);
        let shown = || String::from_utf8_lossy(&input).escape_debug().to_string();
        if let Err(panic) = result {
            println!("fuzz {name}: REDLOCK_FUZZ_SEED={seed}, input {tried}: \"{}\"", shown());
            resume_unwind(panic);
        }
        assert!(took < MOST_TIME, "{name}, seed {seed}: {took:?} for \"{}\"", shown());
        tried += 1;
    }
    if seconds.is_some() {
        println!("fuzz {name}: {tried} inputs, REDLOCK_FUZZ_SEED={seed}");
    }
}

/// A seed after some mutations.
fn mutated(seeds: &[&[u8]], dice: &mut Dice) -> Vec<u8> {
    let mut input = dice.one_of(seeds).to_vec();
    for _ in 0..=dice.below(6) {
        let at = dice.below(input.len() + 1);
        let end = (at + dice.below(12)).min(input.len());
        match dice.below(9) {
            0 if at < input.len() => input[at] ^= 1 << dice.below(8),
            1 if at < input.len() => input[at] = u8::try_from(dice.below(256)).unwrap(),
            2 => drop(input.drain(at..end)),
            3 => input.truncate(at),
            4 => {
                let other = dice.one_of(seeds);
                let from = dice.below(other.len() + 1);
                input.splice(at..end, other[from..].iter().copied());
            }
            5 => {
                let piece = input[at..end].repeat(1 + dice.below(200));
                input.splice(at..end, piece);
            }
            6 => {
                let digits = at + input[at..].iter().take_while(|b| b.is_ascii_digit()).count();
                input.splice(at..digits, dice.one_of(&PIECES[5..12]).iter().copied());
            }
            7 if dice.below(20) == 0 => input = input.repeat(1 + dice.below(300)),
            _ => drop(input.splice(at..at, dice.one_of(&PIECES).iter().copied())),
        }
        input.truncate(MOST_BYTES);
    }
    input
}
