//! The Postman collection: made from the document, and run by newman.

use std::fs;

use serde_json::{Map, Value, json};

use crate::support::TestDatabase;
use crate::{TOKEN, client, run, start};

const DOCUMENT: &str = include_str!("../../docs/openapi.json");
const COLLECTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/marquee.postman_collection.json");

/// The order in which a run works: what is read, changed and deleted was made before. Others follow as they stand
/// in the document.
const ORDER: [&str; 9] = [
    "createMovie",
    "listMovies",
    "getMovie",
    "replaceMovie",
    "changeMovie",
    "deleteMovie",
    "deleteMovies",
    "createGenre",
    "listGenres",
];

/// Headers that a run needs, with what they are then.
const SENT: [(&str, &str); 2] = [("If-Match", "{{etag}}"), ("Idempotency-Key", "{{$guid}}")];

#[test]
fn the_collection_is_made_from_the_document() {
    let made = serde_json::to_string_pretty(&collection()).unwrap() + "\n";
    if fs::read_to_string(COLLECTION).ok().as_deref() != Some(&made) {
        let target = concat!(env!("CARGO_MANIFEST_DIR"), "/target");
        fs::create_dir_all(target).unwrap();
        fs::write(format!("{target}/marquee.postman_collection.json"), made).unwrap();
        panic!("the document has changed: cp target/marquee.postman_collection.json docs/");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn newman_runs_the_collection() {
    let db = TestDatabase::sqlite().await;
    let marquee = start(&db).await;
    let mut newman = client("newman");
    newman.args(["run", COLLECTION, "--color", "off", "--reporter-cli-no-banner"]);
    newman.args(["--env-var", &format!("baseUrl={}", marquee.url(""))]);
    newman.args(["--env-var", &format!("token={TOKEN}")]);
    let said = run(newman).await;
    // It ends with a table of what was run and what of it failed.
    let told = |line: &str| {
        line.split('│').map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
    };
    let table: Vec<Vec<String>> = said.lines().map(told).collect();
    let requests = operations().len().to_string();
    assert!(table.contains(&vec!["requests".to_owned(), requests, "0".to_owned()]), "{said}");
    // The movie that it made is gone again.
    let made = marquee.get("/v1/movies?imdb_id=tt0032138").await.json::<Value>().await.unwrap();
    assert_eq!(made, json!([]), "{said}");
}

fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

/// What a reference leads to.
fn resolved(value: &Value) -> Value {
    match value["$ref"].as_str() {
        Some(reference) => document().pointer(&reference[1..]).unwrap().clone(),
        None => value.clone(),
    }
}

/// Every operation with its method and path, in the order of a run; HEAD is GET without the body.
fn operations() -> Vec<(String, String, Value)> {
    let document = document();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let shared = item["parameters"].as_array().cloned().unwrap_or_default();
        for (method, operation) in item.as_object().unwrap() {
            if ["parameters", "head"].contains(&method.as_str()) {
                continue;
            }
            let mut operation = operation.clone();
            let own = operation["parameters"].as_array().cloned().unwrap_or_default();
            operation["parameters"] = shared.iter().chain(&own).map(resolved).collect();
            all.push((method.to_uppercase(), path.clone(), operation));
        }
    }
    let rank = |id: &Value| ORDER.iter().position(|known| id == known).unwrap_or(ORDER.len());
    all.sort_by_key(|(_, _, operation)| rank(&operation["operationId"]));
    all
}

fn collection() -> Value {
    let document = document();
    let operations = operations();
    let folders = document["tags"].as_array().unwrap().iter().map(|tag| {
        let of_tag = operations.iter().filter(|(_, _, operation)| operation["tags"][0] == tag["name"]);
        let items: Vec<_> = of_tag.map(|(method, path, operation)| item(method, path, operation)).collect();
        json!({ "name": tag["name"], "description": tag["description"], "item": items })
    });
    json!({
        "info": {
            "name": "marquee",
            "description": "Made from docs/openapi.json. Set baseUrl, and token where writes need one; then run it from the top: what it makes, it deletes.",
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        "auth": { "type": "bearer", "bearer": [{ "key": "token", "value": "{{token}}", "type": "string" }] },
        "variable": [
            { "key": "baseUrl", "value": "http://127.0.0.1:8080" },
            { "key": "token", "value": "" },
            { "key": "id", "value": "" },
            { "key": "etag", "value": "" },
        ],
        "item": folders.collect::<Vec<_>>(),
    })
}

fn item(method: &str, path: &str, operation: &Value) -> Value {
    let parameters = operation["parameters"].as_array().unwrap();
    let of = |place: &'static str| parameters.iter().filter(move |parameter| parameter["in"] == place);
    let mut segments: Vec<String> = path[1..].split('/').map(str::to_owned).collect();
    for parameter in of("path") {
        let name = parameter["name"].as_str().unwrap();
        let value = if name == "id" { "{{id}}".to_owned() } else { spelt(&parameter["example"]) };
        for segment in &mut segments {
            *segment = segment.replace(&format!("{{{name}}}"), &value);
        }
    }
    let query: Vec<Value> = of("query").map(query).collect();
    let needed = query.iter().filter(|parameter| parameter["disabled"] == false);
    let needed: Vec<_> = needed
        .map(|one| format!("{}={}", one["key"].as_str().unwrap(), one["value"].as_str().unwrap()))
        .collect();
    let question = if needed.is_empty() { String::new() } else { format!("?{}", needed.join("&")) };
    let mut headers: Vec<Value> = of("header").map(header).collect();
    let mut request = Map::new();
    request.insert("method".to_owned(), json!(method));
    request.insert("description".to_owned(), operation["description"].clone());
    if let Some(content) = operation["requestBody"]["content"].as_object() {
        let media = ["application/merge-patch+json", "application/json"];
        let media = media.into_iter().find(|media| content.contains_key(*media)).unwrap();
        headers.push(json!({ "key": "Content-Type", "value": media }));
        let example = serde_json::to_string_pretty(&example(&content[media]["schema"])).unwrap();
        let raw = json!({ "mode": "raw", "raw": example, "options": { "raw": { "language": "json" } } });
        request.insert("body".to_owned(), raw);
    }
    request.insert("header".to_owned(), Value::Array(headers));
    let mut url = json!({
        "raw": format!("{{{{baseUrl}}}}/{}{question}", segments.join("/")),
        "host": ["{{baseUrl}}"],
        "path": segments,
    });
    if !query.is_empty() {
        url["query"] = Value::Array(query);
    }
    request.insert("url".to_owned(), url);
    json!({
        "name": operation["summary"],
        "request": request,
        "protocolProfileBehavior": { "followRedirects": false },
        "event": [{ "listen": "test", "script": { "type": "text/javascript", "exec": script(operation) } }],
    })
}

fn query(parameter: &Value) -> Value {
    let needed = parameter["required"] == true;
    // What is deleted is what the run has made.
    let value = if needed { "{{id}}".to_owned() } else { spelt(&parameter["example"]) };
    json!({ "key": parameter["name"], "value": value, "description": parameter["description"], "disabled": !needed })
}

fn header(parameter: &Value) -> Value {
    let sent = SENT.iter().find(|(name, _)| parameter["name"] == *name);
    let value = sent.map_or_else(|| spelt(&parameter["example"]), |(_, value)| (*value).to_owned());
    json!({
        "key": parameter["name"],
        "value": value,
        "description": parameter["description"],
        "disabled": sent.is_none(),
    })
}

/// What the answer must be, by the document.
fn script(operation: &Value) -> Vec<String> {
    let responses = operation["responses"].as_object().unwrap();
    let mut statuses: Vec<u16> = responses.keys().map(|status| status.parse().unwrap()).collect();
    statuses.retain(|status| (200..400).contains(status) && *status != 304);
    let headers = responses[&statuses[0].to_string()]["headers"].as_object().unwrap();
    let always: Vec<_> = headers
        .iter()
        .filter(|(_, header)| resolved(header)["required"] == true)
        .map(|(name, _)| name)
        .collect();
    // A genre stays when its movies go: the second run meets that of the first.
    if operation["operationId"] == "createGenre" {
        statuses.push(409);
    }
    let mut script = vec![
        format!(
            "pm.test(\"the status is expected\", () => pm.expect(pm.response.code).to.be.oneOf({}));",
            json!(statuses)
        ),
        "if (pm.response.code < 400) {".to_owned(),
        format!("  for (const name of {}) {{", json!(always)),
        "    pm.test(`it has ${name}`, () => pm.response.to.have.header(name));".to_owned(),
        "  }".to_owned(),
        "}".to_owned(),
    ];
    if ["createMovie", "getMovie", "replaceMovie", "changeMovie"]
        .iter()
        .any(|id| operation["operationId"] == *id)
    {
        script.push("pm.collectionVariables.set(\"id\", pm.response.json().id);".to_owned());
        script.push("pm.collectionVariables.set(\"etag\", pm.response.headers.get(\"ETag\"));".to_owned());
    }
    script
}

/// The first example that a schema, or one that it names, has.
fn example(schema: &Value) -> Value {
    let schema = resolved(schema);
    match (&schema["examples"][0], &schema["anyOf"][0]) {
        (Value::Null, Value::Null) => panic!("no example: {schema}"),
        (Value::Null, first) => example(first),
        (example, _) => example.clone(),
    }
}

/// A value as it stands in a URL or a header.
fn spelt(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(spelt).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
