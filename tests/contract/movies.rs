//! Movies: created, read, deleted.

use serde_json::{Value, json};

use crate::kit::{LINES, create, delete, get, get_as, post, post_as, post_text, start, state};

/// `2026-11-23T22:49:34Z`
fn is_to_the_second(time: &Value) -> bool {
    let time = time.as_str().unwrap();
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    shape == "9999-99-99T99:99:99Z"
}

fn titles(movies: &Value) -> Vec<&str> {
    movies.as_array().unwrap().iter().map(|movie| movie["title"].as_str().unwrap()).collect()
}

on_every_database! {
    /// A whole movie and one of which only the title is known: the answer to the POST, to a GET of its
    /// location and the element of the collection are the same bytes, with the members in their order.
    async fn what_was_created_is_found(db) {
        let marquee = start(&db).await;
        let empty = get(&marquee, "/v1/movies").await.expect(200);
        assert_eq!((empty.text(), empty.header("x-total-count")), ("[]", "0"));

        let oz = json!({
            "imdb_id": "tt0032138", "title": "The Wizard of Oz", "year": 1939, "runtime_minutes": 102,
            "directors": ["Victor Fleming"], "genres": ["Adventure", "Family", "Fantasy", "Musical"],
            "rating": 8.3, "votes": 123_456, "popularity": 83.0,
        });
        let made = create(&marquee, oz).await;
        let (created, updated) = (made.json()["created_at"].clone(), made.json()["updated_at"].clone());
        assert!(is_to_the_second(&created), "{created}");
        assert_eq!(created, updated);
        let expected = format!(
            r#"{{"id":1,"imdb_id":"tt0032138","title":"The Wizard of Oz","year":1939,"runtime_minutes":102,"directors":["Victor Fleming"],"genres":["Adventure","Family","Fantasy","Musical"],"rating":8.3,"votes":123456,"popularity":83.0,"version":1,"created_at":{created},"updated_at":{updated}}}"#
        );
        assert_eq!(made.text(), expected);
        assert_eq!(made.header("location"), "/v1/movies/1");
        assert_eq!(made.header("content-type"), "application/json");
        assert_eq!(made.header("cache-control"), "no-store");

        let found = get(&marquee, made.header("location")).await.expect(200);
        assert_eq!(found.text(), made.text());
        assert_eq!((found.tag(), found.revision()), (made.tag(), made.revision()));

        let bare = create(&marquee, json!({ "title": "Bare" })).await;
        let time = bare.json()["created_at"].clone();
        let expected = format!(
            r#"{{"id":2,"imdb_id":null,"title":"Bare","year":null,"runtime_minutes":null,"directors":[],"genres":[],"rating":null,"votes":null,"popularity":null,"version":1,"created_at":{time},"updated_at":{time}}}"#
        );
        assert_eq!(bare.text(), expected);

        let all = get(&marquee, "/v1/movies").await.expect(200);
        assert_eq!(all.text(), format!("[{},{}]", made.text(), bare.text()));
        assert_eq!((all.header("x-total-count"), all.revision()), ("2", bare.revision()));
        let lines = get_as(&marquee, "/v1/movies", "", LINES).await.expect(200);
        assert_eq!(lines.text(), format!("{}\n{}\n", made.text(), bare.text()));
        assert_eq!(lines.header("content-type"), LINES);
    }

    /// An array and lines create many in one transaction, and are answered in their own form.
    async fn many_are_created_at_once(db) {
        let marquee = start(&db).await;
        let array =
            post(&marquee, "/v1/movies", json!([{ "title": "a" }, { "title": "b" }])).await.expect(201);
        assert_eq!(titles(&array.json()), ["a", "b"]);
        assert_eq!(array.header("content-type"), "application/json");
        assert!(!array.tag().is_empty() && !array.has("location"));

        // Blank lines, a CRLF and a last line without an end are no movies and no errors.
        let body = "{\"title\":\"c\"}\n\n  \r\n{\"title\":\"d\"}\r\n{\"title\":\"e\"}";
        let lines = post_as(&marquee, "/v1/movies", LINES, body).await.expect(201);
        assert_eq!(lines.header("content-type"), LINES);
        let told: Vec<Value> = lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(told.iter().map(|m| m["title"].as_str().unwrap()).collect::<Vec<_>>(), ["c", "d", "e"]);
        assert!(lines.text().ends_with('\n'));
        assert_eq!(lines.revision(), array.revision() + 1);

        let all = get(&marquee, "/v1/movies").await.expect(200);
        let ids: Vec<_> =
            all.json().as_array().unwrap().iter().map(|movie| movie["id"].as_u64().unwrap()).collect();
        assert_eq!(ids, [1, 2, 3, 4, 5]);
        assert_eq!(titles(&all.json()), ["a", "b", "c", "d", "e"]);

        // Nothing to create is no error, and no transaction.
        let none = post(&marquee, "/v1/movies", json!([])).await.expect(201);
        assert_eq!((none.text(), none.revision()), ("[]", lines.revision()));
        let none = post_as(&marquee, "/v1/movies", LINES, "\n \n").await.expect(201);
        assert_eq!((none.text(), none.revision()), ("", lines.revision()));
        assert_eq!(get(&marquee, "/v1/movies").await.revision(), lines.revision());

        // The charset that JSON has anyway may be named.
        let array =
            post_as(&marquee, "/v1/movies", "application/json; charset=UTF-8", r#"[{"title":"f"}]"#).await;
        assert_eq!(titles(&array.expect(201).json()), ["f"]);
    }

    /// One that cannot be created stops the others, with their genres.
    async fn all_or_nothing(db) {
        let marquee = start(&db).await;
        create(&marquee, json!({ "title": "Here", "imdb_id": "tt0000001", "genres": ["Here"] })).await;
        let before = state(&marquee).await;

        let invalid =
            json!([{ "title": "a", "genres": ["New"] }, { "title": "b", "rating": 11 }, { "titel": "c" }]);
        let refused = post(&marquee, "/v1/movies", invalid).await;
        refused.invalid("invalid-movie", &["/1/rating", "/2/titel", "/2/title"]);
        let lines = "{\"title\":\"a\",\"genres\":[\"New\"]}\n\n{\"title\":\"b\",\"year\":1}\n";
        post_as(&marquee, "/v1/movies", LINES, lines).await.invalid("invalid-movie", &["/1/year"]);
        assert_eq!(state(&marquee).await, before);

        for (movies, pointer) in [
            (
                json!([{ "title": "a", "genres": ["New"] }, { "title": "b", "imdb_id": "tt0000001" }]),
                "/1/imdb_id",
            ),
            (
                json!([{ "title": "a", "imdb_id": "tt0000002", "genres": ["New"] }, { "title": "b" },
                    { "title": "c", "imdb_id": "tt0000002" }]),
                "/2/imdb_id",
            ),
        ] {
            let lines: String = movies.as_array().unwrap().iter().map(|movie| format!("{movie}\n")).collect();
            for refused in [
                post(&marquee, "/v1/movies", movies).await,
                post_as(&marquee, "/v1/movies", LINES, lines).await,
            ] {
                let problem = refused.problem(409, "duplicate-imdb-id");
                assert_eq!(problem["errors"][0]["pointer"], pointer);
                assert_eq!(refused.revision(), before.0);
            }
        }
        assert_eq!(state(&marquee).await, before);
        // Nothing of them is in the way.
        create(&marquee, json!({ "title": "a", "imdb_id": "tt0000002" })).await;
    }

    /// An `imdb_id` is taken until its movie is deleted.
    async fn an_imdb_id_is_unique(db) {
        let marquee = start(&db).await;
        let movie = json!({ "title": "Oz", "imdb_id": "tt0032138" });
        let first = create(&marquee, movie.clone()).await;
        let before = state(&marquee).await;
        let refused = post(&marquee, "/v1/movies", json!({ "title": "Other", "imdb_id": "tt0032138" })).await;
        let problem = refused.problem(409, "duplicate-imdb-id");
        assert!(problem["detail"].as_str().unwrap().contains("tt0032138"), "{problem}");
        assert_eq!(problem["errors"][0]["pointer"], "/imdb_id", "the document that was sent is no array");
        assert_eq!(state(&marquee).await, before);
        // Two that look alike are two.
        create(&marquee, json!({ "title": "Ten digits", "imdb_id": "tt0000032138" })).await;

        delete(&marquee, first.header("location")).await.expect(204);
        let again = create(&marquee, movie).await;
        assert_ne!(again.header("location"), first.header("location"), "an id was given twice");
        // None is not a value that could be taken.
        create(&marquee, json!([{ "title": "a" }, { "title": "b", "imdb_id": null }])).await;
    }

    /// A deleted movie is gone for good, and takes nothing else with it.
    async fn a_deleted_movie_is_gone(db) {
        let mut marquee = start(&db).await;
        for title in ["a", "b", "c"] {
            create(&marquee, json!({ "title": title, "genres": ["Shared"], "directors": ["Shared"] })).await;
        }
        let others = (get(&marquee, "/v1/movies/1").await, get(&marquee, "/v1/movies/3").await);
        let gone = delete(&marquee, "/v1/movies/2").await.expect(204);
        assert_eq!((gone.text(), gone.header("cache-control")), ("", "no-store"));
        assert_eq!(gone.revision(), others.0.revision() + 1);

        for _ in 0..2 {
            for refused in [get(&marquee, "/v1/movies/2").await, delete(&marquee, "/v1/movies/2").await] {
                refused.problem(404, "not-found");
                assert_eq!(refused.revision(), gone.revision(), "a refused delete is no transaction");
            }
            let all = get(&marquee, "/v1/movies").await.expect(200);
            assert_eq!(titles(&all.json()), ["a", "c"]);
            assert_eq!((all.header("x-total-count"), all.revision()), ("2", gone.revision()));
            for (before, path) in [(&others.0, "/v1/movies/1"), (&others.1, "/v1/movies/3")] {
                let after = get(&marquee, path).await.expect(200);
                assert_eq!((after.text(), after.tag()), (before.text(), before.tag()));
            }
            // The same from the database alone.
            marquee.kill();
            marquee = start(&db).await;
        }
        // Ids are not given again, also when the newest was deleted before a restart.
        delete(&marquee, "/v1/movies/3").await.expect(204);
        marquee.kill();
        marquee = start(&db).await;
        assert_eq!(create(&marquee, json!({ "title": "d" })).await.header("location"), "/v1/movies/4");
    }

    /// The spelling of the well-known `imdb.json` is taken; the answer is in ours.
    async fn the_imdb_json_spelling_is_taken(db) {
        let marquee = start(&db).await;
        let records = json!([
            { "99popularity": 61.0, "director": "Ada Example", "genre": ["Heist", " Comedy", " Made Up"],
              "imdb_score": 6.1, "name": "A Record of Our Own" },
            { "99popularity": 4.5, "director": "Bo Example", "genre": [], "imdb_score": 0.5, "name": "Another" },
        ]);
        let made = create(&marquee, records).await.json();
        assert_eq!(titles(&made), ["A Record of Our Own", "Another"]);
        assert_eq!(made[0]["directors"], json!(["Ada Example"]));
        assert_eq!(made[0]["genres"], json!(["Heist", "Comedy", "Made Up"]));
        assert_eq!((&made[0]["rating"], &made[0]["popularity"]), (&json!(6.1), &json!(61.0)));
        for member in ["name", "director", "genre", "imdb_score", "99popularity"] {
            assert!(made[0].get(member).is_none(), "{member}");
        }
        // One member under both of its names is a contradiction.
        let both = json!({ "title": "a", "name": "a", "rating": 1, "imdb_score": 1 });
        let refused = post_text(&marquee, "/v1/movies", both.to_string()).await;
        assert_eq!(refused.problem(422, "invalid-movie")["errors"].as_array().unwrap().len(), 2);
    }

    /// Any Unicode survives, byte for byte, in the process and in the database.
    async fn any_unicode_survives(db) {
        let mut marquee = start(&db).await;
        let texts = [
            "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽",
            "e\u{301} is not é; a\u{316}\u{301}\u{20dd}",
            "שלום \u{202e}עולם\u{202c} مرحبا",
            "\u{10ffff}\u{fffd}\u{1f600}\u{e000}",
            "line\u{2028}and\u{2029}paragraph",
            "I\u{307} ı İ ß ẞ ﬁ ǅ",
            "\u{feff}mark\u{200b}zero",
            "quote \" backslash \\ slash / <&'>% _",
            "'; DROP TABLE movies; -- \\' \" `",
            "日本語 ✈ 한국어 ไทย",
        ];
        for text in texts {
            let movie = json!({ "title": text, "genres": [text], "directors": [text] });
            let made = create(&marquee, movie).await;
            assert!(made.text().contains(&json!(text).to_string()), "{text:?} became {}", made.text());
            let made = made.json();
            assert_eq!(
                (&made["title"], &made["genres"], &made["directors"]),
                (&json!(text), &json!([text]), &json!([text]))
            );
        }
        // Escaped, as ASCII alone, it is the same text.
        let escaped = r#"{"title":"\ud83d\udc69\u200d\ud83d\ude80 \u0065\u0301 \u2028x"}"#;
        let made = post_text(&marquee, "/v1/movies", escaped).await.expect(201).json();
        assert_eq!(made["title"], "👩\u{200d}🚀 e\u{301} \u{2028}x");

        for _ in 0..2 {
            let all = get(&marquee, "/v1/movies").await.expect(200).json();
            assert_eq!(titles(&all)[..texts.len()], texts);
            for (movie, text) in all.as_array().unwrap().iter().zip(texts) {
                assert_eq!((&movie["genres"], &movie["directors"]), (&json!([text]), &json!([text])));
            }
            marquee.kill();
            marquee = start(&db).await;
        }
    }

    /// Numbers come back as they were sent, at their bounds and between.
    async fn numbers_survive(db) {
        let mut marquee = start(&db).await;
        let movies = json!([
            { "title": "low", "year": 1870, "runtime_minutes": 1, "rating": 0, "votes": 0, "popularity": 0 },
            { "title": "high", "year": 2100, "runtime_minutes": 60000, "rating": 10, "votes": 2_147_483_647, "popularity": 100 },
            { "title": "between", "year": 1939, "rating": 8.3, "popularity": 83.0 },
            { "title": "fine", "rating": 0.1, "popularity": 99.99 },
            { "title": "finer", "rating": 7.123_456_789_012_345, "popularity": 1e-7 },
        ]);
        create(&marquee, movies).await;
        // Whole numbers may be spelt with a fraction of nothing; minus nothing is nothing.
        post_text(&marquee, "/v1/movies", r#"{"title":"odd","year":1.939e3,"votes":7.0,"rating":-0.0}"#)
            .await
            .expect(201);
        for _ in 0..2 {
            let all = get(&marquee, "/v1/movies").await.expect(200);
            for text in [
                r#""year":1870,"runtime_minutes":1,"directors":[],"genres":[],"rating":0.0,"votes":0,"popularity":0.0,"#,
                r#""year":2100,"runtime_minutes":60000,"directors":[],"genres":[],"rating":10.0,"votes":2147483647,"popularity":100.0,"#,
                r#""rating":8.3,"votes":null,"popularity":83.0,"#,
                r#""rating":0.1,"votes":null,"popularity":99.99,"#,
                r#""rating":7.123456789012345,"votes":null,"popularity":1e-7,"#,
                r#""title":"odd","year":1939,"runtime_minutes":null,"directors":[],"genres":[],"rating":0.0,"votes":7,"#,
            ] {
                assert!(all.text().contains(text), "{text} is not in {}", all.text());
            }
            marquee.kill();
            marquee = start(&db).await;
        }
    }

    /// Genres and directors keep their order, blanks around them go, and the first spelling stays.
    async fn names_keep_their_order_and_first_spelling(db) {
        let mut marquee = start(&db).await;
        let movies = json!([
            { "title": "  a \u{2003}", "genres": ["Zebra", " Apple", "mango\u{a0}"], "directors": ["Z z", "A a", "M m"] },
            { "title": "b", "genres": ["MANGO", "zebra"], "directors": ["m M", "z Z", "New"] },
            { "title": "c", "genres": ["DRAMA", "drama", " Drama "], "directors": ["STRASSE", "straße"] },
        ]);
        create(&marquee, movies).await;
        create(
            &marquee,
            json!({ "title": "d", "genres": ["drama", "apple"], "directors": ["Straße", "NEW"] }),
        )
        .await;
        let expected = [
            ("a", json!(["Zebra", "Apple", "mango"]), json!(["Z z", "A a", "M m"])),
            ("b", json!(["mango", "Zebra"]), json!(["M m", "Z z", "New"])),
            ("c", json!(["DRAMA"]), json!(["STRASSE"])),
            ("d", json!(["DRAMA", "Apple"]), json!(["STRASSE", "New"])),
        ];
        for _ in 0..2 {
            let all = get(&marquee, "/v1/movies").await.expect(200).json();
            for (movie, (title, genres, directors)) in all.as_array().unwrap().iter().zip(&expected) {
                assert_eq!(
                    (&movie["title"], &movie["genres"], &movie["directors"]),
                    (&json!(title), genres, directors)
                );
            }
            assert_eq!(all.as_array().unwrap().len(), expected.len());
            marquee.kill();
            marquee = start(&db).await;
        }
    }
}
