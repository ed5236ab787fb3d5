//! Lists that are filtered, sorted and paged.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{LINES, Reply, create, delete, get, get_as, get_if, head, post, start};
use crate::support::Marquee;

/// Nine movies whose answers can be told by heart.
async fn fill(marquee: &Marquee) {
    let movies = json!([
        { "title": "The Wizard of Oz", "imdb_id": "tt0032138", "year": 1939, "runtime_minutes": 102, "rating": 8.1,
          "votes": 400000, "popularity": 50, "genres": ["Adventure", "Family", "Fantasy"], "directors": ["Victor Fleming"] },
        { "title": "Amélie", "imdb_id": "tt0211915", "year": 2001, "runtime_minutes": 122, "rating": 8.3,
          "votes": 770000, "genres": ["Comédie", "Romance"], "directors": ["Jean-Pierre Jeunet"] },
        { "title": "the wiz", "year": 1978, "rating": 5.6, "genres": ["Adventure", "Family"], "directors": ["Sidney Lumet"] },
        { "title": "Gone with the Wind", "year": 1939, "rating": 8.2, "votes": 330000,
          "genres": ["Drama", "Romance"], "directors": ["Victor Fleming", "George Cukor"] },
        { "title": "M*A*S*H", "year": 1970, "rating": 7.4, "genres": ["Comedy", "Drama", "War"] },
        { "title": "Unknown" },
        { "title": "Zardoz", "year": 1974, "rating": 5.6, "genres": ["Sci-Fi"], "popularity": 0 },
        { "title": "A.I. Artificial Intelligence", "year": 2001, "genres": ["Drama", "Sci-Fi"] },
        { "title": "zardoz 2", "votes": 0 },
    ]);
    create(marquee, movies).await;
}

async fn find(marquee: &Marquee, query: &str) -> Reply {
    get(marquee, &format!("/v1/movies?{query}")).await.expect(200)
}

/// The ids that a query gives, after its count was held to the length where the page has them all.
async fn ids(marquee: &Marquee, query: &str) -> Vec<u64> {
    let reply = find(marquee, query).await;
    let ids = ids_of(&reply);
    if !["limit", "offset", "cursor"].iter().any(|paging| query.contains(paging)) {
        assert_eq!(reply.header("x-total-count"), ids.len().to_string(), "{query}");
    }
    ids
}

fn ids_of(reply: &Reply) -> Vec<u64> {
    reply.json().as_array().unwrap().iter().map(|movie| movie["id"].as_u64().unwrap()).collect()
}

/// Where a link leads, when there is one.
fn link(reply: &Reply, rel: &str) -> Option<String> {
    reply.header("link").split(", ").find_map(|link| {
        let (target, parameter) = link.split_once('>').unwrap();
        (parameter == format!("; rel=\"{rel}\"")).then(|| target.strip_prefix('<').unwrap().to_owned())
    })
}

