//! Who may know whom: `main → app → http → catalogue → {cache, store, relay} → domain`, never back.
//!
//! The arrows are what lets one part be read without the others. This scans every path in the code,
//! not only `use` lines, since a path may be written out where it is used.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the crate, and what each may name. `telemetry` and `config` serve everyone, and know
/// nobody; `main` puts the parts together.
const MODULES: &[(&str, &[&str])] = &[
    ("command", &["app", "http", "catalogue", "store", "import", "domain", "telemetry", "config"]),
    ("app", &["http", "catalogue", "store", "relay", "import", "domain", "telemetry", "config"]),
    ("http", &["catalogue", "domain", "telemetry", "config"]),
    ("import", &["catalogue", "domain", "telemetry", "config"]),
    ("catalogue", &["store", "relay", "domain", "telemetry", "config"]),
    ("relay", &["telemetry", "config"]),
    ("store", &["domain", "telemetry", "config"]),
    ("domain", &[]),
    ("telemetry", &[]),
    ("config", &[]),
];

/// A crate (every one that begins so, when a `*` ends it), and the only places that may name it.
const CRATES: &[(&str, &[&str])] = &[
    ("actix_*", &["http", "app"]),
    ("diesel*", &["store"]),
    ("deadpool*", &["store"]),
    ("mysql_async", &["store"]),
    ("libsqlite3_sys", &["store"]),
    ("redis", &["relay"]),
    ("moka", &["catalogue/cache.rs"]),
    ("utoipa*", &["http"]),
];

#[test]
fn nobody_knows_what_is_above() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&source, &mut files);
    assert!(files.len() > 5, "the sources were not found");
    let mut violations = Vec::new();
    for file in files {
        let name = file.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
        violations.extend(check(&name, &fs::read_to_string(&file).unwrap()));
    }
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

/// A rule that never fails proves nothing.
#[test]
fn a_violation_is_found() {
    let refused: &[(&str, &str)] = &[
        ("domain/movie.rs", "use crate::store::Row;"),
        ("domain.rs", "use crate::telemetry::Metrics;"),
        ("store.rs", "use crate::catalogue::Catalogue;"),
        ("store/rows.rs", "fn f() { crate::http::answer() }"),
        ("store/rows.rs", "use super::super::catalogue::Head;"),
        ("catalogue.rs", "use super::http::Answer;"),
        ("catalogue/writer.rs", "use crate::{domain::Movie, http::{Answer, problem}};"),
        ("catalogue/writer.rs", "use crate::{\n    domain::{Movie, Title},\n    app,\n};"),
        ("http/movies.rs", "use crate::store::Store;"),
        ("http/movies.rs", "use diesel::prelude::*;"),
        ("http/movies.rs", "use diesel_async::AsyncConnection;"),
        ("catalogue.rs", "pub(crate) use actix_web::web;"),
        ("catalogue.rs", "#[actix_web::get(\"/\")] fn f() {}"),
        ("catalogue.rs", "use ::moka::future::Cache;"),
        ("catalogue/segment.rs", "type Cache = moka::future::Cache<u8, u8>;"),
        ("catalogue/pool.rs", "use {std::fmt, deadpool::managed};"),
        ("catalogue.rs", "use mysql_async as driver;"),
        ("catalogue/shelf.rs", "let client = redis::Client::open(url);"),
        ("relay.rs", "use crate::store::Head;"),
        ("telemetry.rs", "use crate::catalogue::Head;"),
        ("config.rs", "use crate::app::App;"),
        ("import/tsv.rs", "use crate::store::Store;"),
        ("app.rs", "let url = std::env::var(\"DATABASE_URL\");"),
        ("app.rs", "use std::{env, fs};"),
        ("app.rs", "use std::env;"),
        ("main.rs", "#[arg(long, env = \"DATABASE_URL\")] url: String,"),
        ("main.rs", "#[actix_web::main] async fn main() {}"),
    ];
    for (file, text) in refused {
        assert!(!check(file, text).is_empty(), "{file}: {text}");
    }
}

