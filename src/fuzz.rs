//! Fuzzing: what a target is, and what targets are made of.
//!
//! A target is a test beside what it tests, in a module `fuzz`, and takes any bytes. As a test it sees its corpus
//! (`src/__fuzz__/NAME/corpus`), what is made of that by chance, and bytes that are chance alone: as many as are said,
//! so that it takes a second or few wherever it runs. `tests/fuzz.sh` has libFuzzer make the inputs, for as long as is
//! wanted, of the same tests (docs/TESTING.md).

use std::fs;
use std::path::Path;

use jiff::Timestamp;

use crate::domain::{
    DirectorName, GenreName, ImdbId, Movie, NewMovie, Popularity, Rating, RuntimeMinutes, Title, Votes, Year,
};

/// How many inputs a test has that are chance alone. Few get far: what finds its way in is made of the corpus.
const BY_CHANCE: usize = 500;
/// The longest input that is made.
const LONGEST: usize = 4096;

/// Has `check` look at inputs, `changed` of them made of the corpus of `name`, which is the test's own name.
pub(crate) fn target(name: &str, changed: usize, check: fn(&[u8])) {
    // Under libFuzzer, that makes them.
    if option_env!("BOLERO_FUZZER").is_none() {
        let corpus = corpus(name);
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        for _ in 0..changed {
            let input = dice.changed(&corpus);
            let _told = Told(name, &input);
            check(&input);
        }
    }
    bolero::check!(name = name).with_iterations(BY_CHANCE).with_max_len(LONGEST).for_each(check);
}

/// The inputs that are kept, in the order of their names.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/__fuzz__").join(name).join("corpus");
    let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Tells the input that a check failed with.
struct Told<'a>(&'a str, &'a [u8]);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} failed with b\"{}\"", self.0, self.1.escape_ascii());
        }
    }
}

/// Chance that repeats itself, so that a test that passed passes again.
struct Dice(u64);

impl Dice {
    /// A number below `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end.max(1)
    }

    /// A part of `bytes`, mostly a short one.
    fn part<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let from = self.below(bytes.len() + 1);
        let most = if self.below(4) == 0 { bytes.len() } else { 12 };
        let rest = &bytes[from..];
        &rest[..self.below(rest.len().min(most) + 1)]
    }

    /// One of `corpus`, in a few places changed: a byte, a part left out, or one of another input put in.
    fn changed(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            let (at, change) = (self.below(input.len() + 1), self.below(5));
            match change {
                0 if at < input.len() => input[at] ^= 1 << self.below(8),
                1 if at < input.len() => input[at] = self.below(256) as u8,
                2 => {
                    let gone = self.part(&input[at..]).len();
                    input.drain(at..at + gone);
                }
                _ => {
                    let other = self.below(corpus.len());
                    let part = self.part(&corpus[other]).to_vec();
                    input.splice(at..at, part);
                }
            }
        }
        input.truncate(LONGEST);
        input
    }
}

/// Bytes as what they may stand for: any bytes are some values. Where they end, all is 0 and empty.
pub(crate) struct Values<'a>(pub(crate) &'a [u8]);

/// What a byte beyond ASCII stands for in a text: what is spelt otherwise in JSON, takes more than a byte or two, or
/// becomes longer when it is folded.
const SIGNS: [char; 16] = [
    '"',
    '\\',
    '\u{e9}',
    '\u{df}',
    '\u{130}',
    '\u{fb03}',
    '\u{301}',
    '\u{5e9}',
    '\u{202e}',
    '\u{2028}',
    '\u{feff}',
    '\u{fffd}',
    '\u{4e2d}',
    '\u{1f3ac}',
    '\u{200d}',
    '\u{10ffff}',
];

impl Values<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *byte
    }

    pub(crate) fn number(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// A number of a measure within `bounds`, in steps of `step`; the half of them is none.
    fn within<N, E>(
        &mut self,
        (least, greatest): (f64, f64),
        step: f64,
        parse: fn(f64) -> Result<N, E>,
    ) -> Option<N> {
        let number = f64::from(self.number());
        let steps = ((greatest - least) / step).floor() + 1.0;
        parse(least + (number % (2.0 * steps)) * step).ok()
    }

    fn text(&mut self) -> String {
        let length = self.byte() % 24;
        let sign = |byte: u8| if byte < 0x80 { byte.into() } else { SIGNS[usize::from(byte % 16)] };
        (0..length).map(|_| sign(self.byte())).collect()
    }

    fn names<N>(&mut self, parse: fn(&str) -> Option<N>, key: fn(&N) -> String) -> Vec<N> {
        let mut names: Vec<N> = (0..self.byte() % 4).filter_map(|_| parse(&self.text())).collect();
        names.sort_by_key(key);
        names.dedup_by_key(|name| key(name));
        names
    }

    pub(crate) fn movie(&mut self, id: u64) -> Movie {
        let title = Title::parse(&self.text()).unwrap_or_else(|_| Title::parse("-").unwrap());
        let now = Timestamp::from_second(self.number().into()).unwrap();
        let new = NewMovie {
            imdb_id: ImdbId::parse(&format!("tt{:07}", self.number()))
                .ok()
                .filter(|_| self.byte().is_multiple_of(2)),
            title,
            year: self.within(Year::BOUNDS, 1.0, Year::parse),
            runtime_minutes: self.within(RuntimeMinutes::BOUNDS, 1.0, RuntimeMinutes::parse),
            directors: self.names(|name| DirectorName::parse(name).ok(), DirectorName::key),
            genres: self.names(|name| GenreName::parse(name).ok(), GenreName::key),
            rating: self.within(Rating::BOUNDS, 0.1, Rating::parse),
            votes: self.within(Votes::BOUNDS, 1.0, Votes::parse),
            popularity: self.within(Popularity::BOUNDS, 0.001, Popularity::parse),
        };
        Movie { version: u64::from(self.number()) << (self.byte() % 21), ..new.first(id, now) }
    }
}
