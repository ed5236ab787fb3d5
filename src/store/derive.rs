//! What is kept beside a movie so that it can be found: its keys and its words.
//!
//! Both follow from the movie's row and are written and deleted with it. Each key is kept twice, as it is and
//! turned round, and a number as [`NOTHING`] where the movie has none. So every order is an ascending walk of one
//! index: ties come by id and movies without the number last, in both directions and on every database. (An
//! index that is declared DESC would serve too, but MySQL and MariaDB take it for its ascending twin once there
//! is a range, and sort.)

use diesel::prelude::Insertable;

use super::schema::{movie_keys, movie_words};
use crate::domain::{Measure, Movie, words};

/// Greater than any number of a movie and than any number negated.
const NOTHING: f64 = 1e10;

/// A number as the ascending column has it.
pub(super) fn up(number: Option<f64>) -> f64 {
    number.unwrap_or(NOTHING)
}

/// A number as the descending column has it. Zero is not negated to minus zero.
pub(super) fn down(number: Option<f64>) -> f64 {
    number.map_or(NOTHING, |number| 0.0 - number)
}

/// A title's key as the descending column has it. What ends it comes after every byte, so that a title comes
/// after those that go on where it ends.
pub(super) fn title_down(key: &str) -> Vec<u8> {
    key.bytes().map(|byte| !byte).chain([0xff]).collect()
}

#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = movie_keys, treat_none_as_default_value = false)]
pub(super) struct KeysRow {
    movie_id: i64,
    title_up: String,
    title_down: Vec<u8>,
    year_up: f64,
    year_down: f64,
    runtime_minutes_up: f64,
    runtime_minutes_down: f64,
    rating_up: f64,
    rating_down: f64,
    votes_up: f64,
    votes_down: f64,
    popularity_up: f64,
    popularity_down: f64,
}

impl From<&Movie> for KeysRow {
    fn from(movie: &Movie) -> Self {
        let title = movie.title.sort_key();
        let up = |measure: Measure| up(measure.of(movie));
        let down = |measure: Measure| down(measure.of(movie));
        Self {
            movie_id: movie.id.cast_signed(),
            title_down: title_down(&title),
            title_up: title,
            year_up: up(Measure::Year),
            year_down: down(Measure::Year),
            runtime_minutes_up: up(Measure::RuntimeMinutes),
            runtime_minutes_down: down(Measure::RuntimeMinutes),
            rating_up: up(Measure::Rating),
            rating_down: down(Measure::Rating),
            votes_up: up(Measure::Votes),
            votes_down: down(Measure::Votes),
            popularity_up: up(Measure::Popularity),
            popularity_down: down(Measure::Popularity),
        }
    }
}

#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = movie_words, treat_none_as_default_value = false)]
pub(super) struct WordRow {
    word: String,
    movie_id: i64,
}

/// The words of `movies` in the order of the table's key, which is the quickest to write.
pub(super) fn word_rows<'a>(movies: impl Iterator<Item = &'a Movie>) -> Vec<WordRow> {
    let mut rows: Vec<WordRow> = movies
        .flat_map(|movie| {
            let movie_id = movie.id.cast_signed();
            words(movie.title.as_str()).into_iter().map(move |word| WordRow { word, movie_id })
        })
        .collect();
    rows.sort_unstable_by(|a, b| (&a.word, a.movie_id).cmp(&(&b.word, b.movie_id)));
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_turned_round_is_in_the_opposite_order(a in "[a-c\u{e9}\u{4e00}\u{1f600}]{0,4}", b in "[a-c\u{e9}\u{4e00}\u{1f600}]{0,4}") {
            prop_assert_eq!(title_down(&a).cmp(&title_down(&b)), b.cmp(&a));
        }

        #[test]
        fn numbers_are_within_nothing(a in proptest::option::of(0.0..2_147_483_647.0f64), b in proptest::option::of(0.0..2_147_483_647.0f64)) {
            let known = |n: Option<f64>| n.is_none();
            prop_assert_eq!(up(a) < up(b), (known(a), a) < (known(b), b));
            prop_assert_eq!(down(a) < down(b), !known(a) && (known(b) || a > b));
        }
    }
}
