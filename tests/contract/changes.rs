//! Movies changed and deleted: PUT, PATCH, conditions, many at once, merges.

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use serde_json::{Value, json};

use crate::kit::{LINES, Reply, create, delete, get, get_as, head, post, post_as, start, state};
use crate::support::Marquee;

const PATCH_JSON: &str = "application/merge-patch+json";

async fn put(marquee: &Marquee, path: &str, body: Value) -> Reply {
    change(marquee, Method::PUT, path, "application/json", "", body).await
}

async fn patch(marquee: &Marquee, path: &str, body: Value) -> Reply {
    change(marquee, Method::PATCH, path, PATCH_JSON, "", body).await
}

/// With `If-Match`, where that is not empty.
async fn change(
    marquee: &Marquee,
    method: Method,
    path: &str,
    media: &str,
    if_match: &str,
    body: Value,
) -> Reply {
    let mut request = marquee.request(method, path).header(CONTENT_TYPE, media).body(body.to_string());
    if !if_match.is_empty() {
        request = request.header(IF_MATCH, if_match);
    }
    Reply::to(request).await
}

async fn merge(marquee: &Marquee, media: &str, body: String) -> Reply {
    let request = marquee.request(Method::POST, "/v1/movies").header(CONTENT_TYPE, media);
    Reply::to(request.header("prefer", "resolution=merge").body(body)).await
}

fn oz() -> Value {
    json!({
        "imdb_id": "tt0032138", "title": "The Wizard of Oz", "year": 1939, "directors": ["Victor Fleming"],
        "genres": ["Adventure", "Family"], "rating": 8.1, "votes": 5,
    })
}

/// How many movies have a genre.
async fn count_of(marquee: &Marquee, genre: &str) -> Value {
    let genres = get(marquee, "/v1/genres").await.expect(200).json();
    let found = genres.as_array().unwrap().iter().find(|found| found["name"] == genre);
    found.map_or(Value::Null, |genre| genre["movies"].clone())
}

