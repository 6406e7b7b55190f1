//! The command line of `run` alone is that of `run` among the other verbs.

use super::*;
use clap::CommandFactory as _;

#[test]
fn run_alone_is_the_verb_that_it_is_among_the_others() {
    let texts = |mut root: clap::Command| {
        root.build();
        let run = root.find_subcommand_mut("run").unwrap();
        [run.render_usage(), run.render_help(), run.render_long_help()].map(|text| text.to_string())
    };
    assert_eq!(texts(run_alone()), texts(Cli::command()));
}
