//! What bodies are made of. The bounds are the domain's; a test asks its readers whether they agree.

mod movie;
mod others;
pub(super) mod text;

use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{ArrayBuilder, Ref, RefOr, Schema};

pub(super) use movie::{MEMBERS, sent};

/// A schema, by its name under `#/components/schemas/`.
pub(super) type Named = (&'static str, RefOr<Schema>);

pub(super) const ID: &str = "Id";
pub(super) const MOVIE: &str = "Movie";
pub(super) const MOVIES: &str = "Movies";
pub(super) const LISTED_MOVIES: &str = "ListedMovies";
pub(super) const WRITTEN_MOVIES: &str = "WrittenMovies";
pub(super) const NEW_MOVIES: &str = "NewMovies";
pub(super) const REPLACEMENT: &str = "MovieReplacement";
pub(super) const PATCH: &str = "MoviePatch";
pub(super) const DELETION: &str = "Deletion";
pub(super) const GENRE: &str = "Genre";
pub(super) const GENRE_OR_SLUG: &str = "GenreOrSlug";
pub(super) const GENRES: &str = "Genres";
pub(super) const NEW_GENRE: &str = "NewGenre";
pub(super) const HEALTH: &str = "Health";
pub(super) const PROBLEM: &str = "Problem";

/// Names a schema.
pub(super) fn reference(name: &str) -> Ref {
    Ref::from_schema_name(name)
}

/// All of them, by name.
pub(super) fn all() -> Vec<Named> {
    [movie::all(), others::all()].concat()
}

fn array_of(name: &str) -> ArrayBuilder {
    ArrayBuilder::new().items(reference(name))
}

fn any_of<const N: usize>(schemas: [RefOr<Schema>; N]) -> AnyOfBuilder {
    schemas.into_iter().fold(AnyOfBuilder::new(), AnyOfBuilder::item)
}

#[cfg(test)]
mod tests;
