//! The page in a browser.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::TestDatabase;
use crate::{run, start};

/// It shows the operations, under the policy that it is sent with, and asks no other host for anything.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_the_operations_and_asks_nobody_else() {
    let db = TestDatabase::sqlite().await;
    let marquee = start(&db).await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("net.json");
    let name = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    });
    let mut chromium = Command::new(name.unwrap_or_else(|| panic!("no Chromium: install chromium")));
    chromium
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--no-proxy-server", "--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("--log-net-log={}", log.display()))
        .arg(marquee.url("/docs"));
    let shown = run(chromium).await;
    for operation in
        ["operations-movies-listMovies", "operations-movies-createMovie", "operations-genres-listGenres"]
    {
        assert!(shown.contains(operation), "{operation} is not shown: {shown}");
    }
    assert!(!shown.contains("Failed to load"), "{shown}");

    let log: Value = serde_json::from_str(&fs::read_to_string(&log).unwrap()).unwrap();
    let here = marquee.url("");
    let mut asked: Vec<&str> = log["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["params"])
        .filter(|params| params["initiator"].as_str() == Some(&here))
        .filter_map(|params| params["url"].as_str())
        .collect();
    asked.sort_unstable();
    asked.dedup();
    for file in ["/openapi.json", "/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"] {
        assert!(asked.contains(&marquee.url(file).as_str()), "{file} in {asked:?}");
    }
    let elsewhere: Vec<_> = asked
        .iter()
        .filter(|url| !url.starts_with(&format!("{here}/")) && !url.starts_with("data:"))
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}
