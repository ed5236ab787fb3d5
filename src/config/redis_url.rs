//! Where Redis is: what `REDIS_URL` says.

use std::path::PathBuf;

use url::Url;

/// A parsed `REDIS_URL`: `redis://[user:password@]host[:6379][/database]`, or `rediss://` for TLS, with `ssl-ca` as in
/// `DATABASE_URL`.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    url: Url,
    ca: Option<PathBuf>,
}

/// Why a `REDIS_URL` says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; use redis://HOST:6379, or rediss://USER:PASSWORD@HOST:6379 for TLS")]
pub struct RedisUrlError(String);

impl RedisUrl {
    /// Whole, secrets included, without what is marquee's own.
    pub fn reveal(&self) -> &Url {
        &self.url
    }

    /// The file of the authorities that are trusted instead of the public ones.
    pub fn ca(&self) -> Option<&PathBuf> {
        self.ca.as_ref()
    }
}

impl std::str::FromStr for RedisUrl {
    type Err = RedisUrlError;

    fn from_str(text: &str) -> Result<Self, RedisUrlError> {
        let wrong = |reason: &str| Err(RedisUrlError(reason.to_owned()));
        let Ok(mut url) = Url::parse(text) else {
            return wrong("not a URL");
        };
        let tls = match url.scheme() {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            other => return wrong(&format!("\"{other}\" is no way to Redis")),
        };
        if url.host_str().is_none_or(str::is_empty) {
            return wrong("the host is missing");
        }
        let database = url.path().trim_matches('/');
        if !database.is_empty() && database.parse::<u16>().is_err() {
            return wrong("what follows the host is the number of a database, such as /0");
        }
        let mut ca = None;
        for (name, value) in url.query_pairs() {
            match &*name {
                "ssl-ca" if tls => ca = Some(PathBuf::from(&*value)),
                "ssl-ca" => return wrong("ssl-ca needs rediss://"),
                other => return wrong(&format!("the parameter \"{other}\" is unknown")),
            }
        }
        url.set_query(None);
        if url.fragment().is_some() {
            return wrong("a \"#\" means nothing here");
        }
        Ok(Self { url, ca })
    }
}

/// Without user, password and parameters: fit for a log.
impl std::fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (scheme, host) = (self.url.scheme(), self.url.host_str().unwrap_or_default());
        write!(f, "{scheme}://{host}:{}{}", self.url.port().unwrap_or(6379), self.url.path())
    }
}

impl std::fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_to_redis_is_taken() {
        for (text, shown) in [
            ("redis://localhost", "redis://localhost:6379"),
            ("redis://10.0.0.1:7000/3", "redis://10.0.0.1:7000/3"),
            ("rediss://user:secret@cache.local/", "rediss://cache.local:6379/"),
            ("redis://:secret@[::1]:6379", "redis://[::1]:6379"),
            ("valkey://cache.local", "valkey://cache.local:6379"),
        ] {
            let url: RedisUrl = text.parse().unwrap();
            assert_eq!(format!("{url} {url:?}"), format!("{shown} {shown}"), "and nothing of it is secret");
            assert_eq!(url.ca(), None);
        }
        let url: RedisUrl = "rediss://h?ssl-ca=/etc/ca.pem".parse().unwrap();
        assert_eq!((url.ca(), url.reveal().as_str()), (Some(&"/etc/ca.pem".into()), "rediss://h"));
    }

    #[test]
    fn anything_else_is_refused_with_a_reason() {
        for text in [
            "",
            "localhost:6379",
            "http://h",
            "redis://",
            "redis://h/movies",
            "redis://h/70000",
            "redis://h?ssl-ca=/etc/ca.pem",
            "rediss://h?protocol=resp2",
            "rediss://h#insecure",
        ] {
            let error = text.parse::<RedisUrl>().unwrap_err().to_string();
            assert!(error.contains("use redis://HOST"), "{error}");
        }
    }
}
