//! What batches come to, without a database.

use super::*;
use crate::domain::{DirectorName, GenreName, Parts, Title, movie_from_json, slug};
use crate::store::{Changes, GenreRow, History};
use std::sync::Arc;

fn new(json: &str) -> NewMovie {
    movie_from_json(json.as_bytes()).unwrap()
}

/// The ids of movies that were made.
fn made(outcome: &Outcome) -> Vec<u64> {
    match outcome {
        Outcome::Created(movies) => movies.iter().map(|movie| movie.id).collect(),
        other => panic!("{other:?}"),
    }
}

fn titled(title: &str) -> NewMovie {
    NewMovie::titled(Title::parse(title).unwrap())
}

fn patch(id: u64, json: &str) -> Work {
    let change = crate::domain::patch_from_json(json.as_bytes()).unwrap();
    Work::Change(id, Box::new(change), Condition::default())
}

fn manifest(segments: &[(u64, u32)]) -> Arc<Manifest> {
    let all =
        segments.iter().map(|(number, movies)| SegmentRef { number: *number, stamp: 1, movies: *movies });
    Manifest::advanced(
        None,
        Changes { head: Head { revision: 7, stamp: 70 }, history: History::Another(all.collect()) },
    )
}

fn planned(work: &[Work], manifest: &Manifest, next: u64, stored: &[Movie]) -> Plan {
    planned_once(work.iter().map(|work| (work, None)), manifest, next, stored, Vec::new())
}

/// A base over a collection whose next movie is `next`, with `stored` movies and the genre Drama (id 1).
fn planned_once<'a>(
    work: impl IntoIterator<Item = (&'a Work, Option<&'a RetryKey>)>,
    manifest: &Manifest,
    next: u64,
    stored: &[Movie],
    answers: Vec<KeptAnswer>,
) -> Plan {
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
            answers,
            has_room: true,
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
    assert_eq!(made(&plan.outcomes[0]), [255, 256]);
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
    let duplicate = |index| Outcome::DuplicateImdbId { index, imdb_id: "tt0000001".into() };
    assert_eq!((made(&plan.outcomes[0]), made(&plan.outcomes[2])), (vec![1], vec![2]));
    assert_eq!(plan.outcomes[1], duplicate(1));
    assert_eq!(plan.changes.unwrap().put.len(), 2);

    let twice = Work::Create(vec![taken.clone(), taken]);
    let plan = planned(&[twice], &base, 1, &[]);
    assert_eq!(plan, Plan { outcomes: vec![duplicate(1)], changes: None, keep: Vec::new() });
}

#[test]
fn a_batch_of_failures_changes_nothing() {
    let base = manifest(&[(0, 1)]);
    let work = [Work::Delete(9, Condition::default()), Work::CreateGenre(GenreName::parse("DRAMA").unwrap())];
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
    let plan = planned(
        &[
            Work::Delete(5, Condition::default()),
            Work::Delete(5, Condition::default()),
            Work::Create(vec![again]),
        ],
        &base,
        6,
        &[movie],
    );
    assert_eq!(plan.outcomes[..2], [Outcome::Deleted, Outcome::NoMovie]);
    assert_eq!(made(&plan.outcomes[2]), [6]);
    let changes = plan.changes.unwrap();
    assert_eq!((changes.remove, changes.segments[0].movies), (vec![5], 1));
    assert_eq!(changes.genre_counts, [(1, -1)]);
}

