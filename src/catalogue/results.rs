//! What the use cases give: answers to reads and to writes, and how they were come by.

use std::time::Duration;

use bytes::Bytes;

use super::join::Pieces;
use super::plan::Written;
use super::spool::SpooledBody;
use crate::domain::Genre;
use crate::store::Head;

/// How an answer was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// From the cache, or not.
    pub from: Source,
    /// For how long the database has been away, when it is.
    pub away: Option<Duration>,
}

/// Whether the cache had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Everything was cached.
    Cache,
    /// Loaded for this request, at this cost.
    Load(LoadCost),
    /// Loaded for another request, which this one waited for.
    Collapsed,
}

impl Source {
    /// Of a body that is made of parts that were come by in two ways.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Load(a), Self::Load(b)) => Self::Load(LoadCost {
                db: a.db + b.db,
                redis: a.redis + b.redis,
                encode: a.encode + b.encode,
                segments: a.segments + b.segments,
            }),
            (load @ Self::Load(_), _) | (_, load @ Self::Load(_)) => load,
            (Self::Collapsed, _) | (_, Self::Collapsed) => Self::Collapsed,
            (Self::Cache, Self::Cache) => Self::Cache,
        }
    }
}

/// What a load cost: the sums over its segments, which may have been loaded at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadCost {
    /// Time in the database.
    pub db: Duration,
    /// Time in Redis.
    pub redis: Duration,
    /// Time encoding.
    pub encode: Duration,
    /// Segments loaded.
    pub segments: u32,
}

/// The whole collection at one revision, ready to be sent.
#[derive(Debug)]
pub struct Collection {
    /// The revision and stamp that it is.
    pub head: Head,
    /// How many movies it has.
    pub movies: u64,
    /// Its bytes.
    pub body: Body,
    /// How it was come by.
    pub served: Served,
}

/// The bytes of a collection.
#[derive(Debug)]
pub enum Body {
    /// All in one.
    Whole(Bytes),
    /// Piece by piece; every piece is held in memory already.
    Pieces(Pieces),
    /// From a temporary file: larger than the cache may be.
    File(SpooledBody),
}

/// One movie as it is served.
#[derive(Debug, Clone)]
pub struct OneMovie {
    /// The state that the answer reflects.
    pub head: Head,
    /// Its JSON.
    pub json: Bytes,
    /// How it was come by.
    pub served: Served,
}

/// All genres, as a JSON array, by name.
#[derive(Debug, Clone)]
pub struct Genres {
    /// The revision and stamp that they are.
    pub head: Head,
    /// How many there are.
    pub count: u64,
    /// `[{"name","slug","movies"},…]`.
    pub json: Bytes,
    /// How they were come by.
    pub served: Served,
}

/// Movies that were written.
#[derive(Debug, Clone)]
pub struct Wrote {
    /// The state that the write made; where it changed nothing, one in which they are as it wanted them.
    pub head: Head,
    /// The movies, in the order that they were sent.
    pub movies: Vec<Written>,
    /// Whether any of them is new.
    pub created: bool,
}

/// Movies that were deleted.
#[derive(Debug, Clone)]
pub struct DeletedMany {
    /// The state in which they are gone.
    pub head: Head,
    /// Those that were there.
    pub deleted: Vec<u64>,
    /// Those that were not.
    pub missing: Vec<u64>,
}

/// A genre that was created.
#[derive(Debug, Clone)]
pub struct CreatedGenre {
    /// The state that it was created in.
    pub head: Head,
    /// The genre.
    pub genre: Genre,
}

/// What the parts that the catalogue depends on are doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The newest state that this replica knows; `None` while it is cold.
    pub head: Option<Head>,
    /// For how long the database has been away, when it is.
    pub away: Option<Duration>,
    /// Writes that wait.
    pub waiting_writes: usize,
    /// What encoded segments weigh in memory, in bytes.
    pub cached_bytes: u64,
    /// How many encoded segments there are in memory.
    pub cached_segments: u64,
    /// Connections to the database that are open.
    pub connections: usize,
    /// How long ago other replicas' writes were last looked for with success.
    pub lag: Duration,
    /// By how many revisions the database was seen to be ahead then.
    pub behind: u64,
    /// How often they are looked for.
    pub poll: Duration,
    /// Whether Redis answers, where there is one.
    pub redis: Option<bool>,
}
