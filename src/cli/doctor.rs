//! `redlock doctor`: the faults of the servers and of this host.

use super::args::DoctorArgs;
use super::config::Config;
use super::env::Environment;
use super::error::CliError;
use super::json::{self, Told};
use super::report::Report;
use super::report::describe::missing;
use super::run::owner;
use super::runtime::ask_servers;
use super::servers::Servers;
use crate::instance::{Inspector, KeyPattern};
use crate::lock::{Answer, NoVoteReason, hex};
use crate::policy::{Examination, Exit, Expectations, checkup_code, code};
use crate::supervisor;
use std::fmt::Write as _;
use std::time::Duration;

/// Longest time of the checkup, whatever the time limit of one operation.
const LONGEST: Duration = Duration::from_millis(1900);

/// A certificate that expires within this time is a finding.
const WARNED: Duration = Duration::from_secs(30 * 86_400);

/// Prints the faults.
pub(super) fn main(args: &DoctorArgs, warnings: &mut Vec<String>) -> Result<Exit, CliError> {
    let config = Config::load(args.instances.config.as_deref(), warnings)?;
    let around = Environment::read()?;
    let servers = Servers::named(&args.instances, args.holders.ttl, &config, &around, warnings)?;
    let report = Report::of_servers(args.output, &servers.endpoints);
    let mut told: Vec<Told> = warnings.drain(..).map(|text| of_host(0, text)).collect();
    told.extend(host());
    let prefix = config.prefix(args.holders.prefix.as_deref());
    let answers = examine(&servers, prefix)?;
    let expectations = Expectations {
        size: servers.size,
        guard: servers.guard,
        op_timeout: servers.schedule.op_timeout(),
        servers: servers.names(),
        owner: owner(),
        prefix: prefix.to_owned(),
    };
    let findings = expectations.findings(&answers);
    let has_config_fault = told.iter().any(|told| told.code != 0);
    told.extend(findings.iter().map(|finding| report.finding(finding)));
    let code = match checkup_code(&findings) {
        code::ACCESS => code::ACCESS,
        _ if has_config_fault => code::CONFIG,
        code => code,
    };
    if args.json {
        let _ = report.answer(&json::doctor(&told, supervisor::since_1970()));
    } else if !args.output.quiet {
        let _ = report.answer(&lines(&told, servers.endpoints.len()));
    }
    Ok(Exit::Code(code))
}

fn of_host(code: u8, text: String) -> Told {
    Told { instance: None, code, text }
}

/// The fault of this host if redlock cannot end a command in time here.
fn host() -> Option<Told> {
    let guardian = match supervisor::guard(None) {
        Ok(guardian) => guardian,
        Err(error) => {
            return Some(of_host(
                code::CONFIG,
                format!("this host cannot start the guardian: {error}"),
            ));
        }
    };
    let able = guardian.until_ready();
    guardian.let_go();
    able.err().map(|lack| of_host(code::CONFIG, format!("this host: {:#}", missing(lack))))
}

/// One line for each finding, or one line that says that there is none.
fn lines(told: &[Told], servers: usize) -> String {
    if told.is_empty() {
        return format!("healthy: {servers} servers and this host\n");
    }
    let mut text = String::new();
    for Told { instance, text: fault, .. } in told {
        let _ = match instance {
            Some(instance) => writeln!(text, "{instance}: {fault}"),
            None => writeln!(text, "{fault}"),
        };
    }
    text
}

fn examine(servers: &Servers, prefix: &str) -> Result<Vec<Answer<Examination>>, CliError> {
    let op_timeout = servers.schedule.op_timeout().min(LONGEST);
    let pattern = KeyPattern::new(prefix, "*");
    let name = hex(&std::process::id().to_be_bytes());
    let own = format!("{prefix}redlock-doctor-{name}-{}", supervisor::since_1970().as_nanos());
    let question = async |number: usize, mut server: Inspector| {
        let wall = supervisor::since_1970();
        let endpoint = servers.endpoints.get(number);
        let facts = match server.examine(&own, servers.guard, wall).await {
            Err(why @ NoVoteReason::Unreachable(_)) => {
                let refusal = match endpoint {
                    Some(endpoint) => Inspector::refusal(endpoint, op_timeout).await,
                    None => None,
                };
                return Err(refusal.unwrap_or(why));
            }
            facts => facts?,
        };
        // The shortest of several: one of them may have met a busy moment.
        let mut round_trip = Duration::MAX;
        for _ in 0..3 {
            let begun = supervisor::now();
            server.ping().await?;
            round_trip = round_trip.min(supervisor::now().since(begun));
        }
        let is_open = match endpoint {
            Some(endpoint) if endpoint.has_login() || !endpoint.is_local() => {
                Inspector::is_open(endpoint, op_timeout).await
            }
            _ => false,
        };
        let locks = server.locks(&pattern).await?;
        let addresses = match endpoint {
            Some(endpoint) => Inspector::addresses(endpoint).await,
            None => 1,
        };
        let info = facts.info;
        Ok::<_, NoVoteReason>(Examination {
            report: facts.report,
            version: info.version,
            clocks: facts.clock.map(|clock| (clock, wall)),
            round_trip,
            evicts: info.evicts,
            memory_percent: info.memory_percent,
            clients_percent: info.clients_percent,
            replicas: info.replicas,
            save_failed: info.save_failed,
            refused: facts.refused,
            is_open,
            locks,
            addresses,
            certificate: server.certificate_left(wall, WARNED),
        })
    };
    ask_servers(supervisor::survey(&servers.endpoints, (op_timeout, LONGEST), question))
}
