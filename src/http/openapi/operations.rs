//! What operators, gateways and readers ask.

use utoipa::openapi::path::OperationBuilder;
use utoipa::openapi::{Content, ContentBuilder, ObjectBuilder, Type};

use super::OPERATIONS as TAG;
use super::answers::{Paths, content, operation, read, response, text, with_parameters, with_problems};
use super::headers::{ASSET, PAGE};
use super::schemas::HEALTH;
use crate::http::problem::kinds;

const HEALTH_JSON: &str = "application/health+json";
const STORED_NEVER: &[&str] = &["Cache-Control"];

pub(super) fn paths() -> Paths {
    vec![
        ("/livez", read(live())),
        ("/readyz", read(ready())),
        ("/metrics", read(metrics())),
        ("/problems/{slug}", read(problem())),
        ("/openapi.json", read(document())),
        ("/docs", read(page())),
        ("/docs/{file}", read(file())),
        ("/", read(root())),
    ]
}

fn live() -> OperationBuilder {
    let live = operation("isAlive", TAG, "Whether it is alive", "The process answers.");
    with_problems(
        live.response("200", response("It does.", STORED_NEVER).content(HEALTH_JSON, health())),
        &[],
    )
}

fn ready() -> OperationBuilder {
    let ready = operation(
        "isReady",
        TAG,
        "Whether it is ready",
        "Whether this replica should get requests. 200 also while the database is away and the cache is warm: a \
         gateway must not take such a replica out.",
    );
    let ready = with_problems(ready, &[]);
    let is_not = response("It has not read the collection yet, or it is stopping.", STORED_NEVER);
    ready
        .response("200", response("It is.", STORED_NEVER).content(HEALTH_JSON, health()))
        .response("503", is_not.content(HEALTH_JSON, health()))
}

fn metrics() -> OperationBuilder {
    let metrics = operation(
        "metrics",
        TAG,
        "What is counted",
        "In the text format of Prometheus, or as OpenMetrics where `Accept` prefers it.",
    );
    let line = "marquee_revision 42\n";
    let counted = response("The metrics.", &["Cache-Control", "Vary"])
        .content("text/plain", text("Prometheus' text format, 0.0.4.", line))
        .content("application/openmetrics-text", text("OpenMetrics, 1.0.0.", line));
    with_problems(metrics.response("200", counted), &[&[&kinds::UNAUTHORIZED, &kinds::NOT_READY]])
}

fn problem() -> OperationBuilder {
    let problem =
        operation("describeProblem", TAG, "What a problem means", "Where the `type` of a problem leads.");
    let meaning = text("For people.", "Not found (404)\n\nThere is nothing at this path.\n");
    let names = [STORED_NEVER, PAGE].concat();
    let described = response("What it means, and what to do.", &names).content("text/plain", meaning);
    let problem = with_parameters(problem, &["slug"]).response("200", described);
    with_problems(problem, &[&[&kinds::NOT_FOUND]])
}

fn document() -> OperationBuilder {
    let document = operation("openApi", TAG, "This document", "OpenAPI 3.1.");
    let schema = ObjectBuilder::new().schema_type(Type::Object);
    let json = ContentBuilder::new().schema(Some(schema)).build();
    asset(document, &[], "application/json", json)
}

fn page() -> OperationBuilder {
    let page = operation("docs", TAG, "This document as a page", "It loads nothing from another host.");
    asset(page, PAGE, "text/html", text("HTML.", "<!DOCTYPE html>"))
}

fn file() -> OperationBuilder {
    let file = with_parameters(
        operation("docsFile", TAG, "What the page loads", "Scripts, style, picture."),
        &["file"],
    );
    let bytes = ContentBuilder::new().build();
    let file = asset(file, &["X-Content-Type-Options"], "*/*", bytes);
    with_problems(file, &[&[&kinds::NOT_FOUND]])
}

fn root() -> OperationBuilder {
    let root = operation("root", TAG, "To the page", "There is no other page yet.");
    with_problems(root.response("302", response("To `/docs`.", &["Location", "Cache-Control"])), &[])
}

fn asset(
    operation: OperationBuilder,
    more: &[&'static str],
    media: &str,
    content: Content,
) -> OperationBuilder {
    let names = [ASSET, more].concat();
    let operation = with_parameters(operation, &["If-None-Match"])
        .response("200", response("The bytes.", &names).content(media, content))
        .response("304", response("The client has them already.", &names));
    with_problems(operation, &[])
}

fn health() -> Content {
    content(HEALTH).build()
}
