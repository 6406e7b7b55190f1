//! The command line of `run` alone has the options that `run` has among the other verbs.

use super::*;
use clap::CommandFactory as _;

#[test]
fn run_alone_has_the_same_options_as_run_among_the_other_verbs() {
    let texts = |mut root: clap::Command| {
        root.build();
        let run = root.find_subcommand_mut("run").unwrap();
        [run.render_usage(), run.render_help(), run.render_long_help()].map(|text| text.to_string())
    };
    assert_eq!(texts(run_alone()), texts(Cli::command()));
}
