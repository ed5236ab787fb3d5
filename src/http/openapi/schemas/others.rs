//! Genres, deletions, health, problems.

use serde_json::json;
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{Array, ArrayBuilder, ObjectBuilder, Schema, Type};

use super::movie::{sent, told};
use super::{
    DELETION, GENRE, GENRE_OR_SLUG, GENRES, HEALTH, ID, NEW_GENRE, Named, PROBLEM, any_of, array_of,
};
use crate::domain::GenreName;

const VIOLATION: &str = "Violation";

pub(super) fn all() -> Vec<Named> {
    vec![
        (
            GENRE,
            object("A genre.")
                .property(
                    "name",
                    told(GenreName::MAX).description(Some("In the spelling that was seen first.")),
                )
                .property(
                    "slug",
                    text("Its name for paths and queries.").pattern(Some("^[a-z0-9]+(-[a-z0-9]+)*$")),
                )
                .property("movies", count("How many movies have it."))
                .required("name")
                .required("slug")
                .required("movies")
                .examples([json!({ "name": "Film-Noir", "slug": "film-noir", "movies": 7 })])
                .into(),
        ),
        (GENRE_OR_SLUG, {
            let slug = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[a-z0-9-]{1,90}$"));
            any_of([sent(GenreName::MAX).into(), slug.into()]).into()
        }),
        (GENRES, array_of(GENRE).into()),
        (
            NEW_GENRE,
            object("A genre to be made. Its name is unique without regard to case.")
                .property("name", sent(GenreName::MAX))
                .required("name")
                .examples([json!({ "name": "Film-Noir" })])
                .into(),
        ),
        (
            DELETION,
            object("What became of the movies that were to be deleted.")
                .property("deleted", array_of(ID).description(Some("Those that were there.")))
                .property("missing", array_of(ID).description(Some("Those that were not.")))
                .required("deleted")
                .required("missing")
                .examples([json!({ "deleted": [1, 2], "missing": [99_999] })])
                .into(),
        ),
        (HEALTH, health().into()),
        (PROBLEM, problem().into()),
        (
            VIOLATION,
            object("What is wrong at one place of a body.")
                .property("pointer", text("The place, as a JSON Pointer (RFC 6901).").pattern(Some("^(/|$)")))
                .property("detail", text("What it must be."))
                .required("pointer")
                .required("detail")
                .into(),
        ),
    ]
}

fn problem() -> ObjectBuilder {
    object("A failure (RFC 9457).")
        .property(
            "type",
            text("What kind of failure it is; it leads to a description.")
                .pattern(Some("^/problems/[a-z-]+$")),
        )
        .property("title", text("The kind in a few words."))
        .property("status", count("The status of the answer."))
        .property("detail", text("What to do about it."))
        .property("instance", text("The path that was asked for."))
        .property(
            "errors",
            array_of(VIOLATION)
                .min_items(Some(1))
                .description(Some("What is wrong in the body; at most 100.")),
        )
        .property("request_id", text("The id under which the log says more; only with a 500."))
        .required("type")
        .required("title")
        .required("status")
        .required("detail")
        .required("instance")
}

fn health() -> ObjectBuilder {
    let component = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("status", word(&["pass", "warn", "fail"]))
        .required("status");
    let checks = ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(Schema::from(ArrayBuilder::new().items(component).build())))
        .description(Some("Each part, by name: `database`, `cache`, `writer`, `follower` (how long ago other replicas' writes were looked for, \
             and how many revisions are still to be learnt), and `redis` where there is one."));
    object("As the IETF draft \"Health Check Response Format for HTTP APIs\" spells it.")
        .property(
            "status",
            word(&["pass", "warn", "fail"]).description(Some(
                "`warn`: fit for requests with something amiss: the database is away and the cache answers, Redis is \
                 away and the database is asked alone, or other replicas' writes have not been looked for in time.",
            )),
        )
        .property("version", text("marquee's release."))
        .property("notes", strings())
        .property("checks", checks)
        .required("status")
}

fn strings() -> Array {
    ArrayBuilder::new().items(ObjectBuilder::new().schema_type(Type::String)).build()
}

fn object(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(description))
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
}

fn word(words: &[&str]) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.to_vec()))
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

fn count(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).description(Some(description))
}
