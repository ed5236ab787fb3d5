//! Genres: made by movies or by themselves, counted, never made twice.

use serde_json::{Value, json};

use crate::kit::{create, delete, get, post, start, state};
use crate::support::Marquee;

/// `name slug movies` of each, in the order that they were told.
async fn genres(marquee: &Marquee) -> Vec<String> {
    let all = get(marquee, "/v1/genres").await.expect(200);
    let list = all.json();
    let list: &Vec<Value> = list.as_array().unwrap();
    assert_eq!(all.header("x-total-count"), list.len().to_string());
    assert_eq!(all.header("content-type"), "application/json");
    list.iter()
        .map(|genre| {
            assert_eq!(genre.as_object().unwrap().len(), 3, "{genre}");
            let text = |name: &str| genre[name].as_str().unwrap();
            format!("{} {} {}", text("name"), text("slug"), genre["movies"].as_u64().unwrap())
        })
        .collect()
}

on_every_database! {
    /// The counts follow the movies, and a genre stays when its last movie goes.
    async fn counts_follow_the_movies(db) {
        let mut marquee = start(&db).await;
        assert_eq!(get(&marquee, "/v1/genres").await.expect(200).text(), "[]");
        create(
            &marquee,
            json!([
                { "title": "a", "genres": ["War", "Drama"] },
                { "title": "b", "genres": ["drama", "action"] },
                { "title": "c", "genres": ["Drama", "DRAMA"] },
            ]),
        )
        .await;
        assert_eq!(genres(&marquee).await, ["action action 1", "Drama drama 3", "War war 1"]);
        delete(&marquee, "/v1/movies/1").await.expect(204);
        assert_eq!(genres(&marquee).await, ["action action 1", "Drama drama 2", "War war 0"]);
        create(&marquee, json!({ "title": "d", "genres": ["WAR"] })).await;
        // A write that fails counts nothing.
        post(&marquee, "/v1/movies", json!([{ "title": "e", "genres": ["War"] }, { "title": "" }]))
            .await
            .expect(422);
        delete(&marquee, "/v1/movies/99").await.expect(404);
        for _ in 0..2 {
            assert_eq!(genres(&marquee).await, ["action action 1", "Drama drama 2", "War war 1"]);
            marquee.kill();
            marquee = start(&db).await;
        }
    }

    /// A genre made by itself has no movies; one that exists, in whatever spelling, is a conflict.
    async fn a_genre_is_made_once(db) {
        let marquee = start(&db).await;
        let before = get(&marquee, "/v1/genres").await.revision();
        let made = post(&marquee, "/v1/genres", json!({ "name": "  Film Noir " })).await.expect(201);
        assert_eq!(made.text(), r#"{"name":"Film Noir","slug":"film-noir","movies":0}"#);
        assert_eq!(made.header("content-type"), "application/json");
        assert_eq!(made.header("cache-control"), "no-store");
        assert!(!made.tag().is_empty());
        assert_eq!(made.revision(), before + 1);
        assert_eq!(genres(&marquee).await, ["Film Noir film-noir 0"]);

        create(&marquee, json!({ "title": "a", "genres": ["film noir", "Straße"] })).await;
        let state_before = state(&marquee).await;
        for name in ["Film Noir", "FILM NOIR", " film noir\u{a0}", "STRASSE", "straße"] {
            let refused = post(&marquee, "/v1/genres", json!({ "name": name })).await;
            let problem = refused.problem(409, "duplicate-genre");
            let spelt = if name.to_lowercase().contains("noir") { "Film Noir" } else { "Straße" };
            assert!(problem["detail"].as_str().unwrap().contains(spelt), "{problem}");
            assert_eq!(refused.revision(), state_before.0);
        }
        assert_eq!(state(&marquee).await, state_before);
        assert_eq!(genres(&marquee).await, ["Film Noir film-noir 1", "Straße strasse 1"]);
    }

    /// Where two names meet in one slug the later ones are numbered, whoever makes them and whenever.
    async fn slugs_are_numbered(db) {
        let mut marquee = start(&db).await;
        let slug = async |marquee: &Marquee, name: &str| {
            post(marquee, "/v1/genres", json!({ "name": name })).await.expect(201).json()["slug"].clone()
        };
        assert_eq!(slug(&marquee, "C").await, "c");
        assert_eq!(slug(&marquee, "C++").await, "c-2");
        create(&marquee, json!({ "title": "a", "genres": ["C#", "c!", "ドラマ", "コメディ"] })).await;
        marquee.kill();
        marquee = start(&db).await;
        assert_eq!(slug(&marquee, "C?").await, "c-5");
        // A slug that looks numbered by itself.
        assert_eq!(slug(&marquee, "C 2").await, "c-2-2");
        assert_eq!(slug(&marquee, "D-2").await, "d-2");
        assert_eq!(slug(&marquee, "D").await, "d");
        assert_eq!(slug(&marquee, "d.").await, "d-3");
        assert_eq!(slug(&marquee, "Комедия").await, "genre-3");
        assert_eq!(slug(&marquee, "Sci-Fi & Fantasy").await, "sci-fi-fantasy");
        assert_eq!(slug(&marquee, &"x".repeat(64)).await, "x".repeat(64));
        assert_eq!(slug(&marquee, &format!("{}!", "x".repeat(63))).await, "x".repeat(63));
        let all = get(&marquee, "/v1/genres").await.json();
        let slug_of = |name: &str| {
            let genre = all.as_array().unwrap().iter().find(|genre| genre["name"] == name);
            genre.unwrap()["slug"].as_str().unwrap().to_owned()
        };
        assert_eq!(["C#", "c!", "ドラマ", "コメディ"].map(slug_of), ["c-3", "c-4", "genre", "genre-2"]);
        let mut slugs: Vec<_> =
            all.as_array().unwrap().iter().map(|genre| genre["slug"].to_string()).collect();
        slugs.sort();
        slugs.dedup();
        assert_eq!(slugs.len(), all.as_array().unwrap().len(), "{all}");
    }

    /// Two new names meet in a slug, and the number that is next is taken by a name that looks numbered.
    async fn new_slugs_meet_each_other_and_an_old_one(db) {
        let marquee = start(&db).await;
        post(&marquee, "/v1/genres", json!({ "name": "X 2" })).await.expect(201);
        create(&marquee, json!({ "title": "a", "genres": ["X", "X!"] })).await;
        let all = get(&marquee, "/v1/genres").await.json();
        let mut slugs: Vec<_> = all.as_array().unwrap().iter().map(|g| g["slug"].to_string()).collect();
        slugs.sort();
        assert_eq!(slugs, ["\"x\"", "\"x-2\"", "\"x-3\""]);
    }

    /// Many names share one slug, and many slugs are shared by two: each is numbered without a hole, and what the database
    /// is asked does not grow with them.
    async fn many_names_share_a_slug(db) {
        let marquee = start(&db).await;
        let asked = async || marquee.metrics().await["marquee_database_queries_total{purpose=\"write\"}"];
        let of = |names: &[String]| -> Value {
            names.chunks(32).map(|genres| json!({ "title": "a", "genres": genres })).collect()
        };
        let han: Vec<String> = (0x4e00..0x4e00 + 2400).map(|c| char::from_u32(c).unwrap().to_string()).collect();
        create(&marquee, of(&han[..1200])).await;
        let before = asked().await;
        create(&marquee, of(&han[1200..])).await;
        let many = asked().await - before;
        create(&marquee, json!({ "title": "a", "genres": ["戦争"] })).await;
        let one = asked().await - before - many;
        assert!(many < 120.0 && one < 60.0, "{many} and {one} questions");
        let pairs: Vec<String> = (0..600).flat_map(|n| [format!("pair{n}!"), format!("pair{n}?")]).collect();
        let before = asked().await;
        create(&marquee, of(&pairs)).await;
        let paired = asked().await - before;
        assert!(paired < 120.0, "{paired} questions");

        let all = get(&marquee, "/v1/genres").await.json();
        let mut slugs: Vec<&str> = all.as_array().unwrap().iter().map(|genre| genre["slug"].as_str().unwrap()).collect();
        let mut expected: Vec<String> = (2..=2401).map(|n| format!("genre-{n}")).collect();
        expected.push("genre".to_owned());
        expected.extend((0..600).flat_map(|n| [format!("pair{n}"), format!("pair{n}-2")]));
        slugs.sort_unstable();
        expected.sort_unstable();
        assert_eq!(slugs, expected);
    }

    /// Two names of full length that meet in one slug: the number must fit too.
    async fn a_long_slug_is_numbered_too(db) {
        let marquee = start(&db).await;
        let name = |end: char| format!("{}{end}y", "x".repeat(62));
        let made = post(&marquee, "/v1/genres", json!({ "name": name('-') })).await.expect(201).json();
        assert_eq!(made["slug"], format!("{}-y", "x".repeat(62)));
        let made = post(&marquee, "/v1/genres", json!({ "name": name('+') })).await.expect(201).json();
        assert_eq!(made["slug"], format!("{}-y-2", "x".repeat(62)));
        // Folding makes some characters three.
        let long = "ΐ".repeat(64);
        create(&marquee, json!({ "title": "a", "genres": [long, "ﬃ".repeat(64), "ﬃ".repeat(20)] })).await;
        post(&marquee, "/v1/genres", json!({ "name": "FFI".repeat(20) }))
            .await
            .problem(409, "duplicate-genre");
    }
}
