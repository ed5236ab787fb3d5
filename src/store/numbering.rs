//! Where the numbers begin of new genres whose slug others have.
//!
//! A hundred thousand genres can share a slug (whatever is written without Latin letters does), so they are not
//! all read to find the first number that nobody has: it is looked for by halves, in some twenty questions,
//! for all slugs of a batch at once.

use std::ops::Range;

/// How often a number is doubled, at most, to find one that is free.
const DOUBLINGS: u32 = 40;

/// The numbers of one slug.
#[derive(Debug)]
pub(super) struct Numbering {
    slug: String,
    needed: u64,
    first: u64,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// Whether these are free; so many before them are.
    Look(Range<u64>, u64),
    /// This one is taken: which of these, far and farther, is not?
    Leap(u64, Vec<u64>),
    /// The first of them is taken and the last is free: where is a free one that follows a taken one?
    Halve(u64, u64),
    /// From the first one on, as many as are needed are free.
    Known,
}

impl Numbering {
    /// For `needed` genres whose slug is `slug`, but for a number.
    pub(super) fn new(slug: &str, needed: u64) -> Self {
        Self { slug: slug.to_owned(), needed, first: 2, step: Step::Look(2..2 + needed, 0) }
    }

    /// The slug, and the number to try first: what was asked for on the way tells as many free ones from there on
    /// as are needed.
    pub(super) fn first(self) -> (String, u64) {
        (self.slug, self.first)
    }

    /// The slugs that it must be known of whether they are taken; none when all is known.
    pub(super) fn asks(&self) -> Vec<String> {
        let numbers = match &self.step {
            Step::Look(numbers, _) => numbers.clone().collect(),
            Step::Leap(_, numbers) => numbers.clone(),
            Step::Halve(taken, free) => vec![taken.midpoint(*free)],
            Step::Known => Vec::new(),
        };
        numbers.into_iter().map(|number| self.numbered(number)).collect()
    }

    /// Goes on, knowing which of those are taken.
    pub(super) fn told(&mut self, is_taken: impl Fn(&str) -> bool) {
        let is_free = |number: &u64| !is_taken(&self.numbered(*number));
        self.step = match &self.step {
            Step::Look(numbers, before) => {
                let free = before + numbers.clone().filter(is_free).count() as u64;
                match self.needed.saturating_sub(free) {
                    0 => Step::Known,
                    _ if free == 0 => leap(numbers.end - 1),
                    missing => Step::Look(numbers.end..numbers.end + missing, free),
                }
            }
            Step::Leap(taken, numbers) => match numbers.iter().position(is_free) {
                Some(at) => {
                    let below = at.checked_sub(1).and_then(|at| numbers.get(at)).unwrap_or(taken);
                    self.halve(*below, numbers.get(at).copied().unwrap_or(u64::MAX))
                }
                None => leap(*taken),
            },
            Step::Halve(taken, free) => {
                let middle = taken.midpoint(*free);
                if is_free(&middle) { self.halve(*taken, middle) } else { self.halve(middle, *free) }
            }
            Step::Known => Step::Known,
        };
        if let Step::Look(numbers, 0) = &self.step {
            self.first = numbers.start;
        }
    }

    fn halve(&self, taken: u64, free: u64) -> Step {
        if taken + 1 < free { Step::Halve(taken, free) } else { Step::Look(free..free + self.needed, 0) }
    }

    fn numbered(&self, number: u64) -> String {
        format!("{}-{number}", self.slug)
    }
}

/// Looks farther and farther beyond a number that is taken; where exactly is chance, so that nobody can have taken
/// just these.
fn leap(taken: u64) -> Step {
    let far = (0..DOUBLINGS).map(|n| {
        let to = taken.saturating_mul(2 << n).min(u64::MAX / 2);
        rand::random_range(taken.saturating_mul(1 << n).min(to)..=to).max(taken + 1)
    });
    Step::Leap(taken, far.collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The first number, how many rounds of questions it took, and how many slugs were asked for.
    fn numbered(needed: u64, taken: impl Fn(u64) -> bool) -> (u64, usize, BTreeSet<u64>) {
        let number = |slug: &str| slug.strip_prefix("genre-").unwrap().parse::<u64>().unwrap();
        let mut numbering = Numbering::new("genre", needed);
        let (mut rounds, mut asked) = (0, BTreeSet::new());
        loop {
            let asks = numbering.asks();
            if asks.is_empty() {
                return (numbering.first().1, rounds, asked);
            }
            rounds += 1;
            asked.extend(asks.iter().map(|slug| number(slug)));
            numbering.told(|slug| taken(number(slug)));
        }
    }

    #[test]
    fn the_first_free_number_is_found_by_few_questions() {
        assert_eq!(numbered(3, |_| false), (2, 1, BTreeSet::from([2, 3, 4])));
        for last in [2, 3, 7, 64, 1000, 100_000, 320_000, 5_000_000] {
            for needed in [1, 32, 1000] {
                let (first, rounds, asked) = numbered(needed, |number| number <= last);
                if first > 2 {
                    assert_eq!(first, last + 1, "{needed} beyond {last}");
                }
                assert!(rounds < 40 && asked.len() < 100 + 3 * needed as usize, "{rounds} {}", asked.len());
                let known_free = asked.iter().filter(|number| **number >= first && **number > last).count();
                assert!(known_free as u64 >= needed, "{needed} beyond {last}: {known_free}");
            }
        }
    }

    /// Every second one, every fourth, and what powers of two take: whatever others took, enough that are free and in a
    /// row known are told.
    #[test]
    fn gaps_are_used() {
        for taken in [
            (|n| n % 2 == 0) as fn(u64) -> bool,
            |n| n % 4 != 3,
            |n| n.is_power_of_two() || n < 500,
            |n| n == 2 || (5..50).contains(&n),
        ] {
            for needed in [1, 2, 10, 100] {
                let (first, rounds, asked) = numbered(needed, taken);
                let mut free = 0;
                let mut number = first;
                while free < needed {
                    assert!(asked.contains(&number), "{number} is not known, of {needed} from {first} on");
                    free += u64::from(!taken(number));
                    number += 1;
                }
                assert!(rounds < 60, "{rounds}");
            }
        }
    }
}
