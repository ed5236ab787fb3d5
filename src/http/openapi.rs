//! The document of the API (OpenAPI 3.1), and a page of it that loads nothing from another host.
//!
//! The document is built from what it describes wherever that can be had: bounds are the domain's constants,
//! failures the types in `problem`. Each idea is said once: `schemas` is what bodies are, `parameters` and
//! `headers` what stands in heads, `answers` how they make up an answer; `movies`, `genres` and `operations`
//! put the operations together. It knows nothing of the handlers; tests ask them whether it is true.

mod answers;
mod asset;
mod examples;
mod genres;
mod headers;
mod movies;
mod operations;
mod page;
mod parameters;
mod schemas;

use actix_web::HttpRequest;
use actix_web::web::Data;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{
    Components, ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathsBuilder,
    ServerBuilder,
};

use super::Site;
use super::problem::{Answer, kinds};
pub(super) use asset::Asset;
pub(super) use page::{file, index as docs, root};

/// GET /openapi.json
pub(super) async fn json(request: HttpRequest, site: Data<Site>) -> Answer {
    Answer(Ok(site.document.answer(&request)))
}

/// The document as it is sent.
pub(super) fn document(reads_are_public: bool) -> Asset {
    let bytes = serde_json::to_vec(&open_api(reads_are_public)).unwrap_or_else(|error| {
        log::error!("the document of the API cannot be written: {error}");
        Vec::new()
    });
    Asset::new("application/json", bytes.into())
}

fn open_api(reads_are_public: bool) -> OpenApi {
    let license = LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0"));
    let info = InfoBuilder::new()
        .title("marquee")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(description()))
        .license(Some(license.build()));
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new().url("/").description(Some("The host of this document")).build()]))
        .tags(Some(tags()))
        .paths(paths(reads_are_public))
        .components(Some(components()))
        .build()
}

fn paths(reads_are_public: bool) -> PathsBuilder {
    let paths = [movies::paths(), genres::paths(), operations::paths()];
    paths.into_iter().flatten().fold(PathsBuilder::new(), |all, (path, mut item)| {
        if !reads_are_public && GUARDED.contains(&path) {
            answers::reading_with_token(&mut item);
        }
        all.path(path, item)
    })
}

/// What needs a token where reading is not public.
const GUARDED: [&str; 4] = ["/v1/movies", "/v1/movies/{id}", "/v1/genres", "/metrics"];

fn components() -> Components {
    let mut all = ComponentsBuilder::new().security_scheme(answers::BEARER, bearer());
    for (name, schema) in schemas::all() {
        all = all.schema(name, schema);
    }
    for (name, header) in headers::all() {
        all = all.header(name, header);
    }
    for (name, parameter) in parameters::all() {
        all = all.parameter(name, parameter);
    }
    for (name, example) in examples::all() {
        all = all.example(name, example);
    }
    all.build()
}

fn bearer() -> SecurityScheme {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("mq_…").description(Some(
        "A token of the role `write`, made by `marquee token create`; `read` does where `MARQUEE_PUBLIC_READ=off` and \
         nothing is written. On the loopback address, and until the first token is made, writes need none.",
    ));
    SecurityScheme::Http(scheme.build())
}

const MOVIES: &str = "movies";
const GENRES: &str = "genres";
const OPERATIONS: &str = "operations";

fn tags() -> Vec<Tag> {
    let tag = |name, text: &str| TagBuilder::new().name(name).description(Some(text)).build();
    vec![
        tag(MOVIES, "The collection: view all or one, create, change, delete."),
        tag(GENRES, "Genres, and how many movies have each."),
        tag(OPERATIONS, "For orchestrators, for Prometheus, and for people: health, metrics, documents."),
    ]
}

fn description() -> String {
    let mut text = String::from(INTRODUCTION);
    for kind in kinds::KINDS {
        text += &format!("| `{}` | {} | {} |\n", kind.slug, kind.status, kind.meaning);
    }
    text
}

