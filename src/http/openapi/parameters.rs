//! What a request brings in its path, its query and its head.

mod find;

use serde_json::{Value, json};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{ObjectBuilder, Ref, RefOr, Required, Schema, Type};

pub(super) use find::FIND;

use super::page;
use super::schemas::{ID, reference};
use crate::http::problem::kinds;

/// Names a parameter in an operation.
pub(super) fn parameter(name: &'static str) -> Ref {
    Ref::new(format!("#/components/parameters/{name}"))
}

/// What every request to the catalogue may bring.
pub(super) const ANY: &[&str] = &["X-Request-Id", "traceparent"];

/// What a GET of the catalogue may bring.
pub(super) const READ: &[&str] = &["If-None-Match", "Marquee-Min-Revision", "Accept-Encoding"];

/// What a change of one movie may bring.
pub(super) const CONDITIONS: &[&str] = &["If-Match"];

/// All of them, by name.
pub(super) fn all() -> Vec<(&'static str, Parameter)> {
    let mut all = find::all();
    all.extend([
        ("id", in_path("id", reference(ID), "The movie's id.", json!(12))),
        (
            "slug",
            in_path(
                "slug",
                text().enum_values(Some(kinds::KINDS.iter().map(|kind| kind.slug))),
                "The last part of a problem's `type`.",
                json!("precondition-failed"),
            ),
        ),
        (
            "file",
            in_path(
                "file",
                text().enum_values(Some(page::files())),
                "One of the files that the page loads.",
                json!("start.js"),
            ),
        ),
        ("ids", {
            let description = "The movies to delete. Without it nothing is deleted: a 400.";
            let mut ids = find::list("id", reference(ID), description, json!([1, 2, 3]));
            ids.required = Required::True;
            ids
        }),
        header(
            "If-None-Match",
            text(),
            "Tags of answers that the client has: 304 where one of them is still right.",
            json!("\"5f0c3f4d0a1b2c3d-1ai\""),
        ),
        header(
            "If-Match",
            text(),
            "Change the movie only if it still has one of these tags (of any coding); `*` if it is there at all. \
             Else 412.",
            json!("\"9e107d9d372bb682-ai\""),
        ),
        header(
            "Accept-Encoding",
            text(),
            "Which codings the client takes (RFC 9110): `zstd` and `gzip`, by weights; `identity;q=0` refuses an answer as it is. 406 \
             where it takes none that there is.",
            json!("zstd, gzip"),
        ),
        header(
            "Marquee-Min-Revision",
            ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)),
            "Answer from this revision or a later one: the `Marquee-Revision` of a write reads that write on every \
             replica. What does not come in time is a 503.",
            json!(1),
        ),
        header(
            "Idempotency-Key",
            text().pattern(Some(KEY)),
            "A name for this request, a UUID say: within 24 hours it is done once, however often it is sent, and each \
             answer is the first one. Another request under the same key is a 422. Failures are not kept.",
            json!("8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ),
        header(
            "Prefer",
            text(),
            "`resolution=merge`: a movie whose `imdb_id` exists takes that one's place, instead of a 409. Other \
             preferences are passed over (RFC 7240).",
            json!("resolution=merge"),
        ),
        header(
            "X-Request-Id",
            text(),
            "An id to find the request by in the log: up to 128 letters, digits and `-_.:/+=@~|`. It comes back. \
             Another is as good as none.",
            json!("order-7/retry-1"),
        ),
        header(
            "traceparent",
            text(),
            "The trace that the request is part of (W3C Trace Context): logged, and its ids come back in \
             `X-Request-Id`.",
            json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ),
    ]);
    all
}

/// A key as it is, or in quotes (RFC 9651).
const KEY: &str = r#"^([!#-~]|[!#-~][ -~]{0,253}[!-~]|"([ !#-\[\]-~]|\\["\\]){1,255}")$"#;

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn in_path(name: &str, schema: impl Into<RefOr<Schema>>, description: &str, example: Value) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema))
        .description(Some(description))
        .example(Some(example))
        .build()
}

fn header(
    name: &'static str,
    schema: ObjectBuilder,
    description: &str,
    example: Value,
) -> (&'static str, Parameter) {
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .schema(Some(schema))
        .description(Some(description))
        .example(Some(example));
    (name, parameter.build())
}
