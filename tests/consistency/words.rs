//! What clients ask and are told, whoever they ask: marquee by HTTP, or a twin in memory.

use bytes::Bytes;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ask {
    /// The whole collection.
    Whole(How),
    One(u64),
    /// Movies of these titles, all or none.
    Create(Vec<String>),
    Rename(u64, String),
    Delete(Vec<u64>),
}

/// In which way the whole collection is asked for: its bytes are the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct How {
    pub(crate) gzip: bool,
    /// Only if it is another than the last one that this client saw.
    pub(crate) conditional: bool,
}

impl How {
    pub(crate) const PLAIN: Self = Self { gzip: false, conditional: false };
}

/// What was told, and the revision that it is said to be of.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) revision: u64,
    pub(crate) content: Content,
}

/// Movies as the bytes that were sent.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Whole(Bytes),
    /// `None`: there is no such movie.
    One(u64, Option<Bytes>),
    Created(Vec<Bytes>),
    Renamed(u64, Option<Bytes>),
    Deleted {
        deleted: Vec<u64>,
        missing: Vec<u64>,
    },
}

impl Content {
    /// Whether it makes a revision.
    pub(crate) fn is_change(&self) -> bool {
        match self {
            Self::Whole(_) | Self::One(..) | Self::Renamed(_, None) => false,
            Self::Created(_) | Self::Renamed(_, Some(_)) => true,
            Self::Deleted { deleted, .. } => !deleted.is_empty(),
        }
    }
}

/// One client's way to a catalogue.
pub(crate) trait Service: Send {
    /// Asks, and waits for what it is told; of `at_least` this revision, where one is named.
    fn ask(&mut self, ask: &Ask, at_least: Option<u64>) -> Told;
}

/// What is read of a movie where its bytes are not enough.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub(crate) struct Movie {
    pub(crate) id: u64,
    pub(crate) title: String,
    pub(crate) version: u64,
}

impl Movie {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap()
    }
}

/// The movies of a collection, each as its bytes.
pub(crate) fn split(whole: &Bytes) -> Vec<Bytes> {
    let movies: Vec<&serde_json::value::RawValue> = serde_json::from_slice(whole).unwrap();
    movies.into_iter().map(|movie| whole.slice_ref(movie.get().as_bytes())).collect()
}

/// A collection, of movies in the order of their ids.
pub(crate) fn join<'a>(movies: impl Iterator<Item = &'a Bytes>) -> Vec<u8> {
    let mut whole = vec![b'['];
    for movie in movies {
        if whole.len() > 1 {
            whole.push(b',');
        }
        whole.extend_from_slice(movie);
    }
    whole.push(b']');
    whole
}
