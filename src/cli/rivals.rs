//! Options that exclude each other: a flag goes before another's variable, and two flags are a mistake.

use super::args::RunArgs;
use super::refusal::Refusal;
use super::values::IfBusy;
use anyhow::anyhow;
use clap::ArgMatches;
use clap::parser::ValueSource;

/// Where both of a pair are set, keeps the one that was typed.
pub(super) fn settle(args: &mut RunArgs, matches: &ArgMatches) -> Result<(), Refusal> {
    let typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let keep_first = |first: &str, second: &str| match (typed(first), typed(second)) {
        (true, false) => Ok(true),
        (false, true) => Ok(false),
        _ => {
            let flag = |id: &str| format!("--{}", id.replace('_', "-"));
            Err(Refusal::usage(anyhow!("{} cannot be used with {}; give one of them", flag(first), flag(second))))
        }
    };
    if args.wait.nonblock && args.wait.wait.is_some() {
        if keep_first("nonblock", "wait")? {
            args.wait.wait = None;
        } else {
            args.wait.nonblock = false;
        }
    }
    if args.wait.if_busy == Some(IfBusy::Skip) && args.wait.conflict_exit_code.is_some() {
        if keep_first("if_busy", "conflict_exit_code")? {
            args.wait.conflict_exit_code = None;
        } else {
            // Only the code is in its way; that nobody wants to wait still counts.
            args.wait.if_busy = Some(IfBusy::Fail);
        }
    }
    if args.output.quiet && args.output.verbose {
        let quiet = keep_first("quiet", "verbose")?;
        (args.output.quiet, args.output.verbose) = (quiet, !quiet);
    }
    // The key reads no variable, so it was typed.
    if args.lock.key.is_some() && args.lock.prefix.is_some() && keep_first("key", "prefix")? {
        args.lock.prefix = None;
    }
    Ok(())
}
