//! What is under `deploy/`, and docker-compose: held to the metrics that there really are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::metrics::{promtool, some_traffic};
use crate::start;
use crate::support::Marquee;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every name of a metric of ours that stands in a text.
fn names(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .filter(|word| word.starts_with("marquee_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

/// Every PromQL expression of the dashboard.
fn expressions(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let own = members.get("expr").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(members.values().flat_map(expressions)).collect()
        }
        Value::Array(items) => items.iter().flat_map(expressions).collect(),
        _ => Vec::new(),
    }
}

fn dashboard() -> Value {
    serde_json::from_str(&read("deploy/grafana/dashboards/marquee.json")).unwrap()
}

on_every_database! {
    /// The dashboard, the rules and the list in the documentation name what there is, and nothing else; and
    /// the list has all that there is.
    async fn every_metric_that_is_named_is_there(db) {
        let marquee = start(&db).await;
        some_traffic(&marquee).await;
        let mut told = marquee.get("/metrics").await.text().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (movies, import) = (folder.path().join("movies.ndjson"), folder.path().join("import.prom"));
        fs::write(&movies, "{\"title\":\"a\"}\n").unwrap();
        let imported = Marquee::prepare(db.url()).arg("import").arg(&movies).arg("--metrics-file").arg(&import);
        assert!(imported.run().await.0.success());
        told.push_str(&fs::read_to_string(import).unwrap());
        let samples: BTreeSet<String> = told
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split(['{', ' ']).next().unwrap().to_owned())
            .collect();
        let shown = expressions(&dashboard());
        assert!(shown.len() > 40, "the dashboard was not read");
        for (place, named) in [
            ("the dashboard", names(&shown.join("\n"))),
            ("alerts.yml", names(&read("deploy/prometheus/alerts.yml"))),
            ("alerts.test.yml", names(&read("deploy/prometheus/alerts.test.yml"))),
        ] {
            assert!(named.len() >= 8, "{place}: {named:?}");
            let missing: Vec<_> = named.difference(&samples).collect();
            assert!(missing.is_empty(), "{place} names what is not there: {missing:?}");
        }
        let families: BTreeSet<String> = told
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect();
        let documented = names(&read("docs/OBSERVING.md"));
        let untold: Vec<_> = families.difference(&documented).collect();
        assert!(untold.is_empty(), "docs/OBSERVING.md does not tell of {untold:?}");
        let unknown: Vec<_> =
            documented.iter().filter(|name| !families.contains(*name) && !samples.contains(*name)).collect();
        assert!(unknown.is_empty(), "docs/OBSERVING.md tells of {unknown:?}");
    }
}

#[test]
fn promtool_reads_the_configuration_and_the_rules() {
    for (args, name) in [
        (["check", "config"], "deploy/prometheus/prometheus.yml"),
        (["check", "rules"], "deploy/prometheus/alerts.yml"),
        (["test", "rules"], "deploy/prometheus/alerts.test.yml"),
    ] {
        let (passed, said) = promtool(&[&args[..], &[file(name).to_str().unwrap()]].concat(), "");
        assert!(passed, "{name}: {said}");
    }
}

/// Each expression of the dashboard is PromQL: promtool reads them as rules.
#[test]
fn promtool_reads_the_dashboard() {
    let rules: Vec<Value> = expressions(&dashboard())
        .iter()
        .enumerate()
        .map(|(n, expr)| {
            let expr = expr.replace("$__rate_interval", "5m").replace("$instance", ".*");
            assert!(!expr.contains('$'), "{expr}");
            serde_json::json!({ "record": format!("panel:{n}"), "expr": expr })
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yml");
    // JSON is YAML.
    let rules = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    fs::write(&path, rules.to_string()).unwrap();
    let (passed, said) = promtool(&["check", "rules", path.to_str().unwrap()], "");
    assert!(passed, "{said}");
}

#[test]
fn the_dashboard_is_whole() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "ids repeat");
    for panel in panels {
        assert!(!panel["title"].as_str().unwrap().is_empty());
        let place = &panel["gridPos"];
        assert!(place["x"].as_i64().unwrap() + place["w"].as_i64().unwrap() <= 24, "{panel}");
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "prometheus", "{panel}");
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{panel}");
        }
    }
    assert!(read("deploy/grafana/provisioning/datasources/prometheus.yml").contains("uid: prometheus"));
}

