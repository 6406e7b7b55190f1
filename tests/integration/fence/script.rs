//! The scripts of the fence beside the rule in Rust, on random keys and counters.

use crate::support::Cluster;
use redis::FromRedisValue as _;
use redlock_cli::instance::{self, ClusterSettings, Endpoint, Login};
use redlock_cli::lock::{
    FenceCounter, FenceRegister, FenceToken, FenceVote, Key, Proposal, Request, Response,
    RestartGuard, Target, Time, Ttl,
};
use std::time::Duration;

const ROUNDS: u64 = 400;
const KEYS: [&str; 2] = ["fence-one", "fence-two"];
const NONCE: &str = "0123456789abcdef0123456789abcdef01234567";

/// A generator with the same numbers in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    fn one_of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[usize::try_from(self.below(texts.len() as u64)).expect("an index")]
    }
}

fn settings(keys: &[&str], guard: RestartGuard) -> ClusterSettings {
    ClusterSettings {
        target: Target::all(keys.iter().map(|key| Key::literal(*key).expect("a key"))),
        id: "id".into(),
        kind: String::new(),
        ttl: Ttl::new(Duration::from_secs(30)).expect("a ttl"),
        op_timeout: Duration::from_secs(20),
        guard,
        wall_clock: || Duration::from_secs(1_700_000_000),
    }
}

/// The fence vote in reply to `request`.
fn vote(servers: &mut instance::Cluster, request: Request) -> FenceVote {
    servers.ask(0, Time::default(), request);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        loop {
            if let Response::Fence(_, vote) = servers.heard().await.response {
                return vote;
            }
        }
    })
}

/// Sets random keys, usually to `usual`, and random counters.
fn scatter(cluster: &Cluster, dice: &mut Dice, usual: Option<&str>, run_id: &str) {
    for key in KEYS {
        let counter = format!("redlock-fence:{key}");
        cluster.cli(0, &["DEL", key, &counter]);
        match (dice.below(16), usual) {
            (0, _) => drop(cluster.cli(0, &["SET", key, "another value"])),
            (1, _) | (_, None) => {}
            (_, Some(value)) => drop(cluster.cli(0, &["SET", key, value])),
        }
        let token = match dice.below(3) {
            0 => dice.one_of(&["8", "9", "9007199254740991", "9007199254740992", "x"]),
            _ => dice.one_of(&["1", "7"]),
        };
        let nonce = dice.one_of(&[NONCE, NONCE, "ab", "a-b"]);
        let run = dice.one_of(&[run_id, run_id, run_id, "-", "0000", ""]);
        match dice.below(10) {
            0 => drop(cluster.cli(0, &["RPUSH", &counter, "a list"])),
            1 | 2 => {}
            _ => drop(cluster.cli(0, &["SET", &counter, &format!("{token} {nonce} {run}")])),
        }
    }
}

fn stored(cluster: &Cluster, value: &str) -> (Vec<Option<String>>, Vec<Option<FenceCounter>>) {
    // A list is no counter: GET refuses it.
    let text = |key: &str| {
        let reply = cluster.try_ask(0, &["GET", key]).ok()?;
        Option::<String>::from_redis_value(reply).ok().flatten()
    };
    let holder =
        |key: &str| text(key).map(|there| if there == value { NONCE.to_owned() } else { there });
    let counter = |key: &str| FenceCounter::parse(&text(&format!("redlock-fence:{key}"))?);
    (KEYS.map(holder).into(), KEYS.map(counter).into())
}

#[test]
fn a_server_answers_as_the_rule_does() {
    let cluster = Cluster::start(1);
    let run_id = cluster.info(0, "run_id");
    let endpoint = Endpoint::parse(&cluster.url(0), &Login::default()).expect("a URL");
    let guards = [RestartGuard::Off, RestartGuard::For(Duration::from_secs(60))];
    let mut servers = guards.map(|guard| {
        instance::Cluster::new(std::slice::from_ref(&endpoint), settings(&KEYS, guard))
    });
    let mut dice = Dice(1);
    let mut kinds = [0; 4];
    for round in 0..ROUNDS {
        let value = format!("value {round}");
        let raises = dice.below(2) == 0;
        scatter(&cluster, &mut dice, raises.then_some(value.as_str()), &run_id);
        let (mut keys, mut counters) = stored(&cluster, &value);
        let before = (keys.clone(), counters.clone());
        let which = usize::try_from(dice.below(2)).expect("an index");
        let run = (guards[which] != RestartGuard::Off).then(|| run_id.clone());
        let token = FenceToken::new(8).expect("a token");
        let proposal = Proposal { token, nonce: NONCE.to_owned() };
        let mut register = FenceRegister { keys: &mut keys, counters: &mut counters, run_id: run };
        let attempt = 1;
        let (expected, request) = if raises {
            let written = if dice.below(2) == 0 { vec![1] } else { vec![0, 1] };
            let expected = register.raise(&proposal, &written);
            let value = value.clone();
            (expected, Request::Raise { attempt, value, proposal, counters: written })
        } else {
            let fence = Some(proposal.clone());
            let request = Request::Acquire { attempt, slot: 0, value: value.clone(), fence };
            (register.propose(&proposal), request)
        };
        let answered = vote(&mut servers[which], request.clone());
        assert_eq!(answered, expected, "round {round}: {before:?} {request:?}");
        let after = stored(&cluster, &value);
        assert_eq!(after, (keys, counters), "round {round}: {before:?} {request:?}");
        kinds[match answered {
            FenceVote::Raised => 0,
            FenceVote::Lacking(_) => 1,
            FenceVote::Stale(_) => 2,
            FenceVote::NotOurs => 3,
            FenceVote::Unknown(why) => panic!("round {round}: {why:?}"),
        }] += 1;
    }
    assert!(kinds.iter().all(|count| *count >= 10), "every answer is tried: {kinds:?}");
}
