//! Every shape of a question is answered by indexes: the very statements that marquee sends, taken from its
//! log, are explained by the database that it sends them to.

use serde_json::{Value, json};

use crate::kit::linked;
use crate::support::{Engine, Marquee, TestDatabase};

/// How a table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// By values or a range of an index.
    Lookup,
    /// An index in its order, up to LIMIT.
    Walk,
    /// Of a result that was made on the way.
    Made,
    /// Row by row.
    Scan,
}

struct Step {
    access: Access,
    key: String,
    detail: String,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} by {:?}: {}", self.access, self.key, self.detail)
    }
}

#[derive(Debug)]
struct Plan {
    steps: Vec<Step>,
    sorts: bool,
}

async fn explain(db: &TestDatabase, statement: &str) -> Plan {
    match db.engine() {
        Engine::Sqlite => of_sqlite(&db.query(&format!("EXPLAIN QUERY PLAN {statement}")).await),
        Engine::MySql => {
            of_mysql(&db.query(&format!("EXPLAIN FORMAT=TRADITIONAL {statement}")).await, [2, 4, 6, 9, 11])
        }
        Engine::MariaDb => of_mysql(&db.query(&format!("EXPLAIN {statement}")).await, [2, 3, 5, 8, 9]),
    }
}

/// Rows of (id, parent, unused, detail).
fn of_sqlite(rows: &[Vec<Option<String>>]) -> Plan {
    let detail = |row: &[Option<String>]| row[3].clone().unwrap();
    let sorts = rows.iter().any(|row| detail(row).starts_with("USE") && detail(row).contains("ORDER BY"));
    let mut plan = Plan { steps: Vec::new(), sorts };
    for row in rows {
        let detail = detail(row);
        let words: Vec<&str> = detail.split(' ').collect();
        let table = words.get(1).copied().unwrap_or_default().to_owned();
        let key = detail.split_once(" INDEX ").map_or("", |(_, rest)| rest.split(' ').next().unwrap());
        let by_id = detail.contains("USING INTEGER PRIMARY KEY") || detail == "SCAN k";
        let key = if by_id && !sorts { "PRIMARY" } else { key }.to_owned();
        let access = match words[0] {
            "SEARCH" => Access::Lookup,
            "SCAN" if key.is_empty() && table.starts_with('(') => Access::Made,
            "SCAN" if table.starts_with('t') && key.is_empty() => Access::Made,
            // Without a key it goes by the id, which is an order to walk in unless another is asked for.
            "SCAN" if !key.is_empty() || !sorts => Access::Walk,
            "SCAN" => Access::Scan,
            _ => continue,
        };
        plan.steps.push(Step { access, key, detail });
    }
    plan
}

/// How many rows may be sorted where an index could have told them in order.
const HANDFUL: u64 = 30;

/// Rows with the table, the type of access, the key, the rows expected and what is extra at these places.
fn of_mysql(rows: &[Vec<Option<String>>], [table, access, key, expected, extra]: [usize; 5]) -> Plan {
    let mut plan = Plan { steps: Vec::new(), sorts: false };
    for row in rows {
        let text = |at: usize| row[at].clone().unwrap_or_default();
        // Where a handful is left, it is all one to the database which of two indexes it takes.
        plan.sorts |= text(extra).contains("filesort") && text(expected).parse::<u64>().unwrap() > HANDFUL;
        let kind = match text(access).as_str() {
            "const" | "eq_ref" | "ref" | "range" | "system" | "index_merge" => Access::Lookup,
            "index" => Access::Walk,
            "ALL" if text(table).starts_with('<') => Access::Made,
            // Known to have no rows.
            "" => continue,
            _ => Access::Scan,
        };
        plan.steps.push(Step { access: kind, key: text(key), detail: format!("{row:?}") });
    }
    plan
}

/// 6,000 movies, of which some lack each number: genres from one in two to one in a thousand.
async fn fill(marquee: &Marquee) {
    let movies: Vec<Value> = (0..6000u64)
        .map(|n| {
            let some = |every: u64, value: Value| if n % every == 0 { Value::Null } else { value };
            let mut genres = vec![json!(if n % 2 == 0 { "Common" } else { "Other" })];
            genres.extend((n % 20 == 3).then(|| json!("Uncommon")));
            genres.extend((n % 1000 == 7).then(|| json!("Rare")));
            json!({
                "title": format!("The {} of number{n} w{}", ["Wizard", "Wind", "Night", "Return"][n as usize % 4], n % 300),
                "imdb_id": format!("tt{:07}", n + 1),
                "year": some(11, json!(1900 + n * 7 % 120)),
                "runtime_minutes": some(7, json!(60 + n * 13 % 120)),
                "rating": some(5, json!((n * 31 % 101) as f64 / 10.0)),
                "votes": some(13, json!(n * 7919 % 1_000_000)),
                "popularity": some(17, json!((n * 37 % 1001) as f64 / 10.0)),
                "genres": genres,
                "directors": [format!("Director {}", n % 400)],
            })
        })
        .collect();
    assert_eq!(marquee.post("/v1/movies", &json!(movies)).await.status(), 201);
}