on_every_database! {
    /// Each filter and several together, in whatever spelling.
    async fn movies_are_found(db) {
        let marquee = start(&db).await;
        fill(&marquee).await;
        for (query, expected) in [
            ("id=3,1,99,3", &[1, 3][..]),
            ("id=9223372036854775807", &[]),
            ("imdb_id=tt0211915,tt0032138,tt0000001", &[1, 2]),
            ("imdb_id=tt0211915&id=1", &[]),
            ("genre=drama", &[4, 5, 8]),
            ("genre=DRAMA&genre=romance", &[4]),
            ("genre=sci-fi", &[7, 8]),
            ("genre=com-die", &[2]),
            ("genre=COM%C3%89DIE", &[2]),
            ("genre=nothing", &[]),
            ("genre=drama&genre=nothing", &[]),
            ("director=victor+FLEMING", &[1, 4]),
            ("director=Victor%20Fleming&director=George%20Cukor", &[4]),
            ("director=Nobody", &[]),
            ("q=wizard", &[1]),
            ("q=THE+oz", &[1]),
            ("q=the+the", &[1, 3, 4]),
            ("q=wi", &[]),
            ("q=wi*", &[1, 3, 4]),
            ("q=wi*+wiz*", &[1, 3]),
            ("q=am%C3%89lie", &[2]),
            ("q=amelie", &[2]),
            ("q=m*a*s*h", &[5]),
            ("q=zardoz", &[7, 9]),
            ("q=zardoz+2", &[9]),
            ("year=1939", &[1, 4]),
            ("year=1970..1979", &[3, 5, 7]),
            ("year=2001..", &[2, 8]),
            ("year=..1939", &[1, 4]),
            ("year=1800..3000", &[1, 2, 3, 4, 5, 7, 8]),
            ("year=1800", &[]),
            ("year=1979..1970", &[]),
            ("rating=8.2..", &[2, 4]),
            ("rating=5.6", &[3, 7]),
            ("rating=..5.60", &[3, 7]),
            ("votes=0", &[9]),
            ("popularity=..0", &[7]),
            ("runtime_minutes=102..122", &[1, 2]),
            ("genre=family&year=1939&rating=8..&q=oz&director=victor+fleming&id=1,2", &[1]),
        ] {
            assert_eq!(ids(&marquee, query).await, expected, "{query}");
        }
    }

    /// Every order, its ties by id and what is unknown last, up and down.
    async fn movies_are_sorted(db) {
        let marquee = start(&db).await;
        fill(&marquee).await;
        for (sort, expected) in [
            ("id", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
            ("-id", [9, 8, 7, 6, 5, 4, 3, 2, 1]),
            ("title", [8, 2, 4, 5, 3, 1, 6, 7, 9]),
            ("-title", [9, 7, 6, 1, 3, 5, 4, 2, 8]),
            ("year", [1, 4, 5, 7, 3, 2, 8, 6, 9]),
            ("-year", [2, 8, 3, 7, 5, 1, 4, 6, 9]),
            ("rating", [3, 7, 5, 1, 4, 2, 6, 8, 9]),
            ("-rating", [2, 4, 1, 5, 3, 7, 6, 8, 9]),
            ("votes", [9, 4, 1, 2, 3, 5, 6, 7, 8]),
            ("-votes", [2, 1, 4, 9, 3, 5, 6, 7, 8]),
            ("year,-votes", [1, 4, 5, 7, 3, 2, 8, 9, 6]),
            ("year,-id", [4, 1, 5, 7, 3, 8, 2, 9, 6]),
            ("-popularity,title", [1, 7, 8, 2, 4, 5, 3, 6, 9]),
        ] {
            assert_eq!(ids(&marquee, &format!("sort={sort}")).await, expected, "{sort}");
        }
        assert_eq!(ids(&marquee, "sort=-year&year=..1974&genre=drama").await, [5, 4]);
    }

    /// By offsets and by cursors, forward and back, in pages of every length.
    async fn pages_are_linked(db) {
        let marquee = start(&db).await;
        fill(&marquee).await;
        for sort in ["id", "-title", "rating", "-rating,title", "votes,-year"] {
            let all = ids(&marquee, &format!("sort={sort}")).await;
            for limit in 1..=10 {
                for mode in ["", "&offset=0"] {
                    let mut walked = Vec::new();
                    let mut next = Some(format!("/v1/movies?sort={sort}&limit={limit}{mode}"));
                    let mut last = None;
                    while let Some(target) = next {
                        let page = get(&marquee, &target).await.expect(200);
                        assert_eq!(page.header("x-total-count"), "9", "{target}");
                        assert!(link(&page, "first").is_some_and(|first| !first.contains("cursor")));
                        walked.extend(ids_of(&page));
                        next = link(&page, "next");
                        if mode.is_empty() {
                            assert!(next.as_ref().is_none_or(|next| next.contains("&cursor=")));
                        }
                        last = Some(page);
                    }
                    assert_eq!(walked, all, "{sort} {limit}{mode}");
                    let mut back = Vec::new();
                    let mut prev = last.as_ref().and_then(|page| link(page, "prev"));
                    while let Some(target) = prev {
                        let page = get(&marquee, &target).await.expect(200);
                        let mut ids = ids_of(&page);
                        ids.append(&mut back);
                        back = ids;
                        prev = link(&page, "prev");
                    }
                    assert_eq!(back, all[..back.len()], "{sort} {limit}{mode}");
                    assert_eq!(back.len() + ids_of(last.as_ref().unwrap()).len(), all.len());
                    let end = get(&marquee, &link(last.as_ref().unwrap(), "last").unwrap()).await.expect(200);
                    assert_eq!(ids_of(&end).last(), all.last());
                    assert_eq!(link(&end, "next"), None);
                }
            }
        }
        // Beyond the end there is nothing, and the way back.
        let beyond = find(&marquee, "offset=100&limit=4").await;
        assert_eq!((ids_of(&beyond), beyond.header("x-total-count")), (vec![], "9"));
        assert_eq!(link(&beyond, "prev").unwrap(), "/v1/movies?limit=4&offset=8");
        let nothing = find(&marquee, "genre=nothing").await;
        assert_eq!((nothing.text(), nothing.header("x-total-count")), ("[]", "0"));
        assert_eq!((link(&nothing, "next"), link(&nothing, "prev")), (None, None));
    }

    /// A page is the bytes of the collection, or of some of its members.
    async fn elements_are_those_of_the_collection(db) {
        let marquee = start(&db).await;
        fill(&marquee).await;
        let whole = get(&marquee, "/v1/movies").await.expect(200);
        assert_eq!(find(&marquee, "limit=1000").await.text(), whole.text());
        assert_eq!(find(&marquee, "id=1,2,3,4,5,6,7,8,9&sort=id&offset=0").await.text(), whole.text());
        let lines = get_as(&marquee, "/v1/movies", "", LINES).await.expect(200);
        let page = get_as(&marquee, "/v1/movies?limit=1000", "", LINES).await.expect(200);
        assert_eq!(page.text(), lines.text());
        assert_eq!(page.header("content-type"), LINES);
        let some = find(&marquee, "id=2&fields=genres,title,id").await;
        assert_eq!(some.text(), r#"[{"id":2,"title":"Amélie","genres":["Comédie","Romance"]}]"#);
        let lines = get_as(&marquee, "/v1/movies?limit=2&fields=id", "", LINES).await.expect(200);
        assert_eq!(lines.text(), "{\"id\":1}\n{\"id\":2}\n");
        // Nothing is asked for.
        for query in ["", "?", "?&&"] {
            assert_eq!(get(&marquee, &format!("/v1/movies{query}")).await.expect(200).text(), whole.text());
        }
    }

    /// Validators, codings, HEAD.
    async fn pages_have_the_headers_of_lists(db) {
        let marquee = start(&db).await;
        fill(&marquee).await;
        let path = "/v1/movies?sort=-rating&limit=4";
        let plain = get(&marquee, path).await.expect(200);
        let zipped = get_as(&marquee, path, "gzip", "").await.expect(200);
        let frames = get_as(&marquee, path, "zstd", "").await.expect(200);
        assert_eq!((zipped.decoded(), frames.decoded()), (plain.body.clone(), plain.body.clone()));
        assert!(zipped.tag() != plain.tag() && frames.tag() != plain.tag() && frames.tag() != zipped.tag());
        assert_eq!(plain.header("cache-status"), "marquee; fwd=miss; stored");
        assert!(plain.header("server-timing").starts_with("db;dur="));
        assert_eq!(zipped.header("cache-status"), "marquee; hit");
        for reply in [&plain, &zipped, &frames] {
            assert_eq!(reply.header("vary"), "Accept-Encoding, Accept");
            assert_eq!(reply.header("cache-control"), "no-cache");
            assert_eq!(reply.header("x-total-count"), "9");
            assert_eq!(reply.header("content-type"), "application/json");
            assert_eq!(reply.revision(), 1);
        }
        let bare = head(&marquee, path).await.expect(200);
        assert!(bare.body.is_empty());
        for name in ["etag", "link", "x-total-count", "content-length", "content-type", "vary", "marquee-revision"] {
            assert_eq!(bare.header(name), plain.header(name), "{name}");
        }
        for (tag, coding) in [(plain.tag(), ""), (zipped.tag(), "gzip")] {
            let request = marquee.request(Method::GET, path).header("if-none-match", tag);
            let known = Reply::to(request.header("accept-encoding", coding)).await.expect(304);
            assert!(known.body.is_empty());
            for name in ["etag", "link", "x-total-count", "vary", "cache-control", "marquee-revision"] {
                assert_eq!(known.header(name), if coding.is_empty() { plain.header(name) } else { zipped.header(name) });
            }
        }
        // A write that leaves the page as it is leaves its tag; the revision is the new one.
        create(&marquee, json!({ "title": "No matter", "rating": 1 })).await;
        let known = get_if(&marquee, path, plain.tag()).await.expect(304);
        assert_eq!((known.revision(), known.header("x-total-count")), (2, "10"));
        create(&marquee, json!({ "title": "The best", "rating": 10 })).await;
        let changed = get_if(&marquee, path, plain.tag()).await.expect(200);
        assert_eq!(ids_of(&changed), [11, 2, 4, 1]);
        assert_ne!(changed.tag(), plain.tag());
        let refused = get_as(&marquee, path, "identity;q=0, *;q=0", "").await;
        refused.problem(406, "not-acceptable");
    }

    /// What is refused says which parameter is at fault.
    async fn what_cannot_be_asked_is_named(db) {
        let marquee = start(&db).await;
        fill(&marquee).await;
        let cursor = link(&find(&marquee, "sort=title&limit=2").await, "next").unwrap();
        let cursor = cursor.split_once("cursor=").unwrap().1;
        for (query, name) in [
            ("genres=Drama".to_owned(), "genres"),
            ("limit=0".to_owned(), "limit"),
            ("limit=1001".to_owned(), "limit"),
            ("limit=1&limit=1".to_owned(), "limit"),
            ("offset=x".to_owned(), "offset"),
            ("year=199x".to_owned(), "year"),
            ("rating=..".to_owned(), "rating"),
            ("sort=-budget".to_owned(), "sort"),
            ("fields=id,budget".to_owned(), "fields"),
            ("q=%F0%9F".to_owned(), "q"),
            ("genre=%zz".to_owned(), "genre"),
            ("id=".to_owned(), "id"),
            ("id=9223372036854775808".to_owned(), "id"),
            ("imdb_id=1".to_owned(), "imdb_id"),
            ("cursor=".to_owned(), "cursor"),
            (format!("sort=title&limit=2&cursor={cursor}A"), "cursor"),
            (format!("sort=-title&limit=2&cursor={cursor}"), "cursor"),
            (format!("sort=title&genre=drama&cursor={cursor}"), "cursor"),
            (format!("sort=title&offset=0&cursor={cursor}"), "cursor"),
        ] {
            let reply = get(&marquee, &format!("/v1/movies?{query}")).await;
            assert_eq!(reply.status, 400, "{query}");
            let detail = reply.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains(name), "{query}: {detail}");
            let kind = if name == "genres" { "unknown-parameter" } else { "invalid-parameter" };
            reply.problem(400, kind);
        }
        find(&marquee, &format!("sort=title&limit=5&fields=id&cursor={cursor}")).await;
        get(&marquee, &format!("/v1/movies?q={}", "x".repeat(9000))).await.problem(414, "uri-too-long");
        post(&marquee, "/v1/movies?limit=1", json!({ "title": "a" })).await.problem(400, "unknown-parameter");
    }

    /// A question that is just short enough is answered to its last page; one whose links would be too long is not begun.
    async fn the_longest_walk_is_walked(db) {
        let marquee = start(&db).await;
        fill(&marquee).await;
        let ids: Vec<String> = (1..=9).map(|n| n.to_string()).chain((0..903).map(|n| (10_000_000 + n).to_string())).collect();
        let mut target = format!("/v1/movies?sort=title&limit=2&id={}", ids.join(","));
        assert!((8160..8192).contains(&target.len()), "{}", target.len());
        let mut found = 0;
        loop {
            let page = get(&marquee, &target).await.expect(200);
            found += page.json().as_array().unwrap().len();
            let links = page.header("link").to_owned();
            let Some(next) = links.split(", ").find(|link| link.ends_with("rel=\"next\"")) else { break };
            target = next[1..next.find('>').unwrap()].to_owned();
        }
        assert_eq!(found, 9);
        let grows = format!("/v1/movies?id={}&director={}", ids[..860].join(","), "'".repeat(250));
        assert!(grows.len() < 8000);
        get(&marquee, &grows).await.problem(414, "uri-too-long");
    }

    /// What is written is found at once, and what is gone or otherwise now is not.
    async fn writes_are_found(db) {
        let marquee = start(&db).await;
        fill(&marquee).await;
        assert_eq!(ids(&marquee, "q=wizard").await, [1]);
        let patch = marquee.request(Method::PATCH, "/v1/movies/1").header("content-type", "application/merge-patch+json");
        let patch = patch.body(json!({ "title": "A Sorcerer", "year": null, "genres": ["Drama"], "rating": 9 }).to_string());
        Reply::to(patch).await.expect(200);
        for (query, expected) in [
            ("q=wizard", &[][..]),
            ("q=sorcerer", &[1]),
            ("genre=family", &[3]),
            ("genre=drama", &[1, 4, 5, 8]),
            ("year=1939", &[4]),
            ("sort=-rating&rating=8..", &[1, 2, 4]),
            ("sort=title&q=a", &[1, 8, 5]),
        ] {
            assert_eq!(ids(&marquee, query).await, expected, "{query}");
        }
        delete(&marquee, "/v1/movies?id=1,4").await.expect(200);
        assert_eq!(ids(&marquee, "genre=drama").await, [5, 8]);
        assert_eq!(ids(&marquee, "q=sorcerer").await, Vec::<u64>::new());
        assert_eq!(db.number("SELECT COUNT(*) FROM movie_keys").await, 7);
        assert_eq!(db.number("SELECT COUNT(*) FROM movie_words WHERE movie_id IN (1, 4)").await, 0);
        let total: Value = find(&marquee, "limit=1").await.header("x-total-count").parse().unwrap();
        assert_eq!(total, 7);
    }
}
