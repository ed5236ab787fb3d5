//! IMDb's files.

use super::*;
use crate::domain::DirectorName;

const HEADER: &str =
    "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\tendYear\truntimeMinutes\tgenres\n";

fn titles(rows: &[&str]) -> String {
    HEADER.to_owned() + &rows.concat()
}

fn three() -> String {
    titles(&[
        "tt0000001\tmovie\tThe \"First\"\tx\t0\t1931\t\\N\t90\tDrama,War\n",
        "tt0000002\tmovie\tSecond 🎬\tx\t0\t\\N\t\\N\t0\t\\N\r\n",
        "tt10000003\tmovie\tThird\tx\t0\t2020\t\\N\t\\N\tComedy\n",
    ])
}

const RATINGS: &str = "tconst\taverageRating\tnumVotes\ntt10000003\t8.3\t120\ntt0000001\t10.0\t5\n";
const CREW: &str = "tconst\tdirectors\twriters\ntt0000001\tnm0000002,nm0000001\tnm0000009\n\
                    tt0000002\t\\N\t\\N\ntt10000003\tnm0000009,nm0000001\t\\N\n";
const NAMES: &str = "nconst\tprimaryName\tbirthYear\tdeathYear\tprimaryProfession\tknownForTitles\n\
                     nm0000001\tAda Eins\t\\N\t\\N\tdirector\ttt0000001\nnm0000002\tBo \"Zwei\"\t1900\t\\N\t\\N\t\\N\n\
                     nm0000003\tNobody\t\\N\t\\N\t\\N\t\\N\n";

fn directors(movie: &NewMovie) -> Vec<&str> {
    movie.directors.iter().map(DirectorName::as_str).collect()
}

#[test]
fn all_four_join_in_any_order() {
    let (basics, ratings, crew, names) = (gz(three()), gz(RATINGS), gz(CREW), gz(NAMES));
    for files in [[&names, &crew, &basics, &ratings], [&basics, &ratings, &crew, &names]] {
        let sink = Memory::default();
        let files: Vec<&[u8]> = files.iter().map(|file| file.as_slice()).collect();
        let summary = import(&sink, &files);
        assert_adds_up(&summary);
        assert_eq!((summary.rows, summary.created, summary.joined_rows), (3, 3, 8));
        assert_eq!(summary.unknown_directors, 1);
        let first = sink.get("tt0000001");
        assert_eq!(directors(&first), ["Bo \"Zwei\"", "Ada Eins"]);
        assert_eq!((first.rating.unwrap().get(), first.votes.unwrap().get()), (10.0, 5));
        let third = sink.get("tt10000003");
        assert_eq!(directors(&third), ["Ada Eins"]);
        assert_eq!(third.rating.unwrap().get().to_bits(), 8.3f64.to_bits());
        let second = sink.get("tt0000002");
        assert_eq!((second.year, second.runtime_minutes, second.genres.len()), (None, None, 0));
    }
}

#[test]
fn the_same_run_again_changes_nothing_and_a_changed_file_updates() {
    let sink = Memory::default();
    let repeats = three() + "tt0000001\tmovie\tAnother\tx\t0\t1931\t\\N\t90\tDrama\n";
    let small = |options: &mut Options| options.chunk_movies = 1;
    let first = import_with(&sink, &[repeats.as_bytes()], small).unwrap();
    assert_eq!((first.created, first.rejected), (3, 1));
    assert!(first.samples[0].ends_with("the first one counts") && first.samples[0].contains(":5:"));
    let again = import_with(&sink, &[repeats.as_bytes()], small).unwrap();
    assert_eq!((again.created, again.changed, again.unchanged), (0, 0, 3));
    assert!(again.nothing_changed() && again.to_string().contains("nothing changed"));
    let changed = import(&sink, &[repeats.replace("Third", "Dritter").as_bytes()]);
    assert_eq!((changed.changed, changed.unchanged), (1, 2));
    assert_adds_up(&changed);
}

