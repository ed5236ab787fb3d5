//! What batches come to, without a database.

use super::*;
use crate::domain::{DirectorName, Title, movie_from_json, slug};
use crate::store::{Changes, GenreRow, History};
use std::sync::Arc;

fn new(json: &str) -> NewMovie {
    movie_from_json(json.as_bytes()).unwrap()
}

fn titled(title: &str) -> NewMovie {
    NewMovie::titled(Title::parse(title).unwrap())
}

fn manifest(segments: &[(u64, u32)]) -> Arc<Manifest> {
    let all =
        segments.iter().map(|(number, movies)| SegmentRef { number: *number, stamp: 1, movies: *movies });
    Manifest::advanced(
        None,
        Changes { head: Head { revision: 7, stamp: 70 }, history: History::Another(all.collect()) },
    )
}

/// A base over a collection whose next movie is `next`, with `stored` movies and the genre Drama (id 1).
fn planned(work: &[Work], manifest: &Manifest, next: u64, stored: &[Movie]) -> Plan {
    let mut facts = Facts::default();
    facts.genres.insert("drama".into(), GenreRow { id: 1, name: GenreName::parse("Drama").unwrap() });
    facts.directors.insert("ann".into(), (1, DirectorName::parse("Ann").unwrap()));
    facts.slugs.insert("drama".into());
    for movie in stored {
        facts.by_imdb_id.extend(movie.imdb_id.as_ref().map(|id| (id.as_str().to_owned(), movie.id)));
        facts.movies.insert(movie.id, movie.clone());
    }
    plan(
        work,
        Base {
            manifest,
            next_ids: NextIds { movie: next, genre: 2, director: 2 },
            facts,
            now: Timestamp::from_second(1000).unwrap(),
            stamp: 80,
            max_segments: 3,
        },
    )
}

fn stored(id: u64, imdb_id: &str) -> Movie {
    let mut movie = crate::catalogue::segment::tests::movie(id);
    movie.imdb_id = Some(crate::domain::ImdbId::parse(imdb_id).unwrap());
    movie.genres = vec![GenreName::parse("Drama").unwrap()];
    movie.directors = vec![DirectorName::parse("Ann").unwrap()];
    movie
}

#[test]
fn ids_are_dense_and_segments_are_counted() {
    let base = manifest(&[(0, 200)]);
    let plan = planned(&[Work::Create(vec![titled("a"), titled("b")])], &base, 255, &[]);
    assert_eq!(plan.outcomes, [Outcome::Created(vec![255, 256])]);
    let changes = plan.changes.unwrap();
    assert_eq!(changes.head, Head { revision: 8, stamp: 80 });
    assert_eq!(changes.next_ids.movie, 257);
    let counts: Vec<_> = changes.segments.iter().map(|s| (s.number, s.stamp, s.movies)).collect();
    assert_eq!(counts, [(0, 80, 201), (1, 80, 1)]);
}