on_every_database! {
    /// The whole movie is replaced: what is left out is gone.
    async fn a_put_replaces_all(db) {
        let marquee = start(&db).await;
        let made = create(&marquee, oz()).await;
        let replaced =
            put(&marquee, "/v1/movies/1", json!({ "title": "Oz", "genre": ["family", "War"] })).await.expect(200);
        let movie = replaced.json();
        assert_eq!((&movie["title"], &movie["genres"]), (&json!("Oz"), &json!(["Family", "War"])));
        for gone in ["imdb_id", "year", "rating", "votes"] {
            assert_eq!(movie[gone], Value::Null, "{gone}");
        }
        assert_eq!((&movie["directors"], &movie["version"]), (&json!([]), &json!(2)));
        assert_eq!(movie["created_at"], made.json()["created_at"]);
        assert_eq!(replaced.revision(), made.revision() + 1);
        assert_eq!((replaced.header("cache-control"), replaced.has("location")), ("no-store", false));
        assert_eq!(replaced.header("content-type"), "application/json");
        let found = get(&marquee, "/v1/movies/1").await.expect(200);
        assert_eq!((found.text(), found.tag()), (replaced.text(), replaced.tag()));
        assert_ne!(made.tag(), replaced.tag());
        let all = get(&marquee, "/v1/movies").await.expect(200);
        assert_eq!(all.text(), format!("[{}]", replaced.text()));
        assert_eq!([count_of(&marquee, "Adventure").await, count_of(&marquee, "Family").await, count_of(&marquee, "War").await], [0, 1, 1]);
        // The imdb_id is free again.
        create(&marquee, oz()).await;

        // It never creates.
        put(&marquee, "/v1/movies/9", json!({ "title": "Nine" })).await.problem(404, "not-found");
        put(&marquee, "/v1/movies/x", json!({ "title": "X" })).await.problem(404, "not-found");
        put(&marquee, "/v1/movies/1", json!({ "year": 1939 })).await.invalid("invalid-movie", &["/title"]);
        put(&marquee, "/v1/movies/1", json!({ "title": "a", "titel": "b" })).await.invalid("invalid-movie", &["/titel"]);
        put(&marquee, "/v1/movies/1", json!([{ "title": "a" }])).await.invalid("invalid-movie", &[""]);
        let lines = change(&marquee, Method::PUT, "/v1/movies/1", LINES, "", json!({ "title": "a" })).await;
        lines.problem(415, "unsupported-media-type");
    }

    /// A movie can be sent back as it was told: id and times unchanged, the version still its own.
    async fn what_marquee_gives_may_be_sent_back_unchanged(db) {
        let marquee = start(&db).await;
        let mut movie = create(&marquee, oz()).await.json();
        movie["year"] = json!(1940);
        let changed = put(&marquee, "/v1/movies/1", movie.clone()).await.expect(200);
        assert_eq!((&changed.json()["year"], &changed.json()["version"]), (&json!(1940), &json!(2)));
        let before = state(&marquee).await;
        // Its version is no longer the movie's.
        put(&marquee, "/v1/movies/1", movie.clone()).await.problem(412, "precondition-failed");
        patch(&marquee, "/v1/movies/1", json!({ "version": 1 })).await.problem(412, "precondition-failed");
        for (member, value) in [
            ("id", json!(2)),
            ("created_at", json!("1999-01-01T00:00:00Z")),
            ("updated_at", json!("1999-01-01T00:00:00Z")),
        ] {
            let mut other = changed.json();
            other[member] = value.clone();
            let pointer = format!("/{member}");
            put(&marquee, "/v1/movies/1", other).await.invalid("invalid-movie", &[&pointer]);
            patch(&marquee, "/v1/movies/1", json!({ member: value })).await.invalid("invalid-movie", &[&pointer]);
            patch(&marquee, "/v1/movies/1", json!({ member: null })).await.invalid("invalid-movie", &[&pointer]);
        }
        assert_eq!(state(&marquee).await, before);
    }

    /// RFC 7396: what is named is changed, null removes, the rest stays.
    async fn a_patch_changes_what_it_names(db) {
        let marquee = start(&db).await;
        let made = create(&marquee, oz()).await;
        let patched =
            patch(&marquee, "/v1/movies/1", json!({ "rating": null, "genres": ["Musical"], "name": "Oz" })).await.expect(200);
        let mut expected = made.json();
        expected["rating"] = Value::Null;
        expected["genres"] = json!(["Musical"]);
        expected["title"] = json!("Oz");
        expected["version"] = json!(2);
        expected["updated_at"] = patched.json()["updated_at"].clone();
        assert_eq!(patched.json(), expected);
        assert_eq!(get(&marquee, "/v1/movies/1").await.text(), patched.text());
        assert_eq!([count_of(&marquee, "Adventure").await, count_of(&marquee, "Musical").await], [0, 1]);

        // Nothing to change: no new version, no transaction.
        let same = patch(&marquee, "/v1/movies/1", json!({ "genres": ["MUSICAL"], "year": 1939 })).await.expect(200);
        assert_eq!((same.text(), same.tag(), same.revision()), (patched.text(), patched.tag(), patched.revision()));
        let same = patch(&marquee, "/v1/movies/1", json!({})).await.expect(200);
        assert_eq!((same.text(), same.revision()), (patched.text(), patched.revision()));

        let json = change(&marquee, Method::PATCH, "/v1/movies/1", "application/json", "", json!({ "year": 1 })).await;
        json.invalid("invalid-movie", &["/year"]);
        patch(&marquee, "/v1/movies/1", json!({ "title": null })).await.invalid("invalid-movie", &["/title"]);
        patch(&marquee, "/v1/movies/1", json!({ "titel": "x" })).await.invalid("invalid-movie", &["/titel"]);
        patch(&marquee, "/v1/movies/1", json!({ "name": "a", "title": "b" })).await.invalid("invalid-movie", &["/title"]);
        patch(&marquee, "/v1/movies/1", json!(null)).await.invalid("invalid-movie", &[""]);
        patch(&marquee, "/v1/movies/2", json!({})).await.problem(404, "not-found");
        let refused = change(&marquee, Method::PATCH, "/v1/movies/1", "text/plain", "", json!({})).await;
        refused.problem(415, "unsupported-media-type");
        assert_eq!(refused.header("accept-patch"), "application/merge-patch+json, application/json");

        // imdb_id stays unique, and a name keeps the spelling that was seen first.
        create(&marquee, json!({ "title": "Other", "imdb_id": "tt0000002" })).await;
        let taken = patch(&marquee, "/v1/movies/1", json!({ "imdb_id": "tt0000002" })).await;
        assert_eq!(taken.problem(409, "duplicate-imdb-id")["errors"][0]["pointer"], "/imdb_id");
        let own = patch(&marquee, "/v1/movies/1", json!({ "imdb_id": "tt0032138", "genres": ["musical"] })).await;
        assert_eq!(own.expect(200).json()["genres"], json!(["Musical"]));
    }

    /// `If-Match` on PUT, PATCH and DELETE: the tag of any coding holds, a weak one never, `*` what is there.
    async fn a_condition_that_does_not_hold_changes_nothing(db) {
        let marquee = start(&db).await;
        let made = create(&marquee, oz()).await;
        let gzip = get_as(&marquee, "/v1/movies/1", "gzip, identity;q=0", "").await.expect(200);
        assert_ne!(gzip.tag(), made.tag());
        let (stale, mut fresh) = (made.tag().to_owned(), gzip.tag().to_owned());
        for (n, method) in [Method::PUT, Method::PATCH].into_iter().enumerate() {
            let body = json!({ "title": format!("Oz {n}") });
            let tags = format!("\"x\", {fresh}");
            let changed = change(&marquee, method.clone(), "/v1/movies/1", "application/json", &tags, body.clone()).await.expect(200);
            fresh = changed.tag().to_owned();
            let before = state(&marquee).await;
            for not_holding in [stale.as_str(), &format!("W/{fresh}"), "\"x\"", "x"] {
                let refused =
                    change(&marquee, method.clone(), "/v1/movies/1", "application/json", not_holding, json!({ "title": "No" })).await;
                let detail = refused.problem(412, "precondition-failed")["detail"].to_string();
                let why = match not_holding {
                    "x" => "quotes",
                    weak if weak.starts_with('W') => "weak",
                    _ => "read it again",
                };
                assert!(detail.contains(why), "{not_holding}: {detail}");
                assert_eq!(refused.revision(), before.0);
            }
            assert_eq!(state(&marquee).await, before);
            change(&marquee, method, "/v1/movies/7", "application/json", "*", body).await.problem(404, "not-found");
        }
        let never = marquee.request(Method::PUT, "/v1/movies/1").header(CONTENT_TYPE, "application/json");
        let never = Reply::to(never.header(IF_NONE_MATCH, "*").body(r#"{"title":"No"}"#)).await;
        never.problem(412, "precondition-failed");
        change(&marquee, Method::PATCH, "/v1/movies/1", PATCH_JSON, "*", json!({ "year": 2000 })).await.expect(200);

        let delete_if = async |tag: &str| Reply::to(marquee.request(Method::DELETE, "/v1/movies/1").header(IF_MATCH, tag)).await;
        delete_if(&fresh).await.problem(412, "precondition-failed");
        let now = head(&marquee, "/v1/movies/1").await.expect(200).tag().to_owned();
        delete_if(&now).await.expect(204);
        delete_if("*").await.problem(404, "not-found");
    }

    /// Many go in one transaction; those that are not there are named; without ids nothing goes.
    async fn many_are_deleted_at_once(db) {
        let marquee = start(&db).await;
        let movies: Vec<_> = (0..6).map(|n| json!({ "title": format!("{n}"), "genres": ["Drama"] })).collect();
        let made = post(&marquee, "/v1/movies", json!(movies)).await.expect(201);
        let gone = delete(&marquee, "/v1/movies?id=5,2,99,5").await.expect(200);
        assert_eq!(gone.json(), json!({ "deleted": [5, 2], "missing": [99] }));
        assert_eq!((gone.revision(), gone.header("content-type")), (made.revision() + 1, "application/json"));
        assert!(gone.tag().starts_with('"'));
        assert_eq!(count_of(&marquee, "Drama").await, 4);
        let all = get(&marquee, "/v1/movies").await.expect(200);
        let (all_tag, all) = (all.tag().to_owned(), all.json());
        let ids: Vec<_> = all.as_array().unwrap().iter().map(|movie| movie["id"].as_u64().unwrap()).collect();
        assert_eq!(ids, [1, 3, 4, 6]);
        // None of them there: nothing is written.
        let none = delete(&marquee, "/v1/movies?id=5,2").await.expect(200);
        assert_eq!(none.json(), json!({ "deleted": [], "missing": [5, 2] }));
        assert_eq!(none.revision(), gone.revision());
        let before = state(&marquee).await;
        for query in ["", "?", "?id=", "?id=1,x", "?id=1&id=3", "?id=0", "?id=9223372036854775808"] {
            delete(&marquee, &format!("/v1/movies{query}")).await.problem(400, "invalid-parameter");
        }
        delete(&marquee, "/v1/movies?id=1&genre=Drama").await.problem(400, "unknown-parameter");
        // A condition that is on nothing in particular is not passed over.
        let delete_if = async |name: &str, value: &str| {
            Reply::to(marquee.request(Method::DELETE, "/v1/movies?id=1").header(name, value)).await
        };
        for (name, value) in [("if-match", all_tag.as_str()), ("if-match", "x"), ("if-none-match", "*")] {
            delete_if(name, value).await.problem(412, "precondition-failed");
        }
        assert_eq!(state(&marquee).await, before);
        assert_eq!(delete_if("if-match", "*").await.expect(200).json()["deleted"], json!([1]));
    }

    /// `Prefer: resolution=merge`: an imdb_id that exists is replaced, any other movie made.
    async fn a_merge_replaces_what_is_there(db) {
        let marquee = start(&db).await;
        create(&marquee, oz()).await;
        let again = json!({ "imdb_id": "tt0032138", "title": "Oz", "genres": ["family"] });
        let merged = merge(&marquee, "application/json", again.to_string()).await.expect(200);
        let movie = merged.json();
        assert_eq!((&movie["id"], &movie["version"], &movie["year"]), (&json!(1), &json!(2), &Value::Null));
        assert_eq!((&movie["genres"], merged.header("preference-applied")), (&json!(["Family"]), "resolution=merge"));
        assert!(!merged.has("location"));
        let found = get(&marquee, "/v1/movies/1").await.expect(200);
        assert_eq!((found.text(), found.tag()), (merged.text(), merged.tag()));
        // The same again is no change.
        let same = merge(&marquee, "application/json", again.to_string()).await.expect(200);
        assert_eq!((same.text(), same.revision()), (merged.text(), merged.revision()));

        let new = merge(&marquee, "application/json", json!({ "title": "New" }).to_string()).await.expect(201);
        assert_eq!(new.header("location"), "/v1/movies/2");
        let both = json!([{ "imdb_id": "tt0000003", "title": "Three" }, { "imdb_id": "tt0032138", "title": "Oz III" }]);
        let both = merge(&marquee, "application/json", both.to_string()).await.expect(201).json();
        assert_eq!((&both[0]["id"], &both[1]["id"], &both[1]["version"]), (&json!(3), &json!(1), &json!(3)));
        let lines = "{\"imdb_id\":\"tt0000003\",\"title\":\"3\"}\n{\"imdb_id\":\"tt0032138\",\"title\":\"Oz\"}\n";
        let lines = merge(&marquee, LINES, lines.to_owned()).await.expect(200);
        assert_eq!((lines.text().lines().count(), lines.header("content-type")), (2, LINES));

        // One imdb_id twice in a request says two things of one movie.
        let before = state(&marquee).await;
        let twice = json!([{ "title": "a" }, { "imdb_id": "tt0000009", "title": "b" }, { "imdb_id": "tt0000009", "title": "c" }]);
        let refused = merge(&marquee, "application/json", twice.to_string()).await;
        assert_eq!(refused.problem(409, "duplicate-imdb-id")["errors"][0]["pointer"], "/2/imdb_id");
        // Without the preference it is taken.
        post(&marquee, "/v1/movies", again).await.problem(409, "duplicate-imdb-id");
        let unknown = marquee.request(Method::POST, "/v1/movies").header(CONTENT_TYPE, "application/json");
        let unknown = Reply::to(unknown.header("prefer", "resolution=ignore, wait=1").body(r#"{"title":"x","imdb_id":"tt0032138"}"#)).await;
        unknown.problem(409, "duplicate-imdb-id");
        assert_eq!(state(&marquee).await, before);
        let plain = post_as(&marquee, "/v1/movies", "application/json", r#"{"title":"plain"}"#).await.expect(201);
        assert!(!plain.has("preference-applied"));
    }
}
