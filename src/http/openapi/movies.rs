//! `/v1/movies` and `/v1/movies/{id}`.

use serde_json::json;
use utoipa::openapi::link::{Link, LinkBuilder};
use utoipa::openapi::path::{OperationBuilder, PathItem};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::{ContentBuilder, RefOr, Required};

use super::answers::{
    Paths, content, operation, read, response, text, with_parameters, with_problems, with_token,
};
use super::headers::{READ, WRITTEN};
use super::schemas::{DELETION, LISTED_MOVIES, MOVIE, NEW_MOVIES, PATCH, REPLACEMENT, WRITTEN_MOVIES};
use super::{MOVIES as TAG, examples, parameters};
use crate::http::problem::kinds::{self, Kind};

/// The failures of a read.
pub(super) const READING: &[&Kind] = &[
    &kinds::INVALID_HEADER,
    &kinds::UNKNOWN_PARAMETER,
    &kinds::UNAUTHORIZED,
    &kinds::NOT_ACCEPTABLE,
    &kinds::NOT_READY,
    &kinds::DATABASE_AWAY,
    &kinds::REVISION_NOT_REACHED,
    &kinds::TIMEOUT,
];

/// The failures of a write.
pub(super) const WRITING: &[&Kind] = &[
    &kinds::UNKNOWN_PARAMETER,
    &kinds::UNAUTHORIZED,
    &kinds::FORBIDDEN,
    &kinds::ANOTHER_SITE,
    &kinds::NOT_READY,
    &kinds::NOT_EXECUTED,
    &kinds::OUTCOME_UNKNOWN,
];

/// The failures of a write that may have a key.
pub(super) const KEYED: &[&Kind] = &[&kinds::INVALID_HEADER, &kinds::KEY_REUSED];

/// The failures of a body.
pub(super) const BODY: &[&Kind] = &[
    &kinds::MALFORMED_JSON,
    &kinds::REQUEST_TIMEOUT,
    &kinds::BODY_TOO_LARGE,
    &kinds::UNSUPPORTED_MEDIA_TYPE,
];

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

pub(super) fn paths() -> Paths {
    let mut all = read(list());
    all.post = Some(create().build());
    all.delete = Some(delete_many().build());
    let mut one = read(get());
    one.put = Some(replace().build());
    one.patch = Some(change().build());
    one.delete = Some(delete().build());
    vec![("/v1/movies", with_any(all, &[])), ("/v1/movies/{id}", with_any(one, &["id"]))]
}

