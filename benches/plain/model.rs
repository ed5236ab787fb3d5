//! A movie, in the form that marquee has it, so that answers can be compared member by member.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

/// What is answered.
#[derive(Debug, Serialize)]
pub(crate) struct Movie {
    pub(crate) id: i64,
    #[serde(flatten)]
    pub(crate) facts: NewMovie,
    pub(crate) version: i64,
    #[serde(serialize_with = "as_text")]
    pub(crate) created_at: i64,
    #[serde(serialize_with = "as_text")]
    pub(crate) updated_at: i64,
}

/// What is sent to create one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMovie {
    #[serde(default)]
    pub(crate) imdb_id: Option<String>,
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) year: Option<i32>,
    #[serde(default)]
    pub(crate) runtime_minutes: Option<i32>,
    #[serde(default)]
    pub(crate) directors: Vec<String>,
    #[serde(default)]
    pub(crate) genres: Vec<String>,
    #[serde(default)]
    pub(crate) rating: Option<f64>,
    #[serde(default)]
    pub(crate) votes: Option<i32>,
    #[serde(default)]
    pub(crate) popularity: Option<f64>,
}

fn as_text<S: Serializer>(seconds: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Timestamp::from_second(*seconds).unwrap_or_default())
}
