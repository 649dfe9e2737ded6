//! Every folder of `tests/lint`: a world in which a rule is broken (`found.yaml`), one beside it in which it is not (`mended.yaml`),
//! and everything that is found in either (`findings.txt`). Folders of `tests/lint/beside` are worlds that look as if a rule were
//! broken, and in which less is found than one might think.
//!
//! `BLESS=1 cargo test --test lint` writes the expected findings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use rook_multihome::lint::{Finding, Rule, TABLE, lint};

/// Rules about changes, which a world alone cannot break: they are found where an object is written.
const ONLY_AT_ADMISSION: [Rule; 3] = [Rule::AttachmentInUse, Rule::AttachmentChanged, Rule::ProviderChange];

fn findings(folder: &Path, file: &str) -> Vec<Finding> {
    let snapshot = support::fixtures::snapshot(&folder.join(file), support::fixtures::settings(folder));
    let findings = lint(&snapshot);
    assert!(findings.is_sorted() && findings.windows(2).all(|pair| pair[0] != pair[1]), "{}", folder.display());
    findings
}

/// The findings of a file, one a line, with those that no other object has a part in told apart.
fn in_lines(file: &str, findings: &[Finding]) -> String {
    let mut text = format!("# {file}\n");
    for finding in findings {
        text.push_str(&format!("{} {finding}\n", finding.rule.severity()));
    }
    text
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn each_rule_is_found_where_it_is_broken_and_not_beside_it() {
    for folder in support::folders(&support::project().join("tests/lint")) {
        let name = name_of(&folder);
        if name == "beside" {
            continue;
        }
        let (found, mended) = (findings(&folder, "found.yaml"), findings(&folder, "mended.yaml"));
        let text = in_lines("found.yaml", &found) + &in_lines("mended.yaml", &mended);
        support::expect_file(&folder.join("findings.txt"), &text);
        let is_there = |findings: &[Finding]| findings.iter().any(|finding| finding.rule.id() == name);
        assert!(is_there(&found), "{name} is not found in its own world: {found:#?}");
        assert!(!is_there(&mended), "{name} is found where it is mended: {mended:#?}");
    }
}

#[test]
fn no_more_is_found_than_there_is() {
    for folder in support::folders(&support::project().join("tests/lint/beside")) {
        let text = in_lines("found.yaml", &findings(&folder, "found.yaml"));
        support::expect_file(&folder.join("findings.txt"), &text);
    }
}

#[test]
fn every_rule_has_a_world() {
    let folders: BTreeSet<String> =
        support::folders(&support::project().join("tests/lint")).iter().map(|folder| name_of(folder)).collect();
    let wanted = TABLE.iter().filter(|entry| !ONLY_AT_ADMISSION.contains(&entry.rule)).map(|entry| entry.id.to_owned());
    let wanted: BTreeSet<String> = wanted.chain(["beside".to_owned()]).collect();
    assert_eq!(folders, wanted, "folders on the left, rules on the right");
}

/// What people read: a clause that says what is wrong and one that says what to do, both without the end of a sentence, of a field
/// that is a path.
#[test]
fn every_finding_is_a_sentence() {
    let root = support::project().join("tests/lint");
    for folder in support::folders(&root).into_iter().chain(support::folders(&root.join("beside"))) {
        if !folder.join("found.yaml").exists() {
            continue;
        }
        for Finding { subject, field, rule, fault, mend, with } in findings(&folder, "found.yaml") {
            for clause in [&fault, &mend] {
                assert!(!clause.is_empty() && !clause.ends_with(['.', ';', ',', ' ']), "{rule}: {clause:?}");
                assert!(!clause.contains("  ") && !clause.contains('\n'), "{rule}: {clause:?}");
            }
            assert!(field.starts_with("spec") || field.starts_with("metadata."), "{rule}: {field:?}");
            assert!(!with.contains(&subject), "{rule}: nothing has a part in itself");
        }
    }
}
