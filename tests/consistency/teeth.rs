//! What the checker of long runs must see: each is a history that is right but for one thing.

use bytes::Bytes;

use super::checker::{Operation, Replay};
use super::words::{Content, Told, join};

fn movie(id: u64, title: &str, version: u64) -> Bytes {
    serde_json::json!({ "id": id, "title": title, "version": version }).to_string().into()
}

fn whole(movies: &[(u64, &str, u64)]) -> Content {
    let movies: Vec<Bytes> = movies.iter().map(|(id, title, version)| movie(*id, title, *version)).collect();
    Content::Whole(join(movies.iter()).into())
}

fn told(after: u64, revision: u64, content: Content) -> Operation {
    Operation { after, told: Told { revision, content } }
}

/// Revision 1 has the movies 1 and 2; 2 renames both, one by each of two clients; 3 brings two, 4 takes one of them.
fn right() -> Vec<Operation> {
    vec![
        told(1, 1, whole(&[(1, "a", 1), (2, "b", 1)])),
        told(1, 2, Content::Renamed(1, Some(movie(1, "A", 2)))),
        told(1, 2, Content::Renamed(2, Some(movie(2, "B", 2)))),
        told(2, 2, whole(&[(1, "A", 2), (2, "B", 2)])),
        told(2, 3, Content::Created(vec![movie(3, "c", 1), movie(4, "d", 1)])),
        told(3, 3, Content::One(4, Some(movie(4, "d", 1)))),
        told(3, 3, whole(&[(1, "A", 2), (2, "B", 2), (3, "c", 1), (4, "d", 1)])),
        told(3, 4, Content::Deleted { deleted: vec![3], missing: vec![9] }),
        told(4, 4, Content::One(3, None)),
        told(4, 4, Content::Renamed(3, None)),
        told(4, 4, whole(&[(1, "A", 2), (2, "B", 2), (4, "d", 1)])),
    ]
}

fn check(history: &[Operation]) -> Result<(), String> {
    Replay::from(1, vec![movie(1, "a", 1), movie(2, "b", 1)]).check(history)
}

#[test]
fn each_fault_is_seen() {
    check(&right()).unwrap();
    // Which operation is replaced by what, and what is said of it.
    let faults = [
        ("half of a write", 3, told(2, 2, whole(&[(1, "A", 2), (2, "b", 1)])), "revision 2 is not that"),
        (
            "two moments",
            6,
            told(3, 3, whole(&[(1, "A", 2), (2, "B", 2), (4, "d", 1)])),
            "revision 3 is not that",
        ),
        (
            "cut off",
            0,
            told(1, 1, Content::Whole(Bytes::from_static(b"[{\"id\":1"))),
            "revision 1 is not that",
        ),
        ("older than was told", 10, told(4, 3, whole(&[(1, "A", 2)])), "time went back"),
        (
            "old rows under a new revision",
            5,
            told(3, 3, Content::One(2, Some(movie(2, "b", 1)))),
            "has of movie 2",
        ),
        ("a movie that is gone", 8, told(4, 4, Content::One(3, Some(movie(3, "c", 1)))), "has of movie 3"),
        ("a movie that is there is missing", 5, told(3, 3, Content::One(4, None)), "told to be missing"),
        (
            "a write in no new revision",
            4,
            told(3, 3, Content::Created(vec![movie(3, "c", 1)])),
            "time went back",
        ),
        ("a write that is lost", 1, told(1, 2, Content::One(9, None)), "revision 2 is not that"),
        ("a revision of nobody's", 7, told(3, 4, Content::One(9, None)), "nobody made revision 4"),
        ("an id again", 4, told(2, 3, Content::Created(vec![movie(2, "c", 1)])), "gives the id 2 again"),
        (
            "a version passed over",
            2,
            told(1, 2, Content::Renamed(2, Some(movie(2, "B", 3)))),
            "makes of version",
        ),
        (
            "gone twice",
            7,
            told(3, 4, Content::Deleted { deleted: vec![9], missing: vec![] }),
            "deletes movie 9",
        ),
    ];
    for (what, at, instead, said) in faults {
        let mut history = right();
        history[at] = instead;
        let seen = check(&history).expect_err(what);
        assert!(seen.contains(said), "{what}: {seen}");
    }
}