#[test]
fn basics_alone_leave_ratings_and_directors_as_they_are() {
    let sink = Memory::default();
    let basics = three();
    import(&sink, &[basics.as_bytes(), RATINGS.as_bytes(), CREW.as_bytes(), NAMES.as_bytes()]);
    assert!(import(&sink, &[basics.as_bytes()]).nothing_changed());
    // Ratings that are given, and say nothing of a title any more, take its rating away.
    let fewer = RATINGS.replace("tt0000001\t10.0\t5\n", "");
    assert_eq!(import(&sink, &[basics.as_bytes(), fewer.as_bytes()]).changed, 1);
    assert_eq!(sink.get("tt0000001").rating, None);
    assert_eq!(sink.get("tt0000001").directors.len(), 2);
}

#[test]
fn bad_rows_are_rejects_with_place_and_reason() {
    let sink = Memory::default();
    let mut basics = three().into_bytes();
    basics.extend_from_slice(b"tt0000004\tmovie\t\xff\tx\t0\t\\N\t\\N\t\\N\t\\N\n");
    basics.extend_from_slice(b"tt0000005\tmovie\ta\tb\tc\td\te\tf\tg\th\ti\n");
    basics.extend_from_slice(b"tt0000006\tmovie\tOld\tx\t0\t1492\t\\N\t\\N\t\\N\n");
    basics.extend_from_slice(b"\n");
    basics.extend(std::iter::repeat_n(b'x', 3 << 20));
    basics.extend_from_slice(b"\ntt0000007\tmovie\tGood\tx\t0\t1992\t\\N\t\\N\t\\N");
    let out = Shared::default();
    let rejects = Box::new(out.clone());
    let summary = import_with(&sink, &[&basics], |o| o.rejects = Some(rejects)).unwrap();
    assert_eq!((summary.created, summary.rejected), (4, 5));
    assert_adds_up(&summary);
    let text = out.text();
    let written: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lines: Vec<u64> = written.iter().map(|reject| reject["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [5, 6, 7, 8, 9]);
    let reasons = ["UTF-8", "11 columns", "startYear must be between", "columns", "longer than 1 MiB"];
    for (reject, reason) in written.iter().zip(reasons) {
        assert!(reject["reason"].as_str().unwrap().contains(reason), "{reject}");
        assert!(reject["raw"].as_str().unwrap().len() <= 1024);
    }
}

#[test]
fn other_types_and_adult_titles_are_skipped_and_counted() {
    let basics = titles(&[
        "tt0000001\tshort\tA\tA\t0\t\\N\t\\N\t\\N\t\\N\n",
        "tt0000002\ttvEpisode\tB\tB\t0\t\\N\t\\N\t\\N\t\\N\n",
        "tt0000003\tmovie\tC\tC\t1\t\\N\t\\N\t\\N\t\\N\n",
        "tt0000004\tshort\tD\tD\t0\t\\N\t\\N\t\\N\t\\N\n",
    ]);
    let sink = Memory::default();
    let summary = import(&sink, &[basics.as_bytes()]);
    assert_eq!((summary.created, summary.skipped_adult, summary.skipped_types["short"]), (0, 1, 2));
    assert_adds_up(&summary);
    let all = import_with(&sink, &[basics.as_bytes()], |o| {
        o.wanted.types = vec!["short".to_owned(), "movie".to_owned()];
        o.wanted.adult = true;
    });
    assert_eq!(all.unwrap().created, 3);
}

#[test]
fn a_packed_file_that_breaks_off_keeps_what_came_before() {
    let mut basics = HEADER.to_owned();
    for number in 0..5000 {
        basics +=
            &format!("tt{number:07}\tmovie\tTitle {}\tx\t0\t\\N\t\\N\t\\N\t\\N\n", number * 7919 % 10007);
    }
    let packed = gz(&basics);
    let sink = Memory::default();
    let summary = import(&sink, &[&packed[..packed.len() / 2]]);
    assert!(summary.created > 100 && summary.created < 5000, "{summary}");
    assert!(summary.broken[0].contains("end too soon"), "{summary}");
    assert_eq!((summary.exit_code(), summary.rejected), (1, 0));
    assert_adds_up(&summary);
    // Two members, one after another, are one file.
    let (head, tail) = basics.split_at(basics.len() / 2);
    assert_eq!(import(&sink, &[&[gz(head), gz(tail)].concat()]).unchanged, summary.created);
}

#[test]
fn a_joined_file_that_breaks_off_stops_the_run_before_it_writes() {
    let names: String = (0..5000).map(|n| format!("nm{n:07}\tName {}\n", n * 7919 % 10007)).collect();
    let names = gz("nconst\tprimaryName\n".to_owned() + &names);
    let sink = Memory::default();
    let files = [three().into_bytes(), CREW.as_bytes().to_vec(), names[..names.len() / 2].to_vec()];
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    assert!(matches!(reason(&sink, &files, |_| {}), ImportError::Joined { .. }));
    assert!(sink.movies.lock().unwrap().is_empty());
}

#[test]
fn inputs_that_make_no_sense_together_are_refused() {
    let sink = Memory::default();
    let basics = three();
    let together = |files: &[&[u8]]| matches!(reason(&sink, files, |_| {}), ImportError::Together(_));
    assert!(together(&[RATINGS.as_bytes()]));
    assert!(together(&[basics.as_bytes(), CREW.as_bytes()]));
    assert!(together(&[basics.as_bytes(), NAMES.as_bytes()]));
    assert!(together(&[basics.as_bytes(), RATINGS.as_bytes(), RATINGS.as_bytes()]));
    let mistaken = |o: &mut Options| o.ratings = o.sources.pop();
    assert!(matches!(
        reason(&sink, &[basics.as_bytes(), CREW.as_bytes()], mistaken),
        ImportError::Kind { .. }
    ));
    let foreign = b"tconst\tparentTconst\nx\ty\n";
    assert!(matches!(reason(&sink, &[foreign], |_| {}), ImportError::Kind { .. }));
    let nowhere = |o: &mut Options| o.sources.push(Source::File("/nowhere/at/all".into()));
    assert!(matches!(reason(&sink, &[], nowhere), ImportError::Open { .. }));
}

#[test]
fn joined_files_beyond_the_bound_stop_the_run_and_say_what_to_do() {
    let rows: String = (0..20_000).map(|n| format!("tt{n:07}\t5.0\t1\n")).collect();
    let ratings = "tconst\taverageRating\tnumVotes\n".to_owned() + &rows;
    let basics = three();
    let error =
        reason(&Memory::default(), &[basics.as_bytes(), ratings.as_bytes()], |o| o.join_memory = 100_000);
    assert!(error.to_string().contains("--join-memory"), "{error}");
}

#[test]
fn empty_files_and_headers_alone_are_no_errors() {
    let sink = Memory::default();
    let summary = import(&sink, &[b"", HEADER.as_bytes(), b"\xef\xbb\xbf", &gz(""), b"\n\n", b"[]"]);
    assert_eq!((summary.rows, summary.exit_code()), (0, 0));
}

#[test]
fn chunks_are_bounded_and_a_refusal_ends_the_run() {
    let mut basics = HEADER.to_owned();
    for number in 0..10_000 {
        basics += &format!("tt{number:07}\tmovie\tT\tx\t0\t\\N\t\\N\t\\N\t\\N\n");
    }
    let sink = Memory::default();
    let summary = import_with(&sink, &[basics.as_bytes()], |o| o.chunk_movies = 999).unwrap();
    assert_eq!(summary.created, 10_000);
    assert_eq!(sink.chunks.lock().unwrap().iter().max(), Some(&999));
    let sink = Memory { takes: Some(2), ..Memory::default() };
    let stopped = import_with(&sink, &[basics.as_bytes()], |o| o.chunk_movies = 999).unwrap_err();
    assert!(matches!(stopped.reason, ImportError::Sink(_)));
    assert_eq!(stopped.summary.created, 1998);
    let sink = Memory::default();
    import_with(&sink, &[basics.as_bytes()], |o| o.chunk_bytes = 10_000).unwrap();
    assert!(sink.chunks.lock().unwrap().iter().all(|movies| *movies < 100));
}
