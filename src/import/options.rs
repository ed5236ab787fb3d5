//! What an import is asked to do, and the flags that ask for it.

use std::fs::File;
use std::io::{BufWriter, Write};

use super::error::ImportError;
use super::source::Source;
use super::titles::Wanted;
use crate::config::ImportArgs;

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

impl Options {
    /// What the flags ask for. The file of rejects is made, or emptied, here.
    ///
    /// # Errors
    /// When the file of rejects cannot be made.
    pub fn from_args(args: ImportArgs) -> Result<Self, ImportError> {
        let rejects: Option<Box<dyn Write + Send>> = match args.rejects {
            None => None,
            Some(path) => Some(Box::new(BufWriter::new(File::create(path).map_err(ImportError::Rejects)?))),
        };
        let is_all = args.types.iter().any(|name| name == "all");
        Ok(Options {
            ratings: args.ratings.map(Source::from),
            crew: args.crew.map(Source::from),
            names: args.names.map(Source::from),
            wanted: Wanted { types: if is_all { Vec::new() } else { args.types }, adult: args.adult },
            rejects,
            join_memory: args.join_memory.as_usize(),
            chunk_movies: args.chunk,
            ..Options::of(args.files.into_iter().map(Source::from).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: ImportArgs,
    }

    fn parsed(flags: &[&str]) -> Option<Options> {
        let all = [&["marquee"], flags].concat();
        Cli::try_parse_from(all).ok().map(|cli| Options::from_args(cli.args).unwrap())
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
