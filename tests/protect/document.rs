//! `docs/SECURITY.md`: the tests that it names are there.

use std::fs;
use std::path::Path;

const DOCUMENT: &str = include_str!("../../docs/SECURITY.md");

/// What stands in back-quotes and names a file of the sources or of the tests.
fn named(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_file = |word: &&str| {
        (word.starts_with("tests/") || word.starts_with("src/"))
            && word.contains(".rs")
            && !word.contains(char::is_whitespace)
    };
    quoted.filter(is_file).collect()
}

/// Why a file, or a test in it, is not what its name says.
fn wrong(name: &str) -> Option<String> {
    let (file, test) = name.split_once("::").unwrap_or((name, ""));
    let Ok(text) = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)) else {
        return Some(format!("{file} is not there"));
    };
    let is_there = test.is_empty() || text.contains(&format!("fn {test}("));
    (!is_there).then(|| format!("{file} has no test {test}"))
}

/// Each of the ten risks has its row, what holds it, and tests that are there.
#[test]
fn every_risk_is_answered() {
    let (_, table) = DOCUMENT.split_once("## The OWASP API Security Top 10 (2023)").unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| **API"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 10);
    for (number, row) in (1..).zip(&rows) {
        let [risk, holds, shown] = row.as_slice() else { panic!("{row:?} has other columns") };
        assert!(risk.starts_with(&format!("**API{number}** ")) && holds.len() > 40, "{row:?}");
        let tests = named(shown);
        assert!(!tests.is_empty() && tests.len() == shown.split_whitespace().count(), "{shown}");
        assert!(tests.iter().all(|test| test.contains("::")), "{shown}");
    }
}

#[test]
fn what_is_named_is_there() {
    let names = named(DOCUMENT);
    assert!(names.len() > 25, "the names were not found");
    let wrong: Vec<String> = names.iter().filter_map(|name| wrong(name)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A check that finds nothing proves nothing.
#[test]
fn what_is_not_there_is_found() {
    assert!(wrong("tests/protect/roles.rs::every_route_stands_behind_the_gate").is_none());
    assert!(wrong("tests/protect/roles.rs::every_route_stands").is_some());
    assert!(wrong("tests/protect/nothing.rs").is_some());
}