/// What a request is answered, and by which statements.
async fn asked(marquee: &Marquee, target: &str) -> (reqwest::Response, Vec<String>) {
    let before = marquee.log().len();
    let answer = marquee.get(target).await;
    assert_eq!(answer.status(), 200, "{target}");
    // The log is written in order, by a thread of its own: once what was asked later is there, all is.
    let mark = rand::random_range(1_000_000..u32::MAX);
    assert_eq!(marquee.get(&format!("/v1/movies?id={mark}")).await.status(), 200);
    marquee.wait_for_log(&format!("IN ({mark})")).await;
    let log = marquee.log();
    let statements = log[before..].lines().filter_map(|line| Some(line[line.find("SELECT ")?..].to_owned()));
    let statements: Vec<String> =
        statements.take_while(|statement| !statement.contains(&format!("({mark})"))).collect();
    assert!(!statements.is_empty(), "{target} was not asked of the database");
    (answer, statements)
}

/// The order of an index is that of the page: nothing is sorted, and what is read is what is told.
const WALKS: &[&str] = &[
    "sort=id",
    "sort=-id",
    "sort=title",
    "sort=-title",
    "sort=year",
    "sort=-year",
    "sort=runtime_minutes",
    "sort=-runtime_minutes",
    "sort=rating",
    "sort=-rating",
    "sort=votes",
    "sort=-votes",
    "sort=popularity",
    "sort=-popularity",
    "genre=common",
    "genre=rare",
    "genre=common&sort=-id",
    "director=director+7",
    "q=wizard",
    "q=wizard&sort=-id",
    "year=1990..1999&sort=year",
    "year=1990..1999&sort=-year",
    "rating=9.5..&sort=-rating",
    "votes=..1000&sort=votes",
];

/// An index finds the movies, and they are few enough to be sorted.
const LOOKUPS: &[&str] = &[
    "id=1,5,7",
    "imdb_id=tt0000005,tt0000009",
    "genre=common&genre=uncommon",
    "genre=rare&sort=-rating",
    "genre=rare&year=1990..",
    "genre=uncommon&sort=year,-votes",
    "director=director+7&genre=common&sort=title",
    "q=wizard+w16",
    "q=number12*",
    "q=the+number12*&sort=-votes",
    "year=1990",
    "year=1990..1999",
    "year=1990&sort=title",
    "runtime_minutes=61",
    "votes=..1000",
    "popularity=99.5..",
    "year=1950..1951&rating=9..",
    "id=1,2,3,4&genre=common&sort=-year",
];

/// No index has the order: everything that matches is sorted, on the first page and behind a cursor.
const SORTED: &[&str] = &["sort=year,-votes", "genre=common&sort=year,-votes"];

/// Two indexes could serve, one by finding and one by its order: it is for the database to choose.
const CHOICES: &[&str] = &["genre=common&sort=-rating", "q=the&sort=title", "year=1950..&sort=-rating"];

on_every_database! {
    async fn every_shape_has_its_index(db) {
        let marquee = Marquee::prepare(db.url())
            .env("MARQUEE_SAMPLE", "off")
            .env("MARQUEE_REQUEST_TIMEOUT_MS", "60000")
            .env("RUST_LOG", "info,marquee::store=debug")
            .start()
            .await;
        marquee.wait_ready().await;
        fill(&marquee).await;
        for table in ["movie_keys", "movie_words", "movie_genres", "movie_directors"] {
            let words = if db.engine() == Engine::Sqlite { "ANALYZE" } else { "ANALYZE TABLE" };
            db.exec(&format!("{words} {table}")).await;
        }
        for query in WALKS {
            let (first, statements) = asked(&marquee, &format!("/v1/movies?{query}&limit=2")).await;
            let mut all = statements;
            let mut answer = first;
            // On to the third page, and back to the second; and some way into those that are many.
            for rel in ["next", "next", "prev", "long", "next", "prev"] {
                if let Some(target) = linked(&answer, if rel == "long" { "next" } else { rel }) {
                    let target = if rel == "long" { target.replace("limit=2", "limit=1000") } else { target };
                    let (next, statements) = asked(&marquee, &target).await;
                    all.extend(statements);
                    answer = next;
                }
            }
            let offset = asked(&marquee, &format!("/v1/movies?{query}&limit=2&offset=2")).await;
            all.extend(offset.1);
            for statement in all {
                let plan = explain(&db, &statement).await;
                let bounded = statement.contains(" LIMIT ") && !statement.contains(" WHERE ");
                let good = |step: &Step| {
                    step.access == Access::Lookup || (step.access == Access::Walk && bounded && !step.key.is_empty())
                };
                assert!(!plan.sorts && plan.steps.iter().all(good), "{query}: {statement}\n{plan:#?}");
            }
        }
        for query in LOOKUPS {
            for statement in asked(&marquee, &format!("/v1/movies?{query}")).await.1 {
                let plan = explain(&db, &statement).await;
                let found = plan.steps.iter().any(|step| step.access == Access::Lookup);
                let good = |step: &Step| matches!(step.access, Access::Lookup | Access::Made);
                assert!(found && plan.steps.iter().all(good), "{query}: {statement}\n{plan:#?}");
            }
        }
        for query in SORTED {
            let (first, mut statements) = asked(&marquee, &format!("/v1/movies?{query}&limit=2")).await;
            let cursor = linked(&first, "next").unwrap();
            statements.extend(asked(&marquee, &cursor).await.1);
            let mut sorted = 0;
            for statement in statements {
                let plan = explain(&db, &statement).await;
                sorted += usize::from(plan.sorts);
            }
            assert!(sorted >= 2, "{query}: README says that it is sorted");
        }
        for query in CHOICES {
            for statement in asked(&marquee, &format!("/v1/movies?{query}")).await.1 {
                let plan = explain(&db, &statement).await;
                assert!(plan.steps.iter().all(|step| step.access != Access::Scan), "{query}: {statement}\n{plan:#?}");
            }
        }
    }
}
