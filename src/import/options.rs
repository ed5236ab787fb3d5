//! What an import is asked to do, and the flags that ask for it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use super::error::ImportError;
use super::source::Source;
use super::titles::Wanted;

const MIB: usize = 1024 * 1024;

/// What an import is asked to do.
pub struct Options {
    /// What to read, in this order; each is recognised by its content.
    pub sources: Vec<Source>,
    /// A `title.ratings` by name.
    pub ratings: Option<Source>,
    /// A `title.crew` by name.
    pub crew: Option<Source>,
    /// A `name.basics` by name.
    pub names: Option<Source>,
    /// Which titles of `title.basics` are taken.
    pub wanted: Wanted,
    /// Where rejects are written, one JSON object a line.
    pub rejects: Option<Box<dyn Write + Send>>,
    /// The most bytes that joined files may take in memory.
    pub join_memory: usize,
    /// The most movies in one transaction.
    pub chunk_movies: usize,
    /// About the most bytes in one transaction.
    pub chunk_bytes: usize,
}

impl Options {
    /// `sources` with everything else as it is by default.
    pub fn of(sources: Vec<Source>) -> Self {
        Self {
            sources,
            ratings: None,
            crew: None,
            names: None,
            wanted: Wanted::default(),
            rejects: None,
            join_memory: 1024 * MIB,
            chunk_movies: 2000,
            chunk_bytes: 4 * MIB,
        }
    }
}

/// The flags of `marquee import`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
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
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size)]
    pub join_memory: usize,
    /// The most movies in one transaction
    #[arg(long, value_name = "MOVIES", default_value_t = 2000, value_parser = chunk)]
    pub chunk: usize,
}

impl Args {
    /// The options that they ask for. The file of rejects is made, or emptied, here.
    ///
    /// # Errors
    /// When the file of rejects cannot be made.
    pub fn into_options(self) -> Result<Options, ImportError> {
        let rejects: Option<Box<dyn Write + Send>> = match self.rejects {
            None => None,
            Some(path) => Some(Box::new(BufWriter::new(File::create(path).map_err(ImportError::Rejects)?))),
        };
        let is_all = self.types.iter().any(|name| name == "all");
        Ok(Options {
            ratings: self.ratings.map(Source::from),
            crew: self.crew.map(Source::from),
            names: self.names.map(Source::from),
            wanted: Wanted { types: if is_all { Vec::new() } else { self.types }, adult: self.adult },
            rejects,
            join_memory: self.join_memory,
            chunk_movies: self.chunk,
            ..Options::of(self.files.into_iter().map(Source::from).collect())
        })
    }
}

fn size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "" | "B" => 1,
        "KiB" => 1024,
        "MiB" => MIB,
        "GiB" => 1024 * MIB,
        _ => return Err("must be a number of bytes, or end in KiB, MiB or GiB".to_owned()),
    };
    let number: usize = digits.parse().map_err(|_| "must be a whole number, such as 1GiB".to_owned())?;
    number.checked_mul(unit).ok_or_else(|| "is too large".to_owned())
}

fn chunk(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(movies @ 1..=10_000) => Ok(movies),
        _ => Err("must be between 1 and 10000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(flags: &[&str]) -> Option<Options> {
        let all = [&["marquee"], flags].concat();
        Cli::try_parse_from(all).ok().map(|cli| cli.args.into_options().unwrap())
    }

    #[test]
    fn flags_become_options() {
        let options =
            parsed(&["-", "a.tsv", "--ratings", "r", "--types", "movie,short", "--join-memory", "2MiB"]);
        let options = options.unwrap();
        assert_eq!(options.sources, [Source::Stdin, Source::File("a.tsv".into())]);
        assert_eq!(options.ratings, Some(Source::File("r".into())));
        assert_eq!(options.wanted, Wanted { types: vec!["movie".into(), "short".into()], adult: false });
        assert_eq!(options.join_memory, 2 * MIB);
    }

    #[test]
    fn defaults_are_those_of_the_options() {
        let (flags, none) = (parsed(&["a"]).unwrap(), Options::of(vec![Source::File("a".into())]));
        assert_eq!(
            (flags.wanted, flags.join_memory, flags.chunk_movies),
            (none.wanted, none.join_memory, none.chunk_movies)
        );
        assert!(parsed(&["a", "--types", "all"]).unwrap().wanted.types.is_empty());
        for bad in
            [&[][..], &["a", "--chunk", "0"], &["a", "--join-memory", "1TB"], &["a", "--join-memory", "x"]]
        {
            assert!(parsed(bad).is_none(), "{bad:?}");
        }
    }
}
