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
    for expected in [
        "[{\"id\":1,",
        "HTTP/1.1 200 OK",
        "x-total-count: 3200",
        "{\"id\":3200,",
        "{\"id\":12,",
        "[{\"title\":\"",
        "\"title\":\"Star Wars Ep. IV: A New Hope\"",
        "[{\"id\":",
        "\n304\n",
        "HTTP/1.1 201 Created",
        "\"title\":\"The Wizard of Oz\"",
        "/problems/duplicate-imdb-id",
        "/problems/invalid-movie",
        "/titel",
        "\"title\":\"First\"",
        "\"title\":\"Second\"",
        "\"id\":3204,\"imdb_id\":null,\"title\":\"Only Once\"",
        "\"id\":3204,\"imdb_id\":null,\"title\":\"Only Once\"",
        "\"rating\":9.5",
        "/problems/precondition-failed",
        "\"slug\":\"adventure\"",
        "\n204\n",
        "{\"deleted\":[1,2],\"missing\":[99999]}",
        "\"status\":\"pass\"",
        "marquee_cache_hits_total",
        "marquee_revision 7",
    ] {
        let (_, after) = rest.split_once(expected).unwrap_or_else(|| panic!("{expected} is not in\n{said}"));
        // The members of an object and the lines of the metrics have no order to rely on.
        if !expected.starts_with("\"status\"") && !expected.starts_with("marquee_") {
            rest = after;
        }
    }
}