/// docker-compose itself reads it; and what is published stays on this machine, under pinned versions.
#[test]
fn docker_compose_accepts_the_file() {
    let text = read("docker-compose.yml");
    for line in text.lines().map(str::trim) {
        if let Some(image) = line.strip_prefix("image: ") {
            assert!(
                image == "marquee" || image.rsplit_once(':').is_some_and(|(_, tag)| tag != "latest"),
                "{image}"
            );
        }
        if line.starts_with("- \"") && line.ends_with("0\"") && line.contains(':') {
            assert!(line.starts_with("- \"127.0.0.1:"), "published to the world: {line}");
        }
    }
    // What must be set is told of.
    let example = read(".env.example");
    for variable in text.split("${").skip(1).map(|rest| rest.split([':', '}']).next().unwrap()) {
        assert!(example.contains(&format!("\n{variable}=")), "{variable} is not in .env.example");
    }
    for mounted in text.lines().filter_map(|line| line.trim().strip_prefix("- ./")?.split(':').next()) {
        assert!(file(mounted).exists(), "{mounted} is mounted and not there");
    }
    let compose =
        ["docker-compose", "docker compose"].into_iter().find(|it| shell(&format!("{it} version")).0);
    let compose =
        compose.unwrap_or_else(|| panic!("no docker-compose; it is in Debian's package of that name"));
    let (accepted, said) =
        shell(&format!("COMPOSE_PROFILES=simple,observe,full {compose} -f docker-compose.yml config"));
    assert!(accepted, "{said}");
    for part in ["mysql:9.7", "nginx:", "prom/prometheus:", "grafana/grafana:", "127.0.0.1"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    for (service, expected) in [
        // Whatever is started.
        ("mysql", &[][..]),
        ("marquee", &["simple"]),
        ("redis", &["full"]),
        ("gateway", &["full"]),
        ("marquee-1", &["full"]),
        ("marquee-2", &["full"]),
        ("marquee-3", &["full"]),
        ("prometheus", &["full", "observe"]),
        ("grafana", &["full", "observe"]),
    ] {
        assert_eq!(profiles(&said, service), expected, "{service}: {said}");
    }
}

/// The profiles of a service, in what docker-compose makes of the file.
fn profiles<'a>(config: &'a str, service: &str) -> Vec<&'a str> {
    let (_, services) = config.split_once("\nservices:").unwrap();
    let (_, rest) = services.split_once(&format!("\n  {service}:\n")).unwrap();
    rest.lines()
        .take_while(|line| line.starts_with("    "))
        .skip_while(|line| *line != "    profiles:")
        .skip(1)
        .map_while(|line| line.trim_start().strip_prefix("- "))
        .collect()
}

/// The gateway, its choice of a replica and what replaces them name the replicas that there are.
#[test]
fn the_gateway_knows_every_replica() {
    let services = read("docker-compose.yml");
    let replicas: Vec<_> =
        services.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(": *replica")).collect();
    assert!(replicas.len() >= 3, "{replicas:?}");
    let nginx = read("deploy/nginx/nginx.conf");
    for replica in &replicas {
        // A group of its own, and a place in those of the others.
        assert!(nginx.contains(&format!("upstream {replica} {{")), "{replica}");
        let asked = nginx.matches(&format!("server {replica}:8080 ")).count();
        assert_eq!(asked, replicas.len(), "{replica}");
    }
    let listed = format!("[\"{}\"]", replicas.join("\", \""));
    assert!(read("deploy/nginx/replicas.js").contains(&listed), "{listed}");
    assert!(read("deploy/roll").contains(&format!("set -- {};", replicas.join(" "))));
}

fn shell(command: &str) -> (bool, String) {
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("MYSQL_PASSWORD", "a")
        .env("MYSQL_ROOT_PASSWORD", "b")
        .env("MARQUEE_BOOTSTRAP_TOKEN", "c")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}