/// What every request to a path may bring, and that writes need a token.
pub(super) fn with_any(mut item: PathItem, more: &[&'static str]) -> PathItem {
    let names = more.iter().chain(parameters::ANY);
    item.parameters = Some(names.map(|name| RefOr::Ref(parameters::parameter(name))).collect());
    with_token(item)
}

fn list() -> OperationBuilder {
    let list = operation(
        "listMovies",
        TAG,
        "View all movies, or find some",
        "Without parameters the whole collection at one revision, by ascending `id`: a JSON array, or one movie a line \
         where `Accept` prefers `application/x-ndjson`. With any parameter the movies of which all that is said holds, a \
         page at a time: `Link` leads to the others.",
    );
    let list = with_parameters(list, &[parameters::FIND, parameters::READ].concat())
        .response("200", movies().link("getMovie", first_of_many()))
        .response("304", not_modified(&["X-Total-Count", "Link"]));
    with_problems(list, &[READING, &[&kinds::INVALID_PARAMETER, &kinds::TOO_LARGE]])
}

fn get() -> OperationBuilder {
    let get = operation(
        "getMovie",
        TAG,
        "View one movie",
        "The movie as it is at the revision that the answer names.",
    );
    let get = with_parameters(get, parameters::READ)
        .response("200", linked(response("The movie.", READ).content(JSON, content(MOVIE).build())))
        .response("304", not_modified(&[]));
    with_problems(get, &[READING, &[&kinds::NOT_FOUND]])
}

fn create() -> OperationBuilder {
    let body = RequestBodyBuilder::new()
        .description(Some("One movie, an array of movies, or one a line."))
        .required(Some(Required::True))
        .content(JSON, created_from())
        .content(
            LINES,
            text("A movie a line.", examples::lines(&[examples::new_movie(), examples::imdb_movie()])),
        );
    let create = operation(
        "createMovie",
        TAG,
        "Create movies",
        "Creates one movie, or several in one transaction: all or nothing. Genres and directors that are not known yet \
         are made.",
    );
    let create = with_parameters(create, &["Idempotency-Key", "Prefer"])
        .request_body(Some(body.build()))
        .response("201", linked(written("Created. What was sent as an array or as lines is answered so.")))
        .response(
            "200",
            linked(written("With `resolution=merge`: all of them were there, and took their places.")),
        );
    with_problems(
        create,
        &[WRITING, BODY, KEYED, &[&kinds::TOO_MANY_MOVIES, &kinds::DUPLICATE_IMDB_ID, &kinds::INVALID_MOVIE]],
    )
}

fn delete_many() -> OperationBuilder {
    let delete = operation(
        "deleteMovies",
        TAG,
        "Delete several movies",
        "Deletes the movies that are named, in one transaction, and says which of them were there.",
    );
    let done = response("Done.", WRITTEN);
    let delete =
        with_parameters(delete, &["ids"]).response("200", done.content(JSON, content(DELETION).build()));
    with_problems(delete, &[WRITING, &[&kinds::INVALID_PARAMETER, &kinds::PRECONDITION_FAILED]])
}

fn replace() -> OperationBuilder {
    let replace = operation(
        "replaceMovie",
        TAG,
        "Replace a movie",
        "The movie becomes what the body says: members that are left out become empty. What changes nothing makes no \
         new `version`.",
    );
    changing(replace, body("The whole movie.", &[JSON], REPLACEMENT))
}

fn change() -> OperationBuilder {
    let change = operation(
        "changeMovie",
        TAG,
        "Change a movie",
        "A merge patch (RFC 7396): members that the body names are changed, `null` removes one, the others stay.",
    );
    changing(change, body("What is to change.", &["application/merge-patch+json", JSON], PATCH))
}

fn changing(operation: OperationBuilder, body: RequestBody) -> OperationBuilder {
    let changed = response("The movie as it is now.", WRITTEN).content(JSON, content(MOVIE).build());
    let operation = with_parameters(operation, parameters::CONDITIONS)
        .request_body(Some(body))
        .response("200", linked(changed));
    let of_one =
        &[&kinds::NOT_FOUND, &kinds::DUPLICATE_IMDB_ID, &kinds::PRECONDITION_FAILED, &kinds::INVALID_MOVIE];
    with_problems(operation, &[WRITING, BODY, of_one])
}

fn delete() -> OperationBuilder {
    let delete = operation(
        "deleteMovie",
        TAG,
        "Delete a movie",
        "No other movie changes, and no genre goes that another movie has.",
    );
    let delete = with_parameters(delete, parameters::CONDITIONS)
        .response("204", response("It is gone.", &["Marquee-Revision", "Cache-Control"]));
    with_problems(delete, &[WRITING, &[&kinds::NOT_FOUND, &kinds::PRECONDITION_FAILED]])
}

fn created_from() -> ContentBuilder {
    content(NEW_MOVIES)
}

fn body(description: &str, media: &[&str], schema: &str) -> RequestBody {
    let body = RequestBodyBuilder::new().description(Some(description)).required(Some(Required::True));
    media.iter().fold(body, |body, media| body.content(*media, content(schema).build())).build()
}

fn movies() -> ResponseBuilder {
    let names = [READ, &["X-Total-Count", "Link"]].concat();
    let example = json!([examples::movie()]);
    response("The movies.", &names)
        .content(JSON, content(LISTED_MOVIES).example(Some(example)).build())
        .content(LINES, text("A movie a line.", examples::lines(&[examples::movie()])))
}

fn written(description: &str) -> ResponseBuilder {
    let names = [WRITTEN, &["Location", "Preference-Applied"]].concat();
    response(description, &names)
        .content(JSON, content(WRITTEN_MOVIES).example(Some(examples::movie())).build())
        .content(LINES, text("A movie a line.", examples::lines(&[examples::movie()])))
}

/// That there is nothing new, with headers of the list besides those that all have.
pub(super) fn not_modified(list: &[&'static str]) -> ResponseBuilder {
    let mut names = [READ, list].concat();
    names.retain(|name| *name != "Content-Encoding");
    response("The client has it already.", &names)
}

/// What can be done with a movie whose `id` the answer tells.
fn linked(response: ResponseBuilder) -> ResponseBuilder {
    let to = |operation: &str| to(operation, "$response.body#/id");
    response
        .link("getMovie", to("getMovie"))
        .link("replaceMovie", to("replaceMovie"))
        .link("changeMovie", to("changeMovie"))
        .link("deleteMovie", to("deleteMovie"))
}

fn first_of_many() -> Link {
    to("getMovie", "$response.body#/0/id")
}

fn to(operation: &str, id: &str) -> Link {
    LinkBuilder::new().operation_id(operation).parameter("id", id).build()
}