#[test]
fn a_movie_can_be_made_changed_and_deleted_in_one_batch() {
    let base = manifest(&[]);
    let genre = new(r#"{"title":"a","genres":["Noir"],"imdb_id":"tt0000001"}"#);
    let work = [
        Work::Create(vec![genre]),
        patch(1, r#"{"title":"b"}"#),
        patch(1, r#"{"year":1999,"imdb_id":null}"#),
        Work::Create(vec![new(r#"{"title":"c","imdb_id":"tt0000001"}"#)]),
        Work::Delete(1, Condition::default()),
        Work::Delete(1, Condition::default()),
    ];
    let plan = planned(&work, &base, 1, &[]);
    let told = |n: usize| -> serde_json::Value {
        match &plan.outcomes[n] {
            Outcome::Created(movies) => serde_json::from_slice(&movies[0].json).unwrap(),
            Outcome::Changed(movie) => serde_json::from_slice(&movie.json).unwrap(),
            other => panic!("{other:?}"),
        }
    };
    // Each is told what it made of the movie, not what came of it later.
    assert_eq!((told(0)["title"].clone(), told(0)["version"].clone()), ("a".into(), 1.into()));
    assert_eq!((told(1)["title"].clone(), told(1)["version"].clone()), ("b".into(), 2.into()));
    assert_eq!((told(2)["year"].clone(), told(2)["version"].clone()), (1999.into(), 3.into()));
    assert_eq!(plan.outcomes[4..], [Outcome::Deleted, Outcome::NoMovie]);
    let changes = plan.changes.unwrap();
    assert_eq!((changes.remove.len(), changes.put.len(), changes.put[0].movie.id), (0, 1, 2));
    assert_eq!((changes.segments[0].movies, changes.genre_counts.as_slice()), (1, [].as_slice()));
}

#[test]
fn a_change_is_made_of_the_movie_as_it_is_if_the_condition_holds() {
    let base = manifest(&[(0, 2)]);
    let movies = [stored(5, "tt0000005"), stored(6, "tt0000006")];
    let print = fingerprint(&movie_json(&movies[0]));
    let if_match = || Condition { matches: Some(Known::OneOf(vec![1, print])), none_matches: None };
    let change = |json: &str| match patch(5, json) {
        Work::Change(id, change, _) => Work::Change(id, change, if_match()),
        other => other,
    };
    let work = [
        change(r#"{"year":2000}"#),
        // It has changed by now.
        change(r#"{"year":2001}"#),
        Work::Delete(5, if_match()),
        patch(5, r#"{"version":1,"year":2002}"#),
        patch(5, r#"{"version":2,"id":6,"created_at":"1999-01-01T00:00:00Z"}"#),
        patch(5, r#"{"imdb_id":"tt0000006"}"#),
        patch(5, r#"{"imdb_id":"tt0000005","year":2000,"genres":["DRAMA"]}"#),
        patch(7, r#"{"year":2000}"#),
        Work::DeleteMany(vec![6, 7]),
    ];
    let plan = planned(&work, &base, 7, &movies);
    let contradicted = match &plan.outcomes[4] {
        Outcome::Contradicts(violations) => violations.iter().map(|v| v.pointer.as_str()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(contradicted, ["/id", "/created_at"]);
    assert!(matches!(plan.outcomes[0], Outcome::Changed(_)));
    assert_eq!(plan.outcomes[1..4], [Outcome::Stale, Outcome::Stale, Outcome::Stale]);
    assert_eq!(plan.outcomes[5], Outcome::DuplicateImdbId { index: 0, imdb_id: "tt0000006".into() });
    // The same as it is: told, but no new version.
    assert_eq!(plan.outcomes[6], plan.outcomes[0]);
    assert_eq!(plan.outcomes[7], Outcome::NoMovie);
    assert_eq!(plan.outcomes[8], Outcome::DeletedMany { deleted: vec![6], missing: vec![7] });
    let changes = plan.changes.unwrap();
    assert_eq!((changes.remove, changes.put[0].movie.version), (vec![5, 6], 2));
    assert_eq!(changes.segments[0].movies, 1);
}

#[test]
fn an_upsert_replaces_whole_and_takes_each_imdb_id_once() {
    let base = manifest(&[(0, 1)]);
    let movie = stored(5, "tt0000005");
    let both = vec![new(r#"{"title":"x","imdb_id":"tt0000005"}"#), titled("y")];
    let plan = planned(&[Work::Upsert(both.clone())], &base, 6, std::slice::from_ref(&movie));
    let Outcome::Upserted(movies, merged) = &plan.outcomes[0] else { panic!("{:?}", plan.outcomes) };
    assert_eq!(movies.iter().map(|movie| movie.id).collect::<Vec<_>>(), [5, 6]);
    assert_eq!((merged.created, merged.changed), (1, 1));
    let changes = plan.changes.unwrap();
    assert_eq!((changes.put[0].movie.version, changes.put[0].movie.genres.len()), (2, 0));
    assert_eq!(changes.genre_counts, [(1, -1)]);

    let twice = Work::Upsert(vec![both[0].clone(), both[0].clone()]);
    let plan = planned(&[twice], &base, 6, &[movie]);
    assert_eq!(plan.outcomes, [Outcome::DuplicateImdbId { index: 1, imdb_id: "tt0000005".into() }]);
    assert_eq!(plan.changes, None);
}

#[test]
fn a_batch_ends_where_it_has_touched_enough_segments() {
    let base = manifest(&[(0, 1), (1, 1), (2, 1), (3, 1)]);
    let movies: Vec<Movie> = (0..4).map(|n| stored(n * 256, &format!("tt000000{n}"))).collect();
    let work: Vec<Work> = movies.iter().map(|movie| Work::Delete(movie.id, Condition::default())).collect();
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

fn key(id: u8, request: u8) -> RetryKey {
    RetryKey { id: [id; 32], request: [request; 32] }
}

/// Under one key one thing is done once, in one batch as well; another thing under it is refused, and what
/// failed was not done.
#[test]
fn a_key_is_for_one_thing() {
    let base = manifest(&[]);
    let (one, taken) =
        (Work::Create(vec![titled("a")]), Work::Create(vec![new(r#"{"title":"b","imdb_id":"tt0000001"}"#)]));
    let (first, other, second) = (key(1, 1), key(1, 2), key(2, 1));
    let work = [
        (&one, Some(&first)),
        (&one, Some(&first)),
        (&one, Some(&other)),
        (&taken, Some(&second)),
        (&taken, Some(&second)),
        (&one, None),
    ];
    let plan = planned_once(work, &base, 1, &[stored(900, "tt0000001")], Vec::new());
    assert_eq!(made(&plan.outcomes[0]), [1]);
    let again = Outcome::Again { head: None, outcome: Box::new(plan.outcomes[0].clone()) };
    assert_eq!(plan.outcomes[1..3], [again, Outcome::KeyReused]);
    assert!(plan.outcomes[3..5].iter().all(|outcome| matches!(outcome, Outcome::DuplicateImdbId { .. })));
    assert_eq!(made(&plan.outcomes[5]), [2]);
    assert_eq!(plan.keep.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [first]);

    // In a later batch, all from what was kept: nothing is written.
    let head = Head { revision: 3, stamp: 30 };
    let kept = KeptAnswer { key: first, head, answer: plan.keep[0].1.clone() };
    let later = planned_once([(&one, Some(&first)), (&one, Some(&other))], &base, 3, &[], vec![kept]);
    let again = Outcome::Again { head: Some(head), outcome: Box::new(plan.outcomes[0].clone()) };
    assert_eq!(later, Plan { outcomes: vec![again, Outcome::KeyReused], changes: None, keep: Vec::new() });
}

/// A success that changes nothing is kept as well: done again, it might.
#[test]
fn what_changed_nothing_is_kept() {
    let base = manifest(&[]);
    let upsert = Work::Upsert(vec![new(r#"{"title":"a","imdb_id":"tt0000001"}"#)]);
    let made = planned(std::slice::from_ref(&upsert), &base, 1, &[]).changes.unwrap().put.remove(0).movie;
    for (work, stored) in [(upsert, &[made][..]), (Work::Upsert(vec![]), &[])] {
        let plan = planned_once([(&work, Some(&key(1, 1)))], &base, 2, stored, Vec::new());
        assert!(plan.changes.is_none() && plan.keep.len() == 1, "{plan:?}");
    }
}

#[test]
fn without_room_no_key_is_taken() {
    let base = manifest(&[]);
    let work = [Work::Create(vec![titled("a")]), Work::Create(vec![titled("b")])];
    let facts = Facts::default();
    let next_ids = NextIds { movie: 1, genre: 1, director: 1 };
    let now = Timestamp::from_second(1000).unwrap();
    let full = Base {
        manifest: &base,
        next_ids,
        facts,
        now,
        stamp: 80,
        max_segments: 3,
        answers: Vec::new(),
        has_room: false,
    };
    let plan = plan([(&work[0], Some(&key(1, 1))), (&work[1], None)], full);
    assert!(matches!(plan.outcomes[0], Outcome::Refused(_)));
    assert_eq!(made(&plan.outcomes[1]), [1]);
}
