//! The types of problems. Their slugs are part of the contract.

/// A type of problem.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) struct Kind {
    /// The last part of its URI under `/problems/`.
    pub(super) slug: &'static str,
    pub(super) status: u16,
    pub(super) title: &'static str,
    /// What it means and what to do, for people.
    pub(super) meaning: &'static str,
}

macro_rules! kinds {
    ($($name:ident = $status:literal $slug:literal, $title:literal, $meaning:literal;)*) => {
        $(pub(in crate::http) static $name: Kind = Kind { slug: $slug, status: $status, title: $title, meaning: $meaning };)*
        /// Every type there is.
        pub(super) static KINDS: &[&Kind] = &[$(&$name),*];
    };
}

kinds! {
    MALFORMED_JSON = 400 "malformed-json", "Malformed body",
        "The body could not be read as JSON. The detail says where it stops being JSON.";
    UNKNOWN_PARAMETER = 400 "unknown-parameter", "Unknown query parameter",
        "A query parameter does not exist. It is refused rather than ignored, since a misspelt filter must not vanish.";
    NOT_FOUND = 404 "not-found", "Not found",
        "There is nothing at this path, or no movie with this id at the revision in Marquee-Revision.";
    METHOD_NOT_ALLOWED = 405 "method-not-allowed", "Method not allowed",
        "This path does not take this method. Allow lists those that it takes.";
    NOT_ACCEPTABLE = 406 "not-acceptable", "Not acceptable",
        "The request refuses every coding that there is, identity included.";
    REQUEST_TIMEOUT = 408 "request-timeout", "The request took too long",
        "The body made no progress for MARQUEE_STALL_MS. Nothing happened.";
    DUPLICATE_IMDB_ID = 409 "duplicate-imdb-id", "A movie with this imdb_id exists",
        "imdb_id is unique. Nothing of the request was executed; errors names the movie.";
    DUPLICATE_GENRE = 409 "duplicate-genre", "The genre exists",
        "Genres are unique without regard to case and surrounding blanks.";
    BODY_TOO_LARGE = 413 "body-too-large", "The body is too large",
        "The body is longer than MARQUEE_BODY_LIMIT. Nothing happened; send it in several requests.";
    TOO_MANY_MOVIES = 413 "too-many-movies", "Too many movies",
        "The request brings more movies than MARQUEE_ARRAY_LIMIT. Nothing happened; send several.";
    URI_TOO_LONG = 414 "uri-too-long", "The target is too long",
        "The path and the query together are too long.";
    UNSUPPORTED_MEDIA_TYPE = 415 "unsupported-media-type", "Unsupported media type",
        "Send application/json or application/x-ndjson, in UTF-8 and without a content coding.";
    INVALID_MOVIE = 422 "invalid-movie", "The movie is not acceptable",
        "The body is JSON, but not of a movie. errors lists each member with a JSON Pointer and what it must be.";
    INVALID_GENRE = 422 "invalid-genre", "The genre is not acceptable",
        "The body is JSON, but not of a genre. errors lists each member with a JSON Pointer and what it must be.";
    INTERNAL = 500 "internal", "Internal error",
        "A fault of the server. Its log says more.";
    NOT_READY = 503 "not-ready", "Not ready",
        "This replica has not read the collection from its database yet.";
    DATABASE_AWAY = 503 "database-away", "The database does not answer",
        "What was asked for is not cached, and the database does not answer in time.";
    TIMEOUT = 503 "timeout", "No answer in time",
        "The answer was not ready within MARQUEE_REQUEST_TIMEOUT_MS.";
    NOT_EXECUTED = 503 "not-executed", "The write was not executed",
        "Nothing happened. The same request can be sent again.";
    OUTCOME_UNKNOWN = 503 "outcome-unknown", "Whether the write was executed is not known",
        "The connection to the database broke while it was committing. The write may have happened: look before you send it again.";
    TOO_LARGE = 503 "collection-too-large", "The collection is too large",
        "The whole collection exceeds what this server may hold in memory and in temporary files.";
}
