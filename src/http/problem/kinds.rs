//! The types of problems. Their slugs are part of the contract.

/// A type of problem.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) struct Kind {
    /// The last part of its URI under `/problems/`.
    pub(in crate::http) slug: &'static str,
    pub(in crate::http) status: u16,
    pub(in crate::http) title: &'static str,
    /// What it means and what to do, for people.
    pub(in crate::http) meaning: &'static str,
}

macro_rules! kinds {
    ($($name:ident = $status:literal $slug:literal, $title:literal, $meaning:literal;)*) => {
        $(pub(in crate::http) static $name: Kind = Kind { slug: $slug, status: $status, title: $title, meaning: $meaning };)*
        /// Every type there is.
        pub(in crate::http) static KINDS: &[&Kind] = &[$(&$name),*];
    };
}

kinds! {
    INVALID_HEADER = 400 "invalid-header", "Invalid header",
        "A header of the request is not what it must be. The detail names it.";
    INVALID_PARAMETER = 400 "invalid-parameter", "Invalid query parameter",
        "A query parameter is missing or is not what it must be. The detail names it.";
    MALFORMED_JSON = 400 "malformed-json", "Malformed body",
        "The body could not be read as JSON. The detail says where it stops being JSON.";
    UNKNOWN_PARAMETER = 400 "unknown-parameter", "Unknown query parameter",
        "A query parameter does not exist. It is refused rather than ignored, since a misspelt filter must not vanish.";
    CROSS_ORIGIN_REFUSED = 403 "cross-origin-refused", "Scripts of this origin may not ask this",
        "MARQUEE_CORS_ORIGINS does not name the site that the request comes from, or the request is of a kind that scripts of other sites may not make.";
    UNAUTHORIZED = 401 "unauthorized", "A token is needed",
        "This call needs Authorization: Bearer with a token of this server, and brings none, or one that is not (or no longer) known. Nothing happened.";
    FORBIDDEN = 403 "forbidden", "The token does not allow this",
        "The token is known, and its role does not allow this call. Nothing happened.";
    ANOTHER_SITE = 403 "another-site", "Refused for the site that it comes from",
        "This server has no tokens: every program on its machine may write. A browser must not be made to by a page of another site, so a write must be sent to localhost or an IP address, and not from such a page. Nothing happened. Make a token (marquee token create) to write from elsewhere.";
    NOT_FOUND = 404 "not-found", "Not found",
        "There is nothing at this path, or no movie with this id at the revision in Marquee-Revision.";
    METHOD_NOT_ALLOWED = 405 "method-not-allowed", "Method not allowed",
        "This path does not take this method. Allow lists those that it takes.";
    NOT_ACCEPTABLE = 406 "not-acceptable", "Not acceptable",
        "The request refuses every coding that there is, identity included.";
    REQUEST_TIMEOUT = 408 "request-timeout", "The request took too long",
        "The body made no progress for MARQUEE_STALL_MS, or came slower than MARQUEE_MIN_RATE. Nothing happened.";
    DUPLICATE_IMDB_ID = 409 "duplicate-imdb-id", "A movie with this imdb_id exists",
        "imdb_id is unique, in the collection and among the movies of one request. Nothing was executed; errors names the movie.";
    DUPLICATE_GENRE = 409 "duplicate-genre", "The genre exists",
        "Genres are unique without regard to case and surrounding blanks.";
    PRECONDITION_FAILED = 412 "precondition-failed", "The movie is not as the request takes it to be",
        "If-Match, If-None-Match or the version in the body does not hold: the movie has changed since it was read, most likely. Nothing happened; read it again and decide anew.";
    BODY_TOO_LARGE = 413 "body-too-large", "The body is too large",
        "The body is longer than MARQUEE_BODY_LIMIT. Nothing happened; send it in several requests.";
    TOO_MANY_MOVIES = 413 "too-many-movies", "Too many movies",
        "The request brings more movies than MARQUEE_ARRAY_LIMIT, or more than 32,768 different genres and directors, or 100,000 with those that are repeated. Nothing happened; send several.";
    URI_TOO_LONG = 414 "uri-too-long", "The target is too long",
        "The path and the query together are too long.";
    UNSUPPORTED_MEDIA_TYPE = 415 "unsupported-media-type", "Unsupported media type",
        "Send application/json, application/x-ndjson for one a line, or application/merge-patch+json for a PATCH, in UTF-8 and without a content coding.";
    INVALID_MOVIE = 422 "invalid-movie", "The movie is not acceptable",
        "The body is JSON, but not of a movie. errors lists each member with a JSON Pointer and what it must be.";
    INVALID_GENRE = 422 "invalid-genre", "The genre is not acceptable",
        "The body is JSON, but not of a genre. errors lists each member with a JSON Pointer and what it must be.";
    KEY_REUSED = 422 "idempotency-key-reused", "The Idempotency-Key was used for another request",
        "Within 24 hours an Idempotency-Key stands for one request: the same path, Content-Type, resolution (Prefer) and body, byte for byte. Nothing happened; take a new key for each write.";
    RATE_LIMITED = 429 "rate-limited", "Too many requests",
        "This client asks more often than MARQUEE_RATE_LIMIT allows. Nothing happened; ask again after Retry-After, which counts seconds.";
    INTERNAL = 500 "internal", "Internal error",
        "A fault of the server. Its log says more, under the id in request_id and X-Request-Id.";
    NOT_READY = 503 "not-ready", "Not ready",
        "This replica has not read the collection from its database yet.";
    DATABASE_AWAY = 503 "database-away", "The database does not answer",
        "What was asked for is not cached, and the database does not answer in time.";
    REVISION_NOT_REACHED = 503 "revision-not-reached", "The revision is not known here yet",
        "The revision in Marquee-Min-Revision did not come within MARQUEE_REQUEST_TIMEOUT_MS. Marquee-Revision is the newest that is known here: send back a number that marquee gave, and try again.";
    TIMEOUT = 503 "timeout", "No answer in time",
        "The answer was not ready within MARQUEE_REQUEST_TIMEOUT_MS.";
    NOT_EXECUTED = 503 "not-executed", "The write was not executed",
        "Nothing happened. The same request can be sent again.";
    OUTCOME_UNKNOWN = 503 "outcome-unknown", "Whether the write was executed is not known",
        "The connection to the database broke while it was committing. The write may have happened. With an Idempotency-Key, send it again as it was: it is done once. Without one, look before you do.";
    TOO_LARGE = 503 "collection-too-large", "The collection is too large",
        "The whole collection exceeds what this server may hold in memory and in temporary files.";
}
