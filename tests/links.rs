//! The documents: what they link to is there, file and heading.
#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn what_documents_link_to_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    let mut links = 0;
    for document in
        ["", "docs", "data", "deploy"].into_iter().flat_map(|folder| documents(&root.join(folder)))
    {
        let text = fs::read_to_string(&document).unwrap();
        for target in targets(&text).filter(|target| !target.contains("://")) {
            links += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let linked =
                if file.is_empty() { document.clone() } else { document.with_file_name("").join(file) };
            let there = if heading.is_empty() {
                linked.exists()
            } else {
                fs::read_to_string(&linked).is_ok_and(|text| headings(&text).any(|known| known == heading))
            };
            if !there {
                wrong.push(format!("{}: {target}", document.strip_prefix(root).unwrap().display()));
            }
        }
    }
    assert!(wrong.is_empty(), "leads nowhere: {wrong:#?}");
    assert!(links > 20, "only {links} links were found");
}

fn documents(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// What stands in `](…)`, outside of code.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|prose| prose.split("](").skip(1)).filter_map(|rest| Some(rest.split_once(')')?.0))
}

/// The names that GitHub gives to headings.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
    })
}
