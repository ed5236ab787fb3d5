//! The tables, as both databases have them: see `migrations/`.

diesel::table! {
    /// Diesel's own: the migrations that were run.
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

diesel::table! {
    /// The one row that orders all writes.
    catalogue (id) {
        id -> Integer,
        revision -> BigInt,
        stamp -> BigInt,
        next_movie_id -> BigInt,
        next_genre_id -> BigInt,
        next_director_id -> BigInt,
    }
}

diesel::table! {
    /// A short log of what was committed.
    commits (revision) {
        revision -> BigInt,
        stamp -> BigInt,
    }
}

diesel::table! {
    /// Which revision last changed a segment, and how many movies it has.
    segments (segment) {
        segment -> BigInt,
        revision -> BigInt,
        stamp -> BigInt,
        movies -> Integer,
    }
}

diesel::table! {
    /// Movies, without their genres and directors.
    movies (id) {
        id -> BigInt,
        imdb_id -> Nullable<Text>,
        title -> Text,
        title_key -> Text,
        year -> Nullable<Integer>,
        runtime_minutes -> Nullable<Integer>,
        rating -> Nullable<Double>,
        votes -> Nullable<Integer>,
        popularity -> Nullable<Double>,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    /// Genres, with their count of movies.
    genres (id) {
        id -> BigInt,
        name -> Text,
        name_key -> Text,
        slug -> Text,
        movies -> BigInt,
    }
}

diesel::table! {
    /// Directors.
    directors (id) {
        id -> BigInt,
        name -> Text,
        name_key -> Text,
    }
}

diesel::table! {
    /// Which genres a movie has, in their order.
    movie_genres (movie_id, position) {
        movie_id -> BigInt,
        position -> Integer,
        genre_id -> BigInt,
    }
}

diesel::table! {
    /// Which directors a movie has, in their order.
    movie_directors (movie_id, position) {
        movie_id -> BigInt,
        position -> Integer,
        director_id -> BigInt,
    }
}

diesel::table! {
    /// What writes with a key were answered, in parts.
    idempotency_keys (position) {
        position -> BigInt,
        id -> Binary,
        part -> Integer,
        request -> Binary,
        revision -> BigInt,
        stamp -> BigInt,
        expires_at -> BigInt,
        answer -> Binary,
    }
}

diesel::table! {
    /// What movies are found and sorted by: see [`crate::store::derive`].
    movie_keys (movie_id) {
        movie_id -> BigInt,
        title_up -> Text,
        title_down -> Binary,
        year_up -> Double,
        year_down -> Double,
        runtime_minutes_up -> Double,
        runtime_minutes_down -> Double,
        rating_up -> Double,
        rating_down -> Double,
        votes_up -> Double,
        votes_down -> Double,
        popularity_up -> Double,
        popularity_down -> Double,
    }
}

diesel::table! {
    /// Which words a title has.
    movie_words (word, movie_id) {
        word -> Text,
        movie_id -> BigInt,
    }
}

diesel::table! {
    /// Up to where the two tables above were filled for movies older than they.
    derived (id) {
        id -> Integer,
        next_movie_id -> BigInt,
    }
}

diesel::table! {
    /// The one row that orders all changes of tokens.
    token_state (id) {
        id -> Integer,
        stamp -> BigInt,
        next_id -> BigInt,
    }
}

diesel::table! {
    /// The one row that tells this database from any other.
    identity (id) {
        id -> Integer,
        number -> BigInt,
    }
}

diesel::table! {
    /// Who may do what.
    tokens (id) {
        id -> BigInt,
        name -> Text,
        role -> Text,
        hash -> Binary,
        created_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::joinable!(movie_genres -> genres (genre_id));
diesel::joinable!(movie_directors -> directors (director_id));
diesel::allow_tables_to_appear_in_same_query!(movie_genres, genres);
diesel::allow_tables_to_appear_in_same_query!(movie_directors, directors);
diesel::allow_tables_to_appear_in_same_query!(catalogue, token_state, identity);
