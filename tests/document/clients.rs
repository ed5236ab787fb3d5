//! The README's clients, line by line.

use std::process::Command;

use crate::support::TestDatabase;
use crate::{TOKEN, run, start};

#[path = "../clients/client.rs"]
mod client;

/// The lines of a client as the README prints them.
fn printed(language: &str) -> String {
    let (_, rest) = include_str!("../../README.md").split_once(&format!("```{language} client\n")).unwrap();
    rest.split_once("\n```").unwrap().0.to_owned() + "\n"
}

/// Runs a client with a program that takes the name of a file, against a marquee of its own.
async fn said_by(program: &str, language: &str, no_token: &str, token: &str) -> String {
    let db = TestDatabase::sqlite().await;
    let marquee = start(&db).await;
    let lines = printed(language);
    assert!(lines.contains("http://127.0.0.1:8080") && lines.contains(no_token), "{lines}");
    let lines = lines.replace("http://127.0.0.1:8080", &marquee.url("")).replacen(no_token, token, 1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client");
    std::fs::write(&file, lines).unwrap();
    let mut command = Command::new(program);
    command.arg(file);
    run(command).await
}

/// That all movies were counted, that nothing had changed, that a vote was added, and that every page was read.
fn is_whole(said: &str) {
    assert!(said.contains("304"), "{said}");
    // The one that it made, and the sample's.
    assert_eq!(said.lines().filter(|line| line.contains("The Wizard of Oz")).count(), 2, "{said}");
    assert!(said.lines().count() > 40, "one page is not all: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn curl() {
    let said = said_by("bash", "sh", "token=\n", &format!("token={TOKEN}\n")).await;
    assert!(said.starts_with("304\n200\n"), "{said}");
    let titles = said.replace("},{", "},\n{");
    is_whole(&titles);
}

#[tokio::test(flavor = "multi_thread")]
async fn python() {
    let said = said_by("python3", "python", "\"\"\n", &format!("\"{TOKEN}\"\n")).await;
    assert!(said.starts_with("3200 304\n2\n"), "{said}");
    is_whole(&said);
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript() {
    let said = said_by("node", "js", "token = \"\"", &format!("token = \"{TOKEN}\"")).await;
    assert!(said.starts_with("3200 304\n2\n"), "{said}");
    is_whole(&said);
}

#[tokio::test(flavor = "multi_thread")]
async fn rust() {
    assert_eq!(printed("rust"), include_str!("../clients/client.rs"), "the README prints what runs here");
    let db = TestDatabase::sqlite().await;
    let marquee = start(&db).await;
    client::run(&marquee.url(""), TOKEN).await.unwrap();
    let found = marquee.get("/v1/movies?q=wizard+oz").await.json::<serde_json::Value>().await.unwrap();
    let of_two_votes = found.as_array().unwrap().iter().filter(|movie| movie["votes"] == 2);
    assert_eq!(of_two_votes.count(), 1, "{found}");
}
