//! What a client can send wrong, by accident or on purpose: each is refused by its name, costs nobody
//! else anything, and leaves the collection as it was.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

#[macro_use]
mod support;

#[path = "contract/kit.rs"]
#[expect(clippy::allow_attributes, reason = "expect() would fail where all is used")]
#[allow(dead_code, reason = "the tests of the contract use the rest")]
mod kit;

use reqwest::Method;
use serde_json::{Value, json};

use kit::{
    LINES, Reply, Wire, create, delete, get, get_as, is_well, post, post_as, post_text, raw, start, state,
};

const MIB: usize = 1 << 20;

/// POSTs a body without saying how long it is, in chunks of 64 KiB; the status and the problem.
async fn post_chunked(marquee: &support::Marquee, path: &str, body: &[u8]) -> (u16, Value) {
    let mut wire = Wire::to(marquee.address()).await;
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for chunk in body.chunks(64 << 10) {
        request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    wire.send(&request).await;
    let (status, _, body) = wire.answer().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

/// A request to create movies, as it is written on the wire.
fn posted(headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /v1/movies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

on_every_database! {
    /// What is no JSON is a 400, in an array, in lines and by itself.
    async fn what_is_not_json(db) {
        let marquee = start(&db).await;
        let before = state(&marquee).await;
        let bodies: &[&[u8]] = &[
            b"",
            b" ",
            b"{",
            b"}",
            b"[",
            b"]",
            b"[1,",
            b"{\"title\"",
            b"{\"title\":",
            b"{\"title\":\"a\"",
            b"{\"title\":\"a\",}",
            b"{title:\"a\"}",
            b"{'title':'a'}",
            b"{\"title\":\"a\"} x",
            b"{\"title\":\"a\"}{\"title\":\"b\"}",
            b"nul",
            b"NaN",
            b"{\"title\":\"a\",\"rating\":NaN}",
            b"{\"title\":\"a\",\"rating\":Infinity}",
            b"{\"title\":\"a\",\"rating\":.5}",
            b"{\"title\":\"a\",\"rating\":08}",
            b"{\"title\":\"a\",\"rating\":+8}",
            b"{\"title\":\"a\",\"rating\":0x8}",
            b"{\"title\":\"a\",\"rating\":1e999}",
            b"// {}\n{\"title\":\"a\"}",
            b"title=a",
            b"<movie/>",
            b"\0",
            b"\x1f\x8b\x08",
            // UTF-8 that is none: a lone byte, too long a form, a surrogate, beyond the last, cut off.
            b"{\"title\":\"\xff\"}",
            b"{\"title\":\"\xc0\xaf\"}",
            b"{\"title\":\"\xed\xa0\x80\"}",
            b"{\"title\":\"\xf4\x90\x80\x80\"}",
            b"{\"title\":\"\xe2\x82",
            b"{\"title\":\"\xe2\x82\"}",
            b"{\"\xff\":1}",
            b"\xff\xfe{\0}\0",
            b"\xef\xbb\xbf{\"title\":\"a\"}",
            // Surrogates without their other half; control characters that are not escaped.
            br#"{"title":"\ud800"}"#,
            br#"{"title":"\udc00\ud800"}"#,
            br#"{"title":"\ud83dx"}"#,
            br#"{"title":"\u12"}"#,
            br#"{"title":"\x41"}"#,
            b"{\"title\":\"a\nb\"}",
            b"{\"title\":\"a\0b\"}",
            b"[{\"title\":\"a\"},{\"title\":\"\xff\"}]",
        ];
        for body in bodies {
            post_text(&marquee, "/v1/movies", body.to_vec()).await.problem(400, "malformed-json");
            post_text(&marquee, "/v1/genres", body.to_vec()).await.problem(400, "malformed-json");
        }
        // The line is named, and no line before it is taken.
        let refused = post_as(&marquee, "/v1/movies", LINES, "{\"title\":\"a\"}\n\n{\"title\":\n").await;
        let problem = refused.problem(400, "malformed-json");
        assert!(problem["detail"].as_str().unwrap().contains("line 3"), "{problem}");
        post_as(&marquee, "/v1/movies", LINES, "{\"title\":\"a\"} {\"title\":\"b\"}")
            .await
            .problem(400, "malformed-json");
        assert_eq!(state(&marquee).await, before);
        is_well(&marquee).await;
    }

    /// JSON that is no movie: each member that is wrong is pointed at.
    async fn what_is_no_movie(db) {
        let marquee = start(&db).await;
        let before = state(&marquee).await;
        for body in ["null", "true", "7", "-0.5", "\"title\""] {
            post_text(&marquee, "/v1/movies", body).await.invalid("invalid-movie", &[""]);
            post_text(&marquee, "/v1/movies", format!("[{body}]")).await.invalid("invalid-movie", &["/0"]);
            post_as(&marquee, "/v1/movies", LINES, body).await.invalid("invalid-movie", &["/0"]);
        }
        post(&marquee, "/v1/movies", json!([[{ "title": "a" }]])).await.invalid("invalid-movie", &["/0"]);
        post(&marquee, "/v1/movies", json!({})).await.invalid("invalid-movie", &["/title"]);
        post(&marquee, "/v1/movies", json!([{ "title": "a" }, {}]))
            .await
            .invalid("invalid-movie", &["/1/title"]);

        let one = json!(1);
        let (text, list, object, yes) = (json!("a"), json!([1]), json!({ "a": 1 }), json!(true));
        for (member, wrong) in [
            ("title", vec![&Value::Null, &one, &list, &object, &yes]),
            ("imdb_id", vec![&one, &list, &object, &yes]),
            ("year", vec![&text, &list, &object, &yes]),
            ("runtime_minutes", vec![&text, &list, &object, &yes]),
            ("rating", vec![&text, &list, &object, &yes]),
            ("votes", vec![&text, &list, &object, &yes]),
            ("popularity", vec![&text, &list, &object, &yes]),
            ("genres", vec![&one, &object, &yes]),
            ("directors", vec![&one, &object, &yes]),
            ("name", vec![&one]),
            ("genre", vec![&one]),
            ("director", vec![&one]),
            ("imdb_score", vec![&text]),
            ("99popularity", vec![&text]),
        ] {
            for value in wrong {
                let mut movie = if member == "name" { json!({}) } else { json!({ "title": "a" }) };
                movie[member] = value.clone();
                let pointer = format!("/{member}");
                post(&marquee, "/v1/movies", movie).await.invalid("invalid-movie", &[&pointer]);
            }
        }
        for items in [json!([1]), json!([null]), json!([["a"]]), json!([{}]), json!([true])] {
            let movie = json!({ "title": "a", "genres": items, "directors": ["ok", items[0]] });
            let refused = post(&marquee, "/v1/movies", movie).await;
            let problem = refused.problem(422, "invalid-movie");
            let mut told: Vec<_> = problem["errors"]
                .as_array()
                .unwrap()
                .iter()
                .map(|e| e["pointer"].as_str().unwrap())
                .collect();
            told.sort_unstable();
            assert_eq!(told, ["/directors/1", "/genres/0"]);
        }
        assert_eq!(state(&marquee).await, before);
        is_well(&marquee).await;
    }

    /// Members that are none, that are given twice, or that are not the client's to give.
    async fn members_are_those_of_a_movie(db) {
        let marquee = start(&db).await;
        let before = state(&marquee).await;
        for (body, pointers) in [
            (r#"{"titel":"a"}"#, &["/titel", "/title"][..]),
            (r#"{"title":"a","Rating":1}"#, &["/Rating"]),
            (r#"{"title":"a","":1}"#, &["/"]),
            (r#"{"title":"a","a/b~c":1}"#, &["/a~1b~0c"]),
            (r#"{"title":"a","__proto__":{}}"#, &["/__proto__"]),
            (r#"{"title":"a","x":null}"#, &["/x"]),
            (r#"{"title":"a","title":"a"}"#, &["/title"]),
            (r#"{"title":"a","name":"b"}"#, &["/name"]),
            (r#"{"title":"a","rating":1,"imdb_score":1}"#, &["/imdb_score"]),
            (r#"{"title":"a","genres":[],"genre":"b"}"#, &["/genre"]),
            (r#"{"title":"a","year":1999,"year":1999,"year":1999}"#, &["/year", "/year"]),
            (r#"{"title":"a","\u0074itle":"b"}"#, &["/title"]),
            (r#"{"title":"a","id":1}"#, &["/id"]),
            (r#"{"title":"a","version":1}"#, &["/version"]),
            (
                r#"{"title":"a","created_at":"2026-11-23T22:49:34Z","updated_at":null}"#,
                &["/created_at", "/updated_at"],
            ),
        ] {
            post_text(&marquee, "/v1/movies", body).await.invalid("invalid-movie", pointers);
        }
        // Many of them, and endless names, do not make an endless answer.
        let names: Vec<String> = (0..10_000).map(|n| format!("\"x{n}\":1")).collect();
        let refused =
            post_text(&marquee, "/v1/movies", format!("{{\"title\":\"a\",{}}}", names.join(","))).await;
        refused.problem(422, "invalid-movie");
        assert!(refused.body.len() < 32 << 10, "{}", refused.body.len());
        let refused =
            post_text(&marquee, "/v1/movies", format!("{{\"title\":\"a\",\"{}\":1}}", "é".repeat(MIB))).await;
        refused.problem(422, "invalid-movie");
        assert!(refused.body.len() < 4 << 10, "{}", refused.body.len());
        let refused = post_text(&marquee, "/v1/movies", format!("[{}1]", "1,".repeat(9_999))).await;
        assert!(refused.problem(422, "invalid-movie")["errors"].as_array().unwrap().len() <= 100);
        assert!(refused.body.len() < 32 << 10, "{}", refused.body.len());
        assert_eq!(state(&marquee).await, before);
        is_well(&marquee).await;
    }

    /// One beyond each bound is refused, with its place; the bound itself is not.
    async fn bounds_hold(db) {
        let marquee = start(&db).await;
        let within = json!({
            "title": "é".repeat(512), "imdb_id": "tt1234567890",
            "genres": (0..32).map(|n| format!("{n:02}{}", "👍".repeat(62))).collect::<Vec<_>>(),
            "directors": (0..64).map(|n| format!("{n:02}{}", "👍".repeat(254))).collect::<Vec<_>>(),
        });
        let made = create(&marquee, within.clone()).await.json();
        for member in ["title", "imdb_id", "genres", "directors"] {
            assert_eq!(made[member], within[member]);
        }
        let before = state(&marquee).await;
        let below_zero = [json!(-1), json!(-1e-9), json!(-1e300)];
        let texts = |max: usize| {
            [
                json!(""),
                json!(" \u{a0}\t"),
                json!("x".repeat(max + 1)),
                json!("👍".repeat(max + 1)),
                json!("a\u{0}b"),
                json!("\u{0}"),
                json!("a\nb"),
                json!("a\u{7f}"),
                json!("a\u{85}b"),
                json!("\u{1b}[31m"),
            ]
        };
        let mut wrong: Vec<(&str, Value)> = Vec::new();
        wrong.extend(texts(512).map(|v| ("title", v)));
        for id in [
            "",
            "tt",
            "tt123456",
            "tt12345678901",
            "nm0032138",
            "0032138",
            "TT0032138",
            " tt0032138",
            "tt0032138 ",
            "tt003213８",
            "tt00x2138",
            "tt-032138",
            "tt0032138\u{0}",
        ] {
            wrong.push(("imdb_id", json!(id)));
        }
        for (member, values) in [
            (
                "year",
                vec![
                    json!(1869),
                    json!(2101),
                    json!(0),
                    json!(-1999),
                    json!(1999.5),
                    json!(1e18),
                    json!(u64::MAX),
                    json!(i64::MIN),
                ],
            ),
            ("runtime_minutes", vec![json!(0), json!(60001), json!(-1), json!(1.5), json!(u64::MAX)]),
            ("rating", vec![json!(10.000001), json!(11), json!(1e300), json!(u64::MAX)]),
            (
                "votes",
                vec![json!(2_147_483_648_u64), json!(-1), json!(0.5), json!(u64::MAX), json!(i64::MIN)],
            ),
            ("popularity", vec![json!(100.0001), json!(101), json!(1e300)]),
        ] {
            wrong.extend(values.into_iter().map(|v| (member, v)));
        }
        wrong.extend(below_zero.iter().flat_map(|v| [("rating", v.clone()), ("popularity", v.clone())]));
        // Exactly so, digit by digit: what no double can hold either.
        let digits = format!("{{\"title\":\"a\",\"votes\":1{}}}", "0".repeat(300));
        post_text(&marquee, "/v1/movies", digits).await.invalid("invalid-movie", &["/votes"]);
        for (member, value) in wrong {
            let mut movie = json!({ "title": "a" });
            movie[member] = value;
            post(&marquee, "/v1/movies", movie).await.invalid("invalid-movie", &[&format!("/{member}")]);
        }
        for (member, max) in [("genres", 64), ("directors", 256)] {
            for text in texts(max) {
                let place = format!("/{member}/1");
                post(&marquee, "/v1/movies", json!({ "title": "a", member: ["ok", text] }))
                    .await
                    .invalid("invalid-movie", &[&place]);
            }
        }
        for (member, count) in [("genres", 33), ("genres", 10_000), ("directors", 65), ("directors", 10_000)]
        {
            let names: Vec<String> = (0..count).map(|n| format!("n{n}")).collect();
            post(&marquee, "/v1/movies", json!({ "title": "a", member: names }))
                .await
                .invalid("invalid-movie", &[&format!("/{member}")]);
        }
        for text in texts(64) {
            post(&marquee, "/v1/genres", json!({ "name": text })).await.invalid("invalid-genre", &["/name"]);
        }
        assert_eq!(state(&marquee).await, before);
        // What it says can be acted on: the bound is in the words.
        let refused = post(&marquee, "/v1/movies", json!({ "title": "a", "rating": 11 })).await;
        assert_eq!(refused.problem(422, "invalid-movie")["errors"][0]["detail"], "must be between 0 and 10");
        is_well(&marquee).await;
    }

    /// A genre is an object with a name, and nothing else.
    async fn what_is_no_genre(db) {
        let marquee = start(&db).await;
        let before = state(&marquee).await;
        for (body, pointer) in [
            ("null", ""),
            ("7", ""),
            ("\"Drama\"", ""),
            ("[]", ""),
            (r#"[{"name":"Drama"}]"#, ""),
            ("{}", "/name"),
            (r#"{"name":null}"#, "/name"),
            (r#"{"name":7}"#, "/name"),
            (r#"{"name":["Drama"]}"#, "/name"),
            (r#"{"name":"Drama","slug":"drama"}"#, "/slug"),
            (r#"{"name":"Drama","movies":0}"#, "/movies"),
            (r#"{"name":"Drama","a/b":0}"#, "/a~1b"),
            (r#"{"title":"Drama"}"#, "/title"),
        ] {
            let problem = post_text(&marquee, "/v1/genres", body).await.problem(422, "invalid-genre");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
        }
        // A name given twice is a contradiction here too.
        post_text(&marquee, "/v1/genres", r#"{"name":"a","name":"b"}"#)
            .await
            .invalid("invalid-genre", &["/name"]);
        let deep = format!("{{\"name\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        post_text(&marquee, "/v1/genres", deep).await.problem(400, "malformed-json");
        assert_eq!(state(&marquee).await, before);
        is_well(&marquee).await;
    }

    /// More than the bounds of a body and of an array is refused; as much as they allow is not.
    async fn sizes_have_an_end(db) {
        let marquee = start(&db).await;
        let before = state(&marquee).await;
        let large = |length: usize| {
            let mut body = b"{\"title\":\"".to_vec();
            body.resize(length - 2, b'x');
            body.extend(b"\"}");
            body
        };
        for path in ["/v1/movies", "/v1/genres"] {
            for length in [8 * MIB + 1, 9 * MIB] {
                post_text(&marquee, path, large(length)).await.problem(413, "body-too-large");
                let (status, problem) = post_chunked(&marquee, path, &large(length)).await;
                assert_eq!((status, problem["type"].as_str()), (413, Some("/problems/body-too-large")));
            }
        }
        // At the limit it is read, and judged by what it says.
        post_text(&marquee, "/v1/movies", large(8 * MIB)).await.invalid("invalid-movie", &["/title"]);
        let (status, problem) = post_chunked(&marquee, "/v1/movies", &large(8 * MIB)).await;
        assert_eq!((status, problem["type"].as_str()), (422, Some("/problems/invalid-movie")));
        // A length that is only announced is refused without waiting for it.
        for announced in ["20000000", "9223372036854775807", "18446744073709551615"] {
            let mut wire = Wire::to(marquee.address()).await;
            wire.send(&posted(&format!("Content-Length: {announced}\r\n"), "{")).await;
            let (status, ..) = wire.answer().await.unwrap();
            assert_eq!(status, 413, "{announced}");
        }

        let movies = |n: usize| -> Vec<Value> {
            (0..n).map(|i| json!({ "title": i.to_string(), "genres": ["G"] })).collect()
        };
        let lines = |movies: &[Value]| movies.iter().map(|movie| format!("{movie}\n")).collect::<String>();
        let many = movies(10_001);
        post(&marquee, "/v1/movies", json!(many)).await.problem(413, "too-many-movies");
        post_as(&marquee, "/v1/movies", LINES, lines(&many)).await.problem(413, "too-many-movies");
        let names = |n: usize| -> Vec<String> { (n * 32..n * 32 + 32).map(|n| format!("{n}")).collect() };
        let named: Vec<Value> = (0..1025).map(|n| json!({ "title": "a", "directors": names(n) })).collect();
        let problem = post(&marquee, "/v1/movies", json!(named)).await.problem(413, "too-many-movies");
        assert!(problem["detail"].as_str().unwrap().contains("32768 different genres and directors"), "{problem}");
        post_text(&marquee, "/v1/movies", format!("[{}1]", "1,".repeat(1_000_000)))
            .await
            .problem(413, "too-many-movies");
        assert_eq!(state(&marquee).await, before);
        let made = post_as(&marquee, "/v1/movies", LINES, lines(&many[..10_000])).await.expect(201);
        assert_eq!(made.text().lines().count(), 10_000);
        assert_eq!(made.revision(), before.0 + 1);
        let all = get(&marquee, "/v1/movies").await.expect(200);
        assert_eq!(all.header("x-total-count"), "10000");
        is_well(&marquee).await;
    }

    /// Nesting without end neither overflows a stack nor passes.
    async fn nesting_has_an_end(db) {
        let marquee = start(&db).await;
        let before = state(&marquee).await;
        let arrays = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let objects = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        post_text(&marquee, "/v1/movies", arrays.clone()).await.invalid("invalid-movie", &["/0"]);
        for (body, status) in [
            ("[".repeat(100_000), 400),
            ("{\"a\":".repeat(100_000), 400),
            ("[{\"title\":".repeat(100_000), 400),
            (objects.clone(), 422),
            (format!("[{objects}]"), 422),
            (format!("{{\"title\":{arrays}}}"), 0),
            (format!("{{\"title\":{objects}}}"), 0),
            (format!("{{\"x\":{arrays}}}"), 0),
            (format!("{{\"title\":\"a\",\"genres\":{arrays}}}"), 0),
        ] {
            let refused = post_text(&marquee, "/v1/movies", body).await;
            match status {
                400 => drop(refused.problem(400, "malformed-json")),
                422 => drop(refused.problem(422, "invalid-movie")),
                // Either is true of it.
                _ if refused.status == 400 => drop(refused.problem(400, "malformed-json")),
                _ => drop(refused.problem(422, "invalid-movie")),
            }
        }
        post_as(&marquee, "/v1/movies", LINES, format!("{{\"title\":\"a\"}}\n{arrays}\n"))
            .await
            .problem(422, "invalid-movie");
        // Of a change of a movie it is no other.
        for method in [Method::PUT, Method::PATCH] {
            for body in ["[".repeat(100_000), arrays.clone(), objects.clone(), format!("{{\"title\":{objects}}}")] {
                let request = marquee.request(method.clone(), "/v1/movies/1").body(body);
                let refused = Reply::to(request.header("content-type", "application/json")).await;
                match refused.status {
                    400 => drop(refused.problem(400, "malformed-json")),
                    _ => drop(refused.problem(422, "invalid-movie")),
                }
            }
        }
        assert_eq!(state(&marquee).await, before);
        is_well(&marquee).await;
    }

    /// What is no id names no movie, for whoever reads and whoever deletes.
    async fn what_is_no_id(db) {
        let marquee = start(&db).await;
        create(&marquee, json!([{ "title": "a" }, { "title": "b" }])).await;
        let before = state(&marquee).await;
        let huge = "9".repeat(1000);
        for id in [
            "0",
            "-1",
            "+1",
            "01",
            "00",
            "1.0",
            "1e0",
            "0x1",
            " 1",
            "%201",
            "1%20",
            "1%00",
            "%001",
            "1,2",
            "1;2",
            "one",
            "a",
            "%",
            "%zz",
            "null",
            "NaN",
            "１",
            "%ef%bc%91",
            "%ff",
            "3",
            "255",
            "256",
            "257",
            "4294967296",
            "9007199254740993",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "340282366920938463463374607431768211456",
            &huge,
            "1'--",
            "1%27%20OR%201=1",
            "..",
            "%2e%2e",
            "1%2f2",
            "*",
        ] {
            // A client mends some of these paths before it sends them: a raw one does not.
            for method in ["GET", "DELETE"] {
                let request =
                    format!("{method} /v1/movies/{id} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
                let mut wire = Wire::to(marquee.address()).await;
                wire.send(request.as_bytes()).await;
                let (status, head, body) = wire.answer().await.unwrap();
                // What is no target at all is the parser's to refuse.
                let expected = if id.contains(' ') || !id.is_ascii() { 400 } else { 404 };
                assert_eq!(status, expected, "{method} {id}: {}", String::from_utf8_lossy(&body));
                if status == 404 {
                    assert!(head.contains("content-type: application/problem+json"), "{head}");
                    let problem: Value = serde_json::from_slice(&body).unwrap();
                    assert_eq!(problem["type"], "/problems/not-found");
                }
            }
        }
        assert_eq!(state(&marquee).await, before);
        // The same movie under an escaped digit is no other movie.
        assert_eq!(get(&marquee, "/v1/movies/%31").await.expect(200).json()["id"], 1);
        delete(&marquee, "/v1/movies/2").await.expect(204);
        is_well(&marquee).await;
    }

    /// Requests that break off, or are framed in ways that no two readers agree on.
    async fn broken_framing(db) {
        let marquee = start(&db).await;
        let before = state(&marquee).await;
        let movie = r#"{"title":"a"}"#;
        let chunk = format!("{:x}\r\n{movie}\r\n", movie.len());
        // The body is whole in sight, but its end never comes: it must not be taken.
        for request in [
            posted("Transfer-Encoding: chunked\r\n", &chunk),
            posted("Transfer-Encoding: chunked\r\n", &chunk[..10]),
            posted("Transfer-Encoding: chunked\r\n", &format!("{chunk}0\r\n")),
            posted("Transfer-Encoding: chunked\r\n", "ffffffffffffffffff\r\n"),
            posted("Transfer-Encoding: chunked\r\n", &format!("-1\r\n{movie}\r\n0\r\n\r\n")),
            posted("Transfer-Encoding: chunked\r\n", &format!("zz\r\n{movie}\r\n0\r\n\r\n")),
            posted("Content-Length: 14\r\n", movie),
            posted("Content-Length: 1000\r\n", movie),
        ] {
            // No answer is one, too.
            if let Some((status, ..)) = raw(&marquee, &request).await {
                assert!((400..500).contains(&status), "{status} for {}", String::from_utf8_lossy(&request));
            }
        }
        for headers in [
            "Content-Length: -1\r\n",
            "Content-Length: +13\r\n",
            "Content-Length: 13x\r\n",
            "Content-Length: 1 3\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length: 13\r\nContent-Length: 5\r\n",
            "Content-Length: 13\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 13\r\n",
            "Transfer-Encoding: gzip\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Content-Length : 13\r\n",
            ": x\r\n",
            "X Y: 1\r\n",
            "X\0: 1\r\n",
            "X: a\0b\r\n",
        ] {
            let answer = raw(&marquee, &posted(headers, movie)).await;
            assert!(answer.is_none_or(|(status, ..)| (400..500).contains(&status)), "{headers}");
        }
        for request in [
            "",
            "\r\n\r\n",
            "GET\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / HTTP/9.9\r\n\r\n",
            "GET / HTTP/1.1\r\n",
            "\0\0\0\0",
            "GET /v1/movies HTTP/1.1\nHost: h\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "\u{16}\u{3}\u{1}\u{2}",
            "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
        ] {
            let answer = raw(&marquee, request.as_bytes()).await;
            assert!(answer.is_none_or(|(status, ..)| (400..500).contains(&status)), "{request:?}");
        }
        assert_eq!(state(&marquee).await, before);
        // The same on one wire, framed well: it is the framing that was refused.
        let whole = format!("{chunk}0\r\n\r\n");
        assert_eq!(raw(&marquee, &posted("Transfer-Encoding: chunked\r\n", &whole)).await.unwrap().0, 201);
        let slow = posted(&format!("Content-Length: {}\r\nExpect: 100-continue\r\n", movie.len()), "");
        let mut wire = Wire::to(marquee.address()).await;
        wire.send(&slow).await;
        assert_eq!(wire.answer().await.unwrap().0, 100);
        wire.send(movie.as_bytes()).await;
        assert_eq!(wire.answer().await.unwrap().0, 201);
        is_well(&marquee).await;
    }

    /// Headers that nobody would send.
    async fn absurd_headers(db) {
        let marquee = start(&db).await;
        create(&marquee, json!({ "title": "a" })).await;
        let tags = "\"x\", ".repeat(4_000) + "\"y\"";
        let codings = "gzip;q=0.1, identity;q=0.2, ".repeat(1_000);
        for (name, value) in [
            ("If-None-Match", tags.as_str()),
            ("If-None-Match", "\"\"\"\"\"\""),
            ("If-None-Match", "W/W/\"x\""),
            ("If-None-Match", ",,,,"),
            ("Accept-Encoding", codings.as_str()),
            ("Accept-Encoding", ";q=;;q"),
            ("Accept-Encoding", "gzip;q=-1"),
            ("Accept-Encoding", "gzip;q=1e9"),
            ("Accept", ";;;"),
            ("Accept", "*/*;q=9"),
            ("Accept", "application/x-ndjson;q=NaN"),
            ("Range", "bytes=0-0"),
            ("Range", "bytes=-1"),
            ("If-Modified-Since", "yesterday"),
            ("Host", "a b"),
            ("Cookie", "=;=;="),
            ("Connection", "x, y, z"),
            ("Upgrade", "h2c"),
            ("Content-Type", "\u{1}"),
            ("X-Forwarded-For", "::::"),
        ] {
            let request = format!("GET /v1/movies/1 HTTP/1.1\r\nHost: h\r\n{name}: {value}\r\n\r\n");
            let (status, _, body) =
                raw(&marquee, request.as_bytes()).await.unwrap_or_else(|| panic!("no answer to {name}"));
            assert!(status == 200 || (status == 400 && body.is_empty()), "{name}: {value:.40}: {status}");
            if !["Host", "Content-Type"].contains(&name) {
                assert_eq!(status, 200, "{name}: {value:.40}");
            }
        }
        // Bytes that are no ASCII, in headers that are read.
        for name in ["If-None-Match", "Accept-Encoding", "Accept", "Cookie"] {
            let mut request = format!("GET /v1/movies HTTP/1.1\r\nHost: h\r\n{name}: ").into_bytes();
            request.extend(b"\xff\xfe\x80 gzip\r\n\r\n");
            assert_eq!(raw(&marquee, &request).await.unwrap().0, 200, "{name}");
        }
        let mut request =
            b"POST /v1/movies HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Type: \xff\xfe\r\n\r\n{}"
                .to_vec();
        assert_eq!(raw(&marquee, &request).await.unwrap().0, 415);
        // Too many, and one too long: the parser's to refuse.
        request =
            [b"GET /livez HTTP/1.1\r\nHost: h\r\n".to_vec(), b"X: 1\r\n".repeat(10_000), b"\r\n".to_vec()]
                .concat();
        assert!(raw(&marquee, &request).await.is_none_or(|(status, ..)| [400, 431].contains(&status)));
        request =
            [b"GET /livez HTTP/1.1\r\nHost: h\r\nX: ".to_vec(), b"y".repeat(4 * MIB), b"\r\n\r\n".to_vec()]
                .concat();
        assert!(raw(&marquee, &request).await.is_none_or(|(status, ..)| [400, 431].contains(&status)));
        // HTTP/1.0, and a whole address as the target.
        assert_eq!(raw(&marquee, b"GET /v1/movies/1 HTTP/1.0\r\n\r\n").await.unwrap().0, 200);
        assert_eq!(
            raw(&marquee, b"GET http://h/v1/movies/1 HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap().0,
            200
        );
        // A body where none is expected is neither read as one nor as the next request.
        let mut wire = Wire::to(marquee.address()).await;
        wire.send(b"GET /v1/movies/1 HTTP/1.1\r\nHost: h\r\nContent-Length: 49\r\n\r\nDELETE /v1/movies/1 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(wire.answer().await.unwrap().0, 200);
        get_as(&marquee, "/v1/movies/1", "", "").await.expect(200);
        is_well(&marquee).await;
    }
}
