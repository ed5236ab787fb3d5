//! `Prefer` (RFC 7240): what a client would like, if we know it.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Which preferences were followed.
pub(super) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// What becomes of a movie that is created while one of its `imdb_id` is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resolution {
    /// 409.
    Refuse,
    /// It takes the other's place.
    Merge,
}

impl Resolution {
    /// What the client prefers; the first mention counts, and what is not known is passed over.
    pub(super) fn preferred(headers: &HeaderMap) -> Self {
        let values = headers.get_all(PREFER).filter_map(|value| value.to_str().ok());
        let mut preferences = values.flat_map(|value| split(value, ','));
        match preferences.find_map(resolution) {
            Some("merge") => Self::Merge,
            _ => Self::Refuse,
        }
    }

    /// Its name, as part of what a request asks.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Merge => "merge",
        }
    }

    /// What the client is told of it.
    pub(super) fn applied(self) -> Option<HeaderValue> {
        (self == Self::Merge).then(|| HeaderValue::from_static("resolution=merge"))
    }
}

/// The value of a preference that is a resolution: empty where it has none. Its parameters mean nothing to us.
fn resolution(preference: &str) -> Option<&str> {
    let preference = split(preference, ';').next()?;
    let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
    let value = value.trim();
    let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    name.trim().eq_ignore_ascii_case("resolution").then(|| unquoted.unwrap_or(value))
}

/// The parts of a text between the `separator`s that stand outside of quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        let was_escaped = std::mem::take(&mut escaped);
        match c {
            _ if was_escaped => {}
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        c == separator && !quoted
    })
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preference_is_found_among_others() {
        for (values, expected) in [
            (&[][..], Resolution::Refuse),
            (&["resolution=merge"], Resolution::Merge),
            (&["return=minimal, Resolution = \"merge\"; x=y"], Resolution::Merge),
            (&["wait=10", "resolution=merge"], Resolution::Merge),
            (&["resolution=other", "resolution=merge"], Resolution::Refuse),
            (&["resolution", "merge", ",;=,"], Resolution::Refuse),
            (&["resolution, resolution=merge"], Resolution::Refuse),
            (&["resolution=\"merge"], Resolution::Refuse),
            (&["a=\"b, resolution=merge\", c"], Resolution::Refuse),
            (&["a=\"b\\\", resolution=merge\""], Resolution::Refuse),
            (&["a=\"b\", resolution=merge"], Resolution::Merge),
            (&["respond-async; resolution=merge"], Resolution::Refuse),
            (&["a; b=\";,\", resolution=merge"], Resolution::Merge),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(PREFER, HeaderValue::from_static(value));
            }
            assert_eq!(Resolution::preferred(&headers), expected, "{values:?}");
        }
    }
}
