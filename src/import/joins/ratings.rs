//! `title.ratings`: 16 bytes a row.

use super::{Budget, Joined, bytes_of, push, rows};
use crate::domain::{Rating, Votes};
use crate::import::columns::{digits, present};
use crate::import::error::ImportError;
use crate::import::ids::Key;
use crate::import::rejects::Rejects;

const WHAT: &str = "title.ratings";

/// Ratings and votes by title.
pub(in crate::import) struct Ratings {
    /// By key; of a title that came twice, the later row stands behind.
    rows: Vec<(Key, Packed)>,
}

/// Tenths of a rating, or 255 for none, beside the votes, or 2^32-1 for none.
#[derive(Clone, Copy)]
struct Packed {
    votes: u32,
    tenths: u8,
}

const NO_TENTHS: u8 = u8::MAX;
const NO_VOTES: u32 = u32::MAX;

impl Ratings {
    /// Reads the file.
    pub(in crate::import) fn read(
        file: Joined,
        budget: &mut Budget,
        rejects: &mut Rejects,
    ) -> Result<(Self, u64), ImportError> {
        let mut ratings: Vec<(Key, Packed)> = Vec::new();
        let read =
            rows(file, ["tconst", "averageRating", "numVotes"], rejects, |[tconst, rating, votes]| {
                let Some(key) = Key::parse("tt", tconst) else {
                    return Ok(Some("tconst must be \"tt\" followed by 7 to 10 digits".to_owned()));
                };
                match packed(rating, votes) {
                    Ok(packed) => push(&mut ratings, (key, packed)),
                    Err(reason) => return Ok(Some(reason)),
                }
                budget.check(bytes_of(&ratings), WHAT)?;
                Ok(None)
            })?;
        // Stable, so that of two rows the later one stays behind the earlier one; mostly sorted already.
        ratings.sort_by_key(|(key, _)| *key);
        budget.charge(bytes_of(&ratings), WHAT)?;
        Ok((Self { rows: ratings }, read))
    }

    /// What is known of a title.
    pub(in crate::import) fn get(&self, key: Key) -> (Option<Rating>, Option<Votes>) {
        let end = self.rows.partition_point(|(row, _)| *row <= key);
        match end.checked_sub(1).and_then(|last| self.rows.get(last)) {
            Some((row, packed)) if *row == key => packed.unpacked(),
            _ => (None, None),
        }
    }
}

impl Packed {
    fn unpacked(self) -> (Option<Rating>, Option<Votes>) {
        // Dividing by ten gives the very number that parsing "8.3" gives: both are rounded correctly.
        let rating = (self.tenths != NO_TENTHS).then(|| f64::from(self.tenths) / 10.0);
        let votes = (self.votes != NO_VOTES).then(|| f64::from(self.votes));
        (rating.and_then(|r| Rating::parse(r).ok()), votes.and_then(|v| Votes::parse(v).ok()))
    }
}

fn packed(rating: &str, votes: &str) -> Result<Packed, String> {
    let tenths = match present(rating) {
        None => NO_TENTHS,
        Some(rating) => tenths(rating)?,
    };
    let votes = match present(votes) {
        None => NO_VOTES,
        Some(votes) => {
            let count = digits("numVotes", votes)?;
            let count = u32::try_from(count).ok().filter(|v| i32::try_from(*v).is_ok());
            count.ok_or("numVotes must be between 0 and 2147483647")?
        }
    };
    Ok(Packed { votes, tenths })
}

/// `8`, `8.3`: IMDb writes one decimal, which is kept exactly.
fn tenths(rating: &str) -> Result<u8, String> {
    let (whole, decimal) = rating.split_once('.').unwrap_or((rating, "0"));
    if decimal.len() != 1 || whole.len() > 2 {
        return Err("averageRating must be between 0 and 10 with at most one decimal".to_owned());
    }
    let tenths =
        digits("averageRating's whole part", whole)? * 10 + digits("averageRating's decimal", decimal)?;
    match u8::try_from(tenths) {
        Ok(tenths) if tenths <= 100 => Ok(tenths),
        _ => Err("averageRating must be between 0 and 10".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tenth_is_exact() {
        for whole in 0..=10 {
            for decimal in 0..=9 {
                let text = format!("{whole}.{decimal}");
                match packed(&text, "7") {
                    Ok(packed) => {
                        let exact: f64 = text.parse().unwrap();
                        assert_eq!(packed.unpacked().0.unwrap().get().to_bits(), exact.to_bits());
                    }
                    Err(_) => assert!(whole == 10 && decimal > 0, "{text}"),
                }
            }
        }
        assert_eq!(packed("8", r"\N").unwrap().unpacked(), (Rating::parse(8.0).ok(), None));
        assert_eq!(
            packed(r"\N", "2147483647").unwrap().unpacked(),
            (None, Votes::parse(2_147_483_647.0).ok())
        );
    }

    #[test]
    fn what_is_no_rating_is_refused() {
        for rating in ["", "8.25", "-1", "11", "8,3", ".5", "8.", "1e1", "NaN", "100.0"] {
            assert!(packed(rating, "1").is_err(), "{rating}");
        }
        for votes in ["2147483648", "-1", "", "1.0"] {
            assert!(packed("8.0", votes).is_err(), "{votes}");
        }
    }

    #[test]
    fn a_row_is_sixteen_bytes() {
        assert_eq!(size_of::<(Key, Packed)>(), 16);
    }
}
