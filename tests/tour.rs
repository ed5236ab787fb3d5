//! The README's tour, line by line: what it shows is what a reader gets.
#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

#[macro_use]
mod support;

use std::process::Command;

use support::Marquee;

/// The lines of the tour as the README prints them.
fn tour() -> String {
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once("```sh tour\n").unwrap();
    rest.split_once("\n```").unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_of_the_readme_runs() {
    let db = support::TestDatabase::sqlite().await;
    let marquee = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "auto").start().await;
    marquee.wait_ready().await;
    let script = tour().replace("http://127.0.0.1:8080", &format!("http://{}", marquee.address()));
    assert!(script.len() > 1000 && !script.contains(":8080"), "{script}");
    let run = tokio::task::spawn_blocking(move || Command::new("bash").args(["-euc", &script]).output());
    let run = run.await.unwrap().unwrap();
    let said = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));

    let mut rest = said.as_str();
    for expected in include_str!("tour/expected.txt").lines() {
        // A line alone, such as a status, begins and ends with a line's end.
        let expected = expected.replace("\\n", "\n");
        let expected = expected.as_str();
        let (_, after) = rest.split_once(expected).unwrap_or_else(|| panic!("{expected} is not in\n{said}"));
        // The members of an object and the lines of the metrics have no order to rely on.
        if !expected.starts_with("\"status\"") && !expected.starts_with("marquee_") {
            rest = after;
        }
    }
}
