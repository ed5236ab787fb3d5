//! The headers of answers.

use serde_json::{Value, json};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{Header, Object, ObjectBuilder, Ref, Type};

/// A header, and whether an answer that names it always has it.
pub(super) type Named = (&'static str, Header);

/// Names a header in an answer.
pub(super) fn header(name: &'static str) -> Ref {
    Ref::new(format!("#/components/headers/{name}"))
}

/// `Marquee-Revision` where an answer may be without one.
pub(super) const REVISION_IF_ANY: &str = "Marquee-Revision-if-any";

/// What every answer may have: the id of its request, and what is left to who asks where `MARQUEE_RATE_LIMIT` is set.
pub(super) const ANY: &[&str] = &["X-Request-Id", "RateLimit", "RateLimit-Policy"];

/// What is said to browsers with what people read.
pub(super) const PAGE: &[&str] = &[
    "Content-Security-Policy",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "Referrer-Policy",
    "Cross-Origin-Opener-Policy",
];

/// The headers of an answer that is read from the catalogue.
pub(super) const READ: &[&str] = &[
    "ETag",
    "Marquee-Revision",
    "Cache-Control",
    "Cache-Status",
    "Content-Encoding",
    "Server-Timing",
    "Vary",
];

/// The headers of an answer to a write.
pub(super) const WRITTEN: &[&str] = &["ETag", "Marquee-Revision", "Cache-Control"];

/// The headers of bytes that change with a release only.
pub(super) const ASSET: &[&str] = &["ETag", "Cache-Control"];

/// All of them, by name.
pub(super) fn all() -> Vec<Named> {
    let revision = "The revision that the answer reflects; of a write, the one that it made.";
    vec![
        always(
            "ETag",
            text().pattern(Some("^\"[^\"]+\"$")),
            "A strong validator of exactly these bytes (RFC 9110): another coding has another. Replicas agree on it.",
            json!("\"5f0c3f4d0a1b2c3d-1ai\""),
        ),
        always("Marquee-Revision", count(), revision, json!(42)),
        sometimes(REVISION_IF_ANY, count(), revision, json!(42)),
        always(
            "Cache-Control",
            text(),
            "`MARQUEE_CACHE_CONTROL` on reads of the catalogue (`no-cache`: keep it, and ask again each time); \
             `no-store` on writes, failures, health and metrics.",
            json!("no-cache"),
        ),
        always(
            "Cache-Status",
            text().pattern(Some("^marquee; (hit|fwd=miss)")),
            "How the answer was come by (RFC 9211): `marquee; hit`, `marquee; fwd=miss; stored`, `…; collapsed`. \
             `ttl=-N` where the database has been away for N seconds.",
            json!("marquee; hit"),
        ),
        always(
            "Vary",
            text(),
            "Which headers of a request the answer depends on.",
            json!("Accept-Encoding, Accept"),
        ),
        sometimes(
            "Content-Encoding",
            text().enum_values(Some(["zstd", "gzip"])),
            "Where the answer is coded, by `Accept-Encoding`.",
            json!("zstd"),
        ),
        sometimes(
            "Server-Timing",
            text(),
            "What a miss took: reading, encoding, and how many segments.",
            json!("db;dur=1.204, encode;dur=0.310, segments;desc=\"1\""),
        ),
        always("X-Total-Count", count(), "How many there are in the list.", json!(3200)),
        sometimes(
            "Link",
            text().pattern(Some("^</v1/movies\\?[^>]+>; rel=\"first\"")),
            "Where the other pages are (RFC 8288): `first`, `prev`, `next`, `last`. There is none where everything was \
             asked for.",
            json!(
                "</v1/movies?genre=drama&limit=50>; rel=\"first\", </v1/movies?genre=drama&limit=50&cursor=AQAx>; rel=\"next\""
            ),
        ),
        sometimes(
            "Location",
            text().pattern(Some("^/")),
            "Where the movie is that was created (not of several); where the page is.",
            json!("/v1/movies/3201"),
        ),
        sometimes(
            "Preference-Applied",
            text().enum_values(Some(["resolution=merge"])),
            "Which preference was followed (RFC 7240).",
            json!("resolution=merge"),
        ),
        sometimes(
            "Retry-After",
            count(),
            "How many seconds to wait before trying again. Not where the outcome of a write is unknown: look before \
             you send that again.",
            json!(1),
        ),
        sometimes(
            "WWW-Authenticate",
            text().pattern(Some("^Bearer realm=\"marquee\"")),
            "That a token is asked for, and what is wrong with the one that was sent (RFC 6750).",
            json!("Bearer realm=\"marquee\", error=\"invalid_token\""),
        ),
        sometimes(
            "Accept-Patch",
            text(),
            "The types that a PATCH takes (RFC 5789).",
            json!("application/merge-patch+json, application/json"),
        ),
        sometimes(
            "X-Request-Id",
            text(),
            "The id of the request: the one that it brought, or one that was given.",
            json!("7b4a1f0e9d2c4c5f8f6a3b2c1d0e9f8a"),
        ),
        sometimes(
            "RateLimit",
            text().pattern(Some("^\"default\";r=[0-9]+;t=[0-9]+$")),
            "How many requests are left, and for how many seconds that holds (an IETF draft).",
            json!("\"default\";r=99;t=1"),
        ),
        sometimes(
            "RateLimit-Policy",
            text().pattern(Some("^\"default\";q=[0-9]+;w=[0-9]+$")),
            "How many requests a client may send in how many seconds.",
            json!("\"default\";q=100;w=1"),
        ),
        always(
            "Content-Security-Policy",
            text(),
            "What a browser may load and run: what this server has.",
            json!("default-src 'none'; script-src 'self'"),
        ),
        always("X-Content-Type-Options", word("nosniff"), "It is what it says it is.", json!("nosniff")),
        always("X-Frame-Options", word("DENY"), "It is shown in nobody's frame.", json!("DENY")),
        always("Referrer-Policy", word("no-referrer"), "Nobody is told of it.", json!("no-referrer")),
        always(
            "Cross-Origin-Opener-Policy",
            word("same-origin"),
            "It shares its window with no other site.",
            json!("same-origin"),
        ),
    ]
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn word(only: &str) -> ObjectBuilder {
    text().enum_values(Some([only]))
}

fn count() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0))
}

fn sometimes(name: &'static str, schema: ObjectBuilder, description: &str, example: Value) -> Named {
    let schema: Object = schema.build();
    let header =
        HeaderBuilder::new().schema(Some(schema)).description(Some(description)).example(Some(example));
    (name, header.build())
}

/// utoipa has no `required` of a header, which OpenAPI has.
fn always(name: &'static str, schema: ObjectBuilder, description: &str, example: Value) -> Named {
    let (name, mut header) = sometimes(name, schema, description, example);
    header.extensions = Some(Extensions::from_iter([("required", true)]));
    (name, header)
}