#[test]
fn what_is_allowed_passes() {
    let allowed: &[(&str, &str)] = &[
        ("main.rs", "use marquee::{app, config}; fn f() { marquee::store::open() }"),
        ("http/movies.rs", "use actix_web::web;\nuse crate::{catalogue::Catalogue, domain::Movie};"),
        ("catalogue.rs", "use crate::store::{Snapshot, Store};\nuse self::cache::Cache;"),
        ("catalogue/cache.rs", "use moka::future::Cache;"),
        ("catalogue/writer.rs", "use super::http::X;"),
        ("store/mysql.rs", "use diesel_async::AsyncMysqlConnection; mod tls; use super::{error, rows};"),
        ("config.rs", "use std::env; #[arg(long, env = \"DATABASE_URL\")] struct S;"),
        (
            "domain.rs",
            "//! Not like crate::http.\n/* use crate::http; */ const S: &str = \"use crate::http;\";",
        ),
        (
            "domain.rs",
            "const S: &str = r#\"use \"crate::http\"\"#; const C: char = '\"'; type L<'a> = &'a str;",
        ),
        ("app.rs", "const V: &str = env!(\"CARGO_PKG_VERSION\"); let environment = 1;"),
        ("http.rs", "mod moka_like { } fn f(x: my_diesel::X) {}"),
    ];
    for (file, text) in allowed {
        assert_eq!(check(file, text), Vec::<String>::new(), "{file}: {text}");
    }
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// What is wrong with one file, named as under `src`.
fn check(file: &str, text: &str) -> Vec<String> {
    let module = file.trim_end_matches(".rs").split('/').next().unwrap();
    let depth = file.split('/').count();
    let mut found = Vec::new();
    for path in paths(&tokens(text)) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        if let Some(named) = module_of(&path, depth)
            && let Some((_, may)) = MODULES.iter().find(|(name, _)| *name == module)
            && named != module
            && !may.contains(&named)
        {
            found.push(format!("src/{file}: `{module}` must not know `{named}` ({})", path.join("::")));
        }
        for (name, places) in CRATES {
            if is_named(name, path[0]) && !places.iter().any(|place| *place == module || *place == file) {
                found.push(format!("src/{file}: `{}` is named only under {}", path[0], places.join(" and ")));
            }
        }
        let reads_environment = path.starts_with(&["std", "env"]) || path == ["#env"];
        if reads_environment && file != "config.rs" {
            found.push(format!("src/{file}: the environment is read only in config.rs"));
        }
    }
    found
}

/// The module of the crate that a path leads to.
fn module_of<'p>(path: &[&'p str], depth: usize) -> Option<&'p str> {
    let ups = path.iter().take_while(|p| **p == "super").count();
    let next = match path[0] {
        "crate" => path.get(1),
        // Fewer do not leave the module. More are written in a module inside the file.
        "super" if ups >= depth => path.get(ups),
        _ => None,
    }?;
    MODULES.iter().map(|(name, _)| *name).find(|name| name == next)
}

fn is_named(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

/// The words and signs of the code, without comments, and without what stands in quotes.
fn tokens(text: &str) -> Vec<String> {
    let text: Vec<char> = text.chars().collect();
    let starts = |at: usize, what: &str| what.chars().enumerate().all(|(i, c)| text.get(at + i) == Some(&c));
    let find =
        |from: usize, what: &str| (from..text.len()).find(|at| starts(*at, what)).unwrap_or(text.len());
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        if starts(at, "//") {
            at = find(at, "\n");
        } else if starts(at, "/*") {
            at = find(at, "*/") + 2;
        } else if c == '"' {
            at += 1;
            while text.get(at).is_some_and(|c| *c != '"') {
                at += if text[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if c == 'r' && (starts(at, "r\"") || starts(at, "r#\"") || starts(at, "r##\"")) {
            let hashes = text[at + 1..].iter().take_while(|c| **c == '#').count();
            let end = format!("\"{}", "#".repeat(hashes));
            at = find(at + hashes + 2, &end) + end.len();
        } else if c == '\'' && text.get(at + 1) == Some(&'\\') {
            at = find(at + 3, "'") + 1;
        } else if c == '\'' && text.get(at + 2) == Some(&'\'') {
            at += 3;
        } else if c.is_alphanumeric() || c == '_' {
            let end = (at..text.len()).find(|i| !(text[*i].is_alphanumeric() || text[*i] == '_'));
            let end = end.unwrap_or(text.len());
            tokens.push(text[at..end].iter().collect());
            at = end;
        } else if starts(at, "::") {
            tokens.push("::".to_owned());
            at += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
            at += 1;
        }
    }
    tokens
}

/// Every path with `::` or in a `use`, its groups multiplied out. clap's `env = …` is given as `#env`.
fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let is = |at: usize, what: &str| tokens.get(at).is_some_and(|t| t == what);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is(at, "use") {
            at = tree(tokens, at + 1, &[], &mut found);
        } else if is_word(&tokens[at]) && is(at + 1, "::") {
            at = tree(tokens, at, &[], &mut found);
        } else {
            if is(at, "env") && is(at + 1, "=") {
                found.push(vec!["#env".to_owned()]);
            }
            at += 1;
        }
    }
    found
}

/// One `use` tree: `a::{b, c::d as e}`. Gives the place after it.
fn tree(tokens: &[String], mut at: usize, before: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let is = |at: usize, what: &str| tokens.get(at).is_some_and(|t| t == what);
    let mut path = before.to_vec();
    loop {
        if is(at, "::") {
            at += 1;
        } else if is(at, "{") {
            at += 1;
            while at < tokens.len() && !is(at, "}") {
                let next = tree(tokens, at, &path, found);
                // A sign that no tree has: not a group after all.
                at = if next == at { at + 1 } else { next };
            }
            return at + 1;
        } else if tokens.get(at).is_some_and(|t| is_word(t))
            && (path.len() == before.len() || is(at - 1, "::"))
        {
            path.push(tokens[at].clone());
            at += 1;
        } else {
            if path.len() > before.len() {
                found.push(path);
            }
            return at;
        }
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}
