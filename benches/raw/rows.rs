//! The rows, and how they are cut into transactions and statements.

use std::collections::HashMap;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

/// A table that an import fills.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    columns: &'static str,
    /// Which column says whose it is; none where it is of all movies.
    movie: Option<usize>,
}

/// In the order in which references allow it.
pub(crate) const TABLES: [Table; 7] = [
    Table { name: "genres", columns: "id, name, name_key, slug, movies", movie: None },
    Table { name: "directors", columns: "id, name, name_key", movie: None },
    Table {
        name: "movies",
        columns: "id, imdb_id, title, title_key, year, runtime_minutes, rating, votes, popularity, version, \
                  created_at, updated_at",
        movie: Some(0),
    },
    Table {
        name: "movie_keys",
        columns: "movie_id, title_up, title_down, year_up, year_down, runtime_minutes_up, runtime_minutes_down, \
                  rating_up, rating_down, votes_up, votes_down, popularity_up, popularity_down",
        movie: Some(0),
    },
    Table { name: "movie_words", columns: "word, movie_id", movie: Some(1) },
    Table { name: "movie_genres", columns: "movie_id, position, genre_id", movie: Some(0) },
    Table { name: "movie_directors", columns: "movie_id, position, director_id", movie: Some(0) },
];

/// Rows of one statement: as many as an import puts into one.
const ROWS: usize = 1000;

impl Table {
    fn width(&self) -> usize {
        self.columns.split(',').count()
    }

    /// An INSERT of so many rows.
    fn insert(&self, rows: usize) -> String {
        let row = format!("({})", vec!["?"; self.width()].join(", "));
        format!("INSERT INTO {} ({}) VALUES {}", self.name, self.columns, vec![row; rows].join(", "))
    }

    pub(crate) fn count(&self) -> String {
        format!("SELECT COUNT(*) FROM {}", self.name)
    }
}

/// One statement, its values row by row.
pub(crate) struct Insert {
    /// Which of [`Work::statements`].
    pub(crate) statement: usize,
    pub(crate) values: Vec<Value>,
}

/// All that is to be done.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) statements: Vec<String>,
    pub(crate) transactions: Vec<Vec<Insert>>,
}

impl Work {
    /// The rows of a SQLite store, `movies` of them in each transaction.
    pub(crate) fn read(file: &str, movies: i64) -> Self {
        let conn = open(file);
        let mut work = Self::default();
        let mut known = HashMap::new();
        let last: i64 = conn.query_row("SELECT MAX(id) FROM movies", [], |row| row.get(0)).unwrap();
        for first in (1..=last).step_by(usize::try_from(movies).unwrap()) {
            let mut inserts = Vec::new();
            for table in &TABLES {
                if table.movie.is_none() && first > 1 {
                    continue;
                }
                let rows = table.rows(&conn, first, movies);
                for rows in rows.chunks(ROWS * table.width()) {
                    let sql = table.insert(rows.len() / table.width());
                    let statement = *known.entry(sql.clone()).or_insert_with(|| {
                        work.statements.push(sql);
                        work.statements.len() - 1
                    });
                    inserts.push(Insert { statement, values: rows.to_vec() });
                }
            }
            work.transactions.push(inserts);
        }
        work
    }
}

impl Table {
    /// In the order of the primary key, which is the quickest to write.
    fn rows(&self, conn: &Connection, first: i64, movies: i64) -> Vec<Value> {
        let Self { name, columns, .. } = self;
        let of = self.movie.and_then(|column| columns.split(", ").nth(column));
        let of =
            of.map_or(String::new(), |id| format!("WHERE {id} >= {first} AND {id} < {}", first + movies));
        let mut select = conn.prepare(&format!("SELECT {columns} FROM {name} {of} ORDER BY 1, 2")).unwrap();
        let mut rows = select.query([]).unwrap();
        let mut values = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            values.extend((0..self.width()).map(|column| row.get_unwrap::<_, Value>(column)));
        }
        values
    }
}

fn open(file: &str) -> Connection {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// How many rows each table of a SQLite store has, as JSON.
pub(crate) fn counts(file: &str) -> String {
    let conn = open(file);
    crate::told(TABLES.iter().map(|table| conn.query_row(&table.count(), [], |row| row.get(0)).unwrap()))
}
