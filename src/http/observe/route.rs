//! Which route and method a request is counted under: few labels, whatever clients send.

use actix_web::http::Method;

macro_rules! labels {
    ($(#[$attribute:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $label:literal,)* }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::http) enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// All of them, each at the place of its number.
            pub(super) const LABELS: &[&str] = &[$($label),*];
        }
    };
}

labels! {
    /// A path with its variables, as `http.rs` has it.
    Route {
        Movies = "/v1/movies",
        Movie = "/v1/movies/{id}",
        Genres = "/v1/genres",
        Livez = "/livez",
        Readyz = "/readyz",
        Metrics = "/metrics",
        Problem = "/problems/{slug}",
        OpenApi = "/openapi.json",
        Docs = "/docs",
        Root = "/",
        /// Every path that there is nothing at.
        Other = "other",
    }
}

labels! {
    /// A method that some route takes.
    Verb {
        Get = "GET",
        Head = "HEAD",
        Post = "POST",
        Put = "PUT",
        Patch = "PATCH",
        Delete = "DELETE",
        Options = "OPTIONS",
        /// Every other word.
        Other = "OTHER",
    }
}

impl Route {
    /// The route that `path` leads to. The commonest comes first; a spelling with needless percent-encoding
    /// is nobody's.
    pub(super) fn of(path: &str) -> Self {
        let Some(below) = path.strip_prefix("/v1/movies") else {
            return Self::of_another(path);
        };
        match below.strip_prefix('/') {
            None if below.is_empty() => Self::Movies,
            Some(id) if is_one_segment(id) => Self::Movie,
            _ => Self::Other,
        }
    }

    fn of_another(path: &str) -> Self {
        match path {
            "/v1/genres" => Self::Genres,
            "/livez" => Self::Livez,
            "/readyz" => Self::Readyz,
            "/metrics" => Self::Metrics,
            "/openapi.json" => Self::OpenApi,
            "/docs" => Self::Docs,
            "/" => Self::Root,
            _ if path.starts_with("/docs/") => Self::Docs,
            _ if path.strip_prefix("/problems/").is_some_and(is_one_segment) => Self::Problem,
            _ => Self::Other,
        }
    }
}

fn is_one_segment(text: &str) -> bool {
    !text.is_empty() && !text.contains('/')
}

impl Verb {
    pub(super) fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            Method::OPTIONS => Self::Options,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(path: &str) -> &'static str {
        Route::LABELS[Route::of(path) as usize]
    }

    #[test]
    fn a_path_is_counted_under_its_route() {
        for (path, route) in [
            ("/v1/movies", "/v1/movies"),
            ("/v1/movies/1", "/v1/movies/{id}"),
            ("/v1/movies/abc", "/v1/movies/{id}"),
            ("/v1/genres", "/v1/genres"),
            ("/problems/not-found", "/problems/{slug}"),
            ("/docs/index.html", "/docs"),
            ("/", "/"),
            ("/v1/moviesx", "other"),
            ("/v1/movies/", "other"),
            ("/v1/movies/1/2", "other"),
            ("/problems/", "other"),
            ("/wp-login.php", "other"),
        ] {
            assert_eq!(label(path), route, "{path}");
        }
    }

    /// A route that is added must not be counted as unknown.
    #[test]
    fn every_route_has_a_label() {
        let source = include_str!("../../http.rs");
        let mut found = 0;
        for line in source.lines().map(str::trim) {
            let Some(at) = line.find("resource(\"/").map(|at| at + "resource(\"".len()) else {
                continue;
            };
            let path = line[at..].split('"').next().unwrap();
            let asked = path.replace("{id}", "1").replace("{slug}", "a");
            let expected = if path.starts_with("/docs") { "/docs" } else { path };
            assert_eq!(label(&asked), expected, "give it a label here");
            found += 1;
        }
        assert!(found >= 7, "the routes were not found");
    }

    #[test]
    fn methods_that_nothing_takes_are_one() {
        assert_eq!(Verb::of(&Method::PATCH), Verb::Patch);
        for odd in ["BREW", "get", "TRACE"] {
            assert_eq!(Verb::LABELS[Verb::of(&odd.parse().unwrap()) as usize], "OTHER");
        }
    }
}
