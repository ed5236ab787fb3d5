//! Where the database is: what `DATABASE_URL` says.

use std::path::PathBuf;

use url::Url;

/// A parsed `DATABASE_URL`.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// `mysql://user:password@host:3306/database`, with `ssl-mode` and `ssl-ca` as MySQL's own clients spell them.
    Mysql(Url),
    /// `sqlite://marquee.db`, a path relative to the working directory, or `sqlite:///var/lib/marquee.db`.
    Sqlite(PathBuf),
}

/// Why a `DATABASE_URL` says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; use sqlite://FILE or mysql://USER:PASSWORD@HOST:3306/DATABASE")]
pub struct LocationError(String);

impl std::str::FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let wrong = |reason: &str| Err(LocationError(reason.to_owned()));
        if let Some(path) = text.strip_prefix("sqlite://") {
            return match path {
                "" => wrong("the path of the SQLite file is missing"),
                ":memory:" => {
                    wrong("SQLite in memory is not supported, since a pool of connections could not share it")
                }
                path if path.contains('?') => wrong("a SQLite URL takes no parameters"),
                path => Ok(Self::Sqlite(path.into())),
            };
        }
        let Ok(url) = Url::parse(text) else {
            return wrong("not a URL");
        };
        match url.scheme() {
            "mysql" | "mariadb" => {}
            other => return wrong(&format!("\"{other}\" databases are not supported")),
        }
        if url.host_str().is_none_or(str::is_empty) {
            return wrong("the host is missing");
        }
        if url.path().trim_matches('/').is_empty() {
            return wrong("the name of the database is missing");
        }
        Ok(Self::Mysql(url))
    }
}

/// Without user, password and parameters: fit for a log.
impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mysql(url) => {
                let host = url.host_str().unwrap_or_default();
                write!(f, "mysql://{host}:{}{}", url.port().unwrap_or(3306), url.path())
            }
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
        }
    }
}

impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_told_apart() {
        assert_eq!("sqlite://marquee.db".parse(), Ok(Location::Sqlite("marquee.db".into())));
        assert_eq!("sqlite:///var/lib/m.db".parse(), Ok(Location::Sqlite("/var/lib/m.db".into())));
        assert!(matches!("mysql://u:p@h/db".parse(), Ok(Location::Mysql(_))));
    }

    #[test]
    fn passwords_are_never_shown() {
        let location: Location = "mysql://user:secret@db.local/movies?ssl-mode=required".parse().unwrap();
        assert_eq!(format!("{location} {location:?}").matches("secret").count(), 0);
        assert_eq!(location.to_string(), "mysql://db.local:3306/movies");
    }

    #[test]
    fn anything_else_is_refused_with_a_reason() {
        for text in [
            "",
            "movies.db",
            "postgres://u@h/db",
            "sqlite://",
            "sqlite://:memory:",
            "mysql:///db",
            "mysql://h",
        ] {
            let error = text.parse::<Location>().unwrap_err().to_string();
            assert!(error.contains("use sqlite://FILE"), "{error}");
        }
    }
}
