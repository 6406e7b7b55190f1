//! Every shell block of the pages is marked.

use crate::blocks::{Mark, all, blocks_of};

#[test]
fn every_shell_block_is_run_or_has_a_reason() {
    let missing: Vec<String> = all()
        .into_iter()
        .filter(|block| block.mark == Mark::Missing)
        .map(|block| block.at)
        .collect();
    assert!(
        missing.is_empty(),
        "these shell blocks (tests/documents/blocks.rs) have neither `<!-- run -->` nor `<!-- not run: REASON -->` above them: {missing:#?}"
    );
}

#[test]
fn a_block_is_found_with_its_mark() {
    let text = "<!-- run -->\n```sh\na\nb\n```\n\n```toml\nc\n```\n<!-- not run: why -->\n```console\n$ d\n```\n```sh\ne\n```\n";
    let found = blocks_of("page", text);
    let seen: Vec<_> =
        found.iter().map(|block| (block.at.as_str(), block.text.as_str(), &block.mark)).collect();
    let reason = Mark::NotRun("why".to_owned());
    let expected = [
        ("page:2", "a\nb\n", &Mark::Run),
        ("page:7", "c\n", &Mark::Missing),
        ("page:11", "$ d\n", &reason),
        ("page:14", "e\n", &Mark::Missing),
    ];
    assert_eq!(seen, expected);
    let found = blocks_of("docs/recipes/page.md", text);
    assert_eq!(found[0].mark, Mark::Run);
    assert!(matches!(&found[3].mark, Mark::NotRun(reason) if reason.contains("recipes.rs")));
}
