//! How operations are put together from what is said elsewhere.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::path::{Operation, OperationBuilder, PathItem};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{
    AllOfBuilder, Content, ContentBuilder, HttpMethod, ObjectBuilder, Ref, RefOr, Response, Schema, Type,
};

use super::headers::{self, header};
use super::parameters::parameter;
use super::schemas::{PROBLEM, reference};
use crate::http::problem::kinds::{self, Kind};

/// The paths of a part of the document.
pub(super) type Paths = Vec<(&'static str, PathItem)>;

/// What every request may be answered.
const ANY: [&Kind; 4] =
    [&kinds::CROSS_ORIGIN_REFUSED, &kinds::URI_TOO_LONG, &kinds::RATE_LIMITED, &kinds::INTERNAL];

/// An operation, to be gone on with.
pub(super) fn operation(id: &str, tag: &str, summary: &str, description: &str) -> OperationBuilder {
    OperationBuilder::new()
        .operation_id(Some(id))
        .tag(tag)
        .summary(Some(summary))
        .description(Some(description))
}

/// What a request may bring.
pub(super) fn with_parameters(operation: OperationBuilder, names: &[&'static str]) -> OperationBuilder {
    names.iter().fold(operation, |operation, name| operation.parameter_ref(parameter(name)))
}

/// The failures of an operation, besides those that any may have: one answer for each status.
pub(super) fn with_problems(operation: OperationBuilder, kinds: &[&[&'static Kind]]) -> OperationBuilder {
    let mut by_status: BTreeMap<u16, Vec<&'static Kind>> = BTreeMap::new();
    for kind in kinds.iter().copied().flatten().chain(&ANY) {
        let of_status = by_status.entry(kind.status).or_default();
        if !of_status.contains(kind) {
            of_status.push(kind);
        }
    }
    by_status.into_iter().fold(operation, |operation, (status, kinds)| {
        operation.response(status.to_string(), problem(status, &kinds))
    })
}

fn problem(status: u16, kinds: &[&'static Kind]) -> Response {
    let types: Vec<Value> = kinds.iter().map(|kind| format!("/problems/{}", kind.slug).into()).collect();
    let just_these = ObjectBuilder::new()
        .property("type", ObjectBuilder::new().schema_type(Type::String).enum_values(Some(types)))
        .property(
            "status",
            ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([json!(status)])),
        );
    let schema = AllOfBuilder::new().item(reference(PROBLEM)).item(just_these);
    let examples = kinds
        .iter()
        .map(|kind| (kind.slug, RefOr::Ref(Ref::new(format!("#/components/examples/{}", kind.slug)))));
    let content =
        ContentBuilder::new().schema(Some(RefOr::<Schema>::from(schema))).examples_from_iter(examples);
    let meanings: Vec<_> = kinds.iter().map(|kind| format!("`{}`: {}", kind.slug, kind.meaning)).collect();
    let response = ResponseBuilder::new()
        .description(meanings.join("\n\n"))
        .content("application/problem+json", content.build());
    let mut names = vec!["Cache-Control", "X-Content-Type-Options"];
    match status {
        404 | 409 | 412 | 422 => names.push(headers::REVISION_IF_ANY),
        415 => names.push("Accept-Patch"),
        401 | 403 => names.push("WWW-Authenticate"),
        429 => names.push("Retry-After"),
        503 => names.extend(["Retry-After", headers::REVISION_IF_ANY]),
        _ => {}
    }
    with_headers(response, &names).build()
}

/// What a token is asked for by name in the document.
pub(super) const BEARER: &str = "bearer";

/// That an operation needs a token, with the failures of one that does not have it.
pub(super) fn with_token(mut item: PathItem) -> PathItem {
    for operation in [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten()
    {
        operation.security = Some(vec![token()]);
    }
    item
}

/// As [`with_token`], of what reads.
pub(super) fn reading_with_token(item: &mut PathItem) {
    for operation in [&mut item.get, &mut item.head].into_iter().flatten() {
        operation.security = Some(vec![token()]);
    }
}

fn token() -> SecurityRequirement {
    SecurityRequirement::new(BEARER, [""; 0])
}

/// An answer of some kind.
pub(super) fn response(description: &str, names: &[&'static str]) -> ResponseBuilder {
    with_headers(ResponseBuilder::new().description(description), names)
}

fn with_headers(response: ResponseBuilder, names: &[&'static str]) -> ResponseBuilder {
    let names = names.iter().chain(headers::ANY);
    names.fold(response, |response, name| {
        let field = if *name == headers::REVISION_IF_ANY { "Marquee-Revision" } else { name };
        response.header_ref(field, header(name))
    })
}

/// A body of a schema that has a name.
pub(super) fn content(schema: &str) -> ContentBuilder {
    ContentBuilder::new().schema(Some(reference(schema)))
}

/// A body that is text, by example.
pub(super) fn text(description: &str, example: impl Into<Value>) -> Content {
    let schema = ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    ContentBuilder::new().schema(Some(schema)).example(Some(example.into())).build()
}

/// A path that is read by GET, and by HEAD the same way without the body.
pub(super) fn read(get: OperationBuilder) -> PathItem {
    let get: Operation = get.build();
    let mut head = get.clone();
    head.operation_id = head.operation_id.map(|id| id + "Head");
    head.summary = head.summary.map(|summary| summary + " (head only)");
    head.description = Some("As GET, without the body.".to_owned());
    for response in head.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.content.clear();
            response.links.clear();
        }
    }
    let mut item = PathItem::new(HttpMethod::Get, get);
    item.head = Some(head);
    item
}