#[test]
fn an_array_with_one_duplicate_leaves_nothing_and_its_neighbours_stand() {
    let base = manifest(&[]);
    let taken = new(r#"{"title":"x","imdb_id":"tt0000001","genres":["New"]}"#);
    let work = [
        Work::Create(vec![taken.clone()]),
        Work::Create(vec![titled("alone"), taken.clone()]),
        Work::Create(vec![titled("after")]),
    ];
    let plan = planned(&work, &base, 1, &[]);
    assert_eq!(
        plan.outcomes,
        [Outcome::Created(vec![1]), Outcome::DuplicateImdbId { index: 1 }, Outcome::Created(vec![2])]
    );
    assert_eq!(plan.changes.unwrap().put.len(), 2);

    let twice = Work::Create(vec![taken.clone(), taken]);
    let plan = planned(&[twice], &base, 1, &[]);
    assert_eq!(plan, Plan { outcomes: vec![Outcome::DuplicateImdbId { index: 1 }], changes: None });
}

#[test]
fn a_batch_of_failures_changes_nothing() {
    let base = manifest(&[(0, 1)]);
    let work = [Work::Delete(9), Work::CreateGenre(GenreName::parse("DRAMA").unwrap())];
    let plan = planned(&work, &base, 10, &[]);
    assert_eq!(plan.outcomes, [Outcome::NoMovie, Outcome::DuplicateGenre { name: "Drama".into() }]);
    assert_eq!(plan.changes, None);
}

#[test]
fn the_first_spelling_stays_and_counts_follow() {
    let base = manifest(&[]);
    let movie = new(r#"{"title":"x","genres":["DRAMA","Noir","noir "],"directors":["ANN","Bob"]}"#);
    let plan = planned(&[Work::Create(vec![movie])], &base, 1, &[]);
    let changes = plan.changes.unwrap();
    let put = &changes.put[0];
    let genres: Vec<_> = put.movie.genres.iter().map(GenreName::as_str).collect();
    assert_eq!(genres, ["Drama", "Noir"]);
    assert_eq!((put.genres.as_slice(), put.directors.as_slice()), ([1, 2].as_slice(), [1, 2].as_slice()));
    assert_eq!(put.movie.directors[0].as_str(), "Ann");
    assert_eq!(changes.genre_counts, [(1, 1), (2, 1)]);
    assert_eq!(changes.directors.len(), 1);
}

#[test]
fn slugs_that_meet_are_numbered() {
    let base = manifest(&[]);
    let genre = |name: &str| Work::CreateGenre(GenreName::parse(name).unwrap());
    assert_eq!(slug("Dramà"), "dram");
    let plan = planned(&[genre("Drama!"), genre("Drama?"), genre("¿Drama 2?")], &base, 1, &[]);
    let slugs: Vec<_> = plan.changes.unwrap().genres.into_iter().map(|g| g.slug).collect();
    assert_eq!(slugs, ["drama-2", "drama-3", "drama-2-2"]);
}

#[test]
fn deleting_frees_the_imdb_id_for_the_same_batch() {
    let base = manifest(&[(0, 1)]);
    let movie = stored(5, "tt0000005");
    let again = new(r#"{"title":"again","imdb_id":"tt0000005"}"#);
    let plan = planned(&[Work::Delete(5), Work::Delete(5), Work::Create(vec![again])], &base, 6, &[movie]);
    assert_eq!(plan.outcomes, [Outcome::Deleted, Outcome::NoMovie, Outcome::Created(vec![6])]);
    let changes = plan.changes.unwrap();
    assert_eq!((changes.remove, changes.segments[0].movies), (vec![5], 1));
    assert_eq!(changes.genre_counts, [(1, -1)]);
}

#[test]
fn a_delete_of_what_the_batch_made_begins_the_next_batch() {
    let base = manifest(&[]);
    let plan = planned(&[Work::Create(vec![titled("a")]), Work::Delete(1), Work::Delete(2)], &base, 1, &[]);
    assert_eq!(plan.outcomes, [Outcome::Created(vec![1])]);
}

#[test]
fn a_batch_ends_where_it_has_touched_enough_segments() {
    let base = manifest(&[(0, 1), (1, 1), (2, 1), (3, 1)]);
    let movies: Vec<Movie> = (0..4).map(|n| stored(n * 256, &format!("tt000000{n}"))).collect();
    let work: Vec<Work> = movies.iter().map(|movie| Work::Delete(movie.id)).collect();
    let plan = planned(&work, &base, 2000, &movies);
    assert_eq!(plan.outcomes.len(), 3);
    assert_eq!(plan.changes.unwrap().segments.len(), 3);
}

#[test]
fn merging_the_same_again_changes_nothing_and_keeps_what_it_does_not_speak_of() {
    let base = manifest(&[(0, 1)]);
    let movie = stored(5, "tt0000005");
    let mut same = titled(movie.title.as_str());
    same.imdb_id = movie.imdb_id.clone();
    same.genres = vec![GenreName::parse("drama").unwrap()];
    let basics = Parts { directors: false, ratings: false, popularity: false };
    let plan = planned(&[Work::Merge(vec![same.clone()], basics)], &base, 6, std::slice::from_ref(&movie));
    assert_eq!(plan.outcomes, [Outcome::Merged(Merged { created: 0, changed: 0, unchanged: 1 })]);
    assert_eq!(plan.changes, None);

    same.year = Some(crate::domain::Year::parse(1999.0).unwrap());
    let other = titled("new");
    let plan = planned(&[Work::Merge(vec![same, other], basics)], &base, 6, &[movie]);
    assert_eq!(plan.outcomes, [Outcome::Merged(Merged { created: 1, changed: 1, unchanged: 0 })]);
    let changes = plan.changes.unwrap();
    assert_eq!(changes.remove, [5]);
    let changed = &changes.put[0].movie;
    assert_eq!((changed.id, changed.version, changed.directors.len()), (5, 2, 1));
    assert_eq!(changed.updated_at.as_second(), 1000);
    assert_eq!(changed.created_at, Timestamp::UNIX_EPOCH);
    assert_eq!(changes.genre_counts, [], "it had the genre before and has it still");
    assert_eq!(changes.segments[0].movies, 2);
}

#[test]
fn a_sample_goes_only_where_there_is_nothing() {
    let sample = |only_new| Work::Sample { only_new, movies: vec![titled("a")] };
    let used = manifest(&[(0, 0)]);
    assert_eq!(planned(&[sample(true)], &used, 1, &[]).changes, None);
    assert!(planned(&[sample(false)], &used, 1, &[]).changes.is_some());
    assert_eq!(planned(&[sample(false)], &manifest(&[(0, 1)]), 2, &[]).changes, None);
}
