//! The flags of `marquee import`.

use std::path::PathBuf;

use super::ByteSize;

/// The flags of `marquee import`.
#[derive(Debug, Clone, clap::Args)]
pub struct ImportArgs {
    /// What to read: IMDb's TSV, JSON arrays or NDJSON, gzipped or plain, told apart by content; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// IMDb's title.ratings, to be joined to title.basics
    #[arg(long, value_name = "FILE")]
    pub ratings: Option<PathBuf>,
    /// IMDb's title.crew, to be joined to title.basics together with --names
    #[arg(long, value_name = "FILE")]
    pub crew: Option<PathBuf>,
    /// IMDb's name.basics, which names the directors of title.crew
    #[arg(long, value_name = "FILE")]
    pub names: Option<PathBuf>,
    /// The titleTypes of title.basics that are taken, with commas between; "all" takes every type
    #[arg(long, value_name = "TYPES", value_delimiter = ',', default_value = "movie")]
    pub types: Vec<String>,
    /// Take titles that IMDb marks as isAdult, too
    #[arg(long)]
    pub adult: bool,
    /// Write each row that could not be read to this file, with its place and reason, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// The most memory that joined files may take, such as 512MiB or 2GiB
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub join_memory: ByteSize,
    /// Write what the import did to this file when it ends, as metrics for node_exporter's textfile collector (a
    /// name in its folder that ends in .prom)
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
    /// The most movies in one transaction
    #[arg(long, value_name = "MOVIES", default_value_t = 2000, value_parser = chunk)]
    pub chunk: usize,
}

fn chunk(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(movies @ 1..=10_000) => Ok(movies),
        _ => Err("must be between 1 and 10000".to_owned()),
    }
}
