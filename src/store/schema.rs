//! The tables, as both databases have them: see `migrations/`.

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

diesel::joinable!(movie_genres -> genres (genre_id));
diesel::joinable!(movie_directors -> directors (director_id));
diesel::allow_tables_to_appear_in_same_query!(movie_genres, genres);
diesel::allow_tables_to_appear_in_same_query!(movie_directors, directors);