const INTRODUCTION: &str = "\
A movie collection. No read is older than a write that was acknowledged before it.

**Reads** carry a strong `ETag`: send it back as `If-None-Match` and get a 304 as long as nothing changed. \
`Marquee-Revision` says which state of the collection an answer reflects; it grows by one with each write \
transaction.

**Writes** are answered when they are durable. Guard a change with `If-Match` and the tag of the movie that \
was read: 412 says that somebody else came first.

**Tokens:** writes need one of the role `write` as `Authorization: Bearer …`. Reading is public unless \
`MARQUEE_PUBLIC_READ=off`.

**Failures** are `application/problem+json` (RFC 9457). `type` is one of the below; `detail` says what to do; \
`errors` points at what is wrong in a body. A path that does not exist is a 404, and a method that a path does \
not take is a 405 with `Allow`. Only what is no HTTP at all (a malformed head) is refused without a problem \
document.

**Other sites' scripts** may read answers where `MARQUEE_CORS_ORIGINS` names the site (the Fetch standard's \
`Access-Control-*` headers, and preflights by OPTIONS, are then answered). **Who asks too often** where \
`MARQUEE_RATE_LIMIT` is set is told 429 and `Retry-After`.

**Ids of requests:** an `X-Request-Id` (or a W3C `traceparent`) that a request brings comes back as \
`X-Request-Id`; every 500 has one, under which the log says more.

| type, under `/problems/` | status | meaning |
|---|---|---|
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Says how to take over what is served, where a change is meant.
    fn accept(text: &str) -> String {
        let target = concat!(env!("CARGO_MANIFEST_DIR"), "/target");
        std::fs::create_dir_all(target).unwrap();
        std::fs::write(format!("{target}/openapi.json"), text).unwrap();
        "docs/openapi.json is not what marquee serves. If that is meant: cp target/openapi.json docs/"
            .to_owned()
    }

    #[test]
    fn the_document_is_the_one_that_was_agreed_on() {
        let text = serde_json::to_string_pretty(&open_api(true)).unwrap() + "\n";
        let agreed = include_str!("../../docs/openapi.json");
        assert!(agreed == text, "{}", accept(&text));
    }

    /// Its tag must not depend on the process.
    #[test]
    fn the_document_is_always_the_same() {
        let once = serde_json::to_string(&open_api(true)).unwrap();
        for _ in 0..20 {
            assert!(serde_json::to_string(&open_api(true)).unwrap() == once);
        }
    }

    /// Where reading is not public, the document says so, and nothing else is otherwise.
    #[test]
    fn reads_need_a_token_where_they_are_not_public() {
        let [public, guarded] = [true, false].map(|public| serde_json::to_value(open_api(public)).unwrap());
        let mut expected = public.clone();
        for path in GUARDED {
            for method in ["get", "head"] {
                let operation = &mut expected["paths"][path][method];
                assert!(
                    operation["operationId"].is_string() && operation["security"].is_null(),
                    "{method} {path}"
                );
                operation["security"] = serde_json::json!([{ "bearer": [] }]);
            }
        }
        assert!(guarded == expected);
    }

    /// What a component is named for is there, and each of them is used.
    #[test]
    fn every_reference_leads_somewhere_and_every_component_is_used() {
        let document = serde_json::to_value(open_api(true)).unwrap();
        let mut used = BTreeSet::new();
        references(&document, &mut used);
        for reference in &used {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
        for (kind, all) in document["components"].as_object().unwrap() {
            for name in all.as_object().unwrap().keys() {
                let reference = format!("#/components/{kind}/{name}");
                // A tool needs no reference to it; it is named by the operations that it guards.
                assert!(
                    kind == "securitySchemes" || used.contains(&reference) || name == "method-not-allowed",
                    "{reference}"
                );
            }
        }
    }

    fn references(value: &serde_json::Value, found: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(members) => {
                found.extend(members.get("$ref").and_then(|to| to.as_str()).map(str::to_owned));
                members.values().for_each(|member| references(member, found));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
}
