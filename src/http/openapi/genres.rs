//! `/v1/genres`.

use utoipa::openapi::Required;
use utoipa::openapi::path::OperationBuilder;
use utoipa::openapi::request_body::RequestBodyBuilder;

use super::answers::{Paths, content, operation, read, response, with_parameters, with_problems};
use super::headers::{READ, WRITTEN};
use super::movies::{BODY, KEYED, READING, WRITING, not_modified, with_any};
use super::schemas::{GENRE, GENRES, NEW_GENRE};
use super::{GENRES as TAG, parameters};
use crate::http::problem::kinds;

pub(super) fn paths() -> Paths {
    let mut genres = read(list());
    genres.post = Some(create().build());
    vec![("/v1/genres", with_any(genres, &[]))]
}

fn list() -> OperationBuilder {
    let list =
        operation("listGenres", TAG, "View all genres", "By name, with the number of movies that have each.");
    let names = [READ, &["X-Total-Count"]].concat();
    let list = with_parameters(list, parameters::READ)
        .response("200", response("All genres.", &names).content("application/json", content(GENRES).build()))
        .response("304", not_modified(&["X-Total-Count"]));
    with_problems(list, &[READING])
}

fn create() -> OperationBuilder {
    let body = RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content("application/json", content(NEW_GENRE).build());
    let create = operation(
        "createGenre",
        TAG,
        "Create a genre",
        "A genre that no movie has yet. Genres are also made by the movies that name them.",
    );
    let made = response("Created.", WRITTEN).content("application/json", content(GENRE).build());
    let create =
        with_parameters(create, &["Idempotency-Key"]).request_body(Some(body.build())).response("201", made);
    with_problems(create, &[WRITING, BODY, KEYED, &[&kinds::DUPLICATE_GENRE, &kinds::INVALID_GENRE]])
}
