//! What holds every answer that a test gets to the document of the API.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::LINES;

/// The document that was agreed on.
pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap());

/// What belongs to HTTP itself and is not named in a document.
const OF_HTTP: &[&str] = &["connection", "content-length", "content-type", "date", "transfer-encoding"];

/// Holds an answer to the document: its status, media type, headers and body.
pub(crate) fn hold(method: &Method, path: &str, status: u16, headers: &HeaderMap, body: &[u8]) {
    let at = format!("{method} {path} {status} {headers:?} {}", String::from_utf8_lossy(body));
    let Some((_, item)) = DOCUMENT["paths"].as_object().unwrap().iter().find(|(t, _)| leads(t, path)) else {
        assert!([404, 414].contains(&status), "a path that the document has not: {at}");
        return is_a_problem(headers, body, &at);
    };
    if *method == Method::OPTIONS && headers.contains_key("access-control-allow-origin") && status == 200 {
        return assert!(body.is_empty(), "a preflight: {at}");
    }
    let verb = method.as_str().to_lowercase();
    let Some(operation) = item.get(&verb).filter(|_| method.as_str() == verb.to_uppercase()) else {
        assert!([403, 405, 414].contains(&status), "a method that the document has not: {at}");
        return is_a_problem(headers, body, &at);
    };
    let responses = &operation["responses"];
    let response = responses.get(status.to_string()).unwrap_or_else(|| panic!("not in the document: {at}"));
    hold_headers(&response["headers"], headers, &at);
    if *method == Method::HEAD {
        assert!(body.is_empty(), "{at}");
        return;
    }
    let content = &response["content"];
    let Some(media) = headers.get("content-type") else {
        assert!(body.is_empty() && content.is_null(), "{at}");
        return;
    };
    let media = media.to_str().unwrap().split(';').next().unwrap();
    let declared = content.get(media).or_else(|| content.get("*/*"));
    let declared = declared.unwrap_or_else(|| panic!("{media} is not in the document: {at}"));
    if media.ends_with("json") && media != LINES && !headers.contains_key("content-encoding") {
        hold_json(&declared["schema"], body, &at);
    }
}

/// Whether a path of the document leads to this one.
fn leads(template: &str, path: &str) -> bool {
    let (mut these, mut those) = (template.split('/'), path.split('/'));
    loop {
        match (these.next(), those.next()) {
            (None, None) => return true,
            (Some(this), Some(that)) if this == that || this.starts_with('{') && !that.is_empty() => {}
            _ => return false,
        }
    }
}

fn is_a_problem(headers: &HeaderMap, body: &[u8], at: &str) {
    assert_eq!(headers["content-type"], "application/problem+json", "{at}");
    if !body.is_empty() {
        hold_json(&json!({ "$ref": "#/components/schemas/Problem" }), body, at);
    }
}

fn hold_headers(declared: &Value, headers: &HeaderMap, at: &str) {
    let resolve = |header: &Value| match header["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(&reference[1..]).unwrap().clone(),
        None => header.clone(),
    };
    let declared: HashMap<String, Value> = declared
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, header)| (name.to_lowercase(), resolve(header)))
        .collect();
    for (name, header) in &declared {
        let values: Vec<_> = headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
        let once = values.len() == 1 || values.is_empty() && header["required"] != true;
        assert!(once || name == "vary" && varies_by_origin(headers), "{name} {values:?}: {at}");
        for value in values {
            let value = match header["schema"]["type"].as_str() {
                Some("integer") => value.parse::<u64>().map(Value::from).unwrap_or_else(|_| json!(value)),
                _ => json!(value),
            };
            let schema = jsonschema::validator_for(&header["schema"]).unwrap();
            assert!(schema.is_valid(&value), "{name}: {value}: {at}");
        }
    }
    for name in headers.keys().map(reqwest::header::HeaderName::as_str) {
        let of_cors = name.starts_with("access-control-") || name == "vary" && varies_by_origin(headers);
        let known = OF_HTTP.contains(&name) || declared.contains_key(name) || of_cors;
        assert!(known, "{name} is not in the document: {at}");
    }
}

/// As answers do where scripts of other sites may read them (the Fetch standard).
fn varies_by_origin(headers: &HeaderMap) -> bool {
    headers.get_all("vary").iter().any(|vary| vary.to_str().unwrap().to_lowercase().contains("origin"))
}

fn hold_json(schema: &Value, body: &[u8], at: &str) {
    static VALIDATORS: LazyLock<Mutex<HashMap<String, &'static Validator>>> = LazyLock::new(Mutex::default);
    let validator = *VALIDATORS.lock().unwrap().entry(schema.to_string()).or_insert_with(|| {
        let root = json!({ "allOf": [schema], "components": DOCUMENT["components"] });
        Box::leak(Box::new(jsonschema::options().should_validate_formats(true).build(&root).unwrap()))
    });
    let value: Value = serde_json::from_slice(body).unwrap_or_else(|e| panic!("{e}: {at}"));
    let wrong: Vec<_> =
        validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(wrong.is_empty(), "{wrong:?}: {at}");
}
