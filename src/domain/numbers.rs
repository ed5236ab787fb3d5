//! Numbers with bounds.

use serde::Serialize;

use super::Invalid;

macro_rules! integer_type {
    ($(#[$doc:meta])* $name:ident, $min:literal ..= $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(i32);

        impl $name {
            /// The least and the greatest that it may be.
            pub const BOUNDS: (f64, f64) = ($min as f64, $max as f64);

            /// Checks `value`.
            ///
            /// # Errors
            /// When it has a fraction or is out of bounds.
            pub fn parse(value: f64) -> Result<Self, Invalid> {
                if value.fract() != 0.0 {
                    return Err(Invalid::new("must be a whole number"));
                }
                if !(Self::BOUNDS.0..=Self::BOUNDS.1).contains(&value) {
                    return Err(Invalid::new(concat!("must be between ", $min, " and ", $max)));
                }
                #[expect(clippy::cast_possible_truncation, reason = "whole and within i32 by the checks above")]
                Ok(Self(value as i32))
            }

            /// The number.
            pub fn get(self) -> i32 {
                self.0
            }
        }
    };
}

macro_rules! decimal_type {
    ($(#[$doc:meta])* $name:ident, 0 ..= $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
        #[serde(transparent)]
        pub struct $name(f64);

        impl $name {
            /// The least and the greatest that it may be.
            pub const BOUNDS: (f64, f64) = (0.0, $max as f64);

            /// Checks `value`; minus zero becomes zero.
            ///
            /// # Errors
            /// When it is out of bounds.
            pub fn parse(value: f64) -> Result<Self, Invalid> {
                if !(Self::BOUNDS.0..=Self::BOUNDS.1).contains(&value) {
                    return Err(Invalid::new(concat!("must be between 0 and ", $max)));
                }
                Ok(Self(value.abs()))
            }

            /// The number.
            pub fn get(self) -> f64 {
                self.0
            }
        }
    };
}

integer_type!(
    /// The year in which a movie came out.
    Year,
    1870..=2100
);
integer_type!(
    /// How long a movie runs, in minutes.
    RuntimeMinutes,
    1..=60000
);
integer_type!(
    /// How many votes a rating rests on.
    Votes,
    0..=2147483647
);
decimal_type!(
    /// A rating, as IMDb gives it.
    Rating,
    0..=10
);
decimal_type!(
    /// A popularity in per cent.
    Popularity,
    0..=100
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive() {
        assert_eq!(Year::parse(1870.0).unwrap().get(), 1870);
        assert_eq!(Year::parse(2100.0).unwrap().get(), 2100);
        assert!(Year::parse(1869.0).is_err());
        assert!(Year::parse(2101.0).is_err());
        assert_eq!(Votes::parse(2_147_483_647.0).unwrap().get(), i32::MAX);
        assert!(Votes::parse(2_147_483_648.0).is_err());
        assert!(RuntimeMinutes::parse(0.0).is_err());
        assert!(Rating::parse(10.000_001).is_err());
        assert!(Popularity::parse(f64::NAN).is_err());
    }

    #[test]
    fn fractions_and_minus_zero() {
        assert!(Year::parse(1999.5).is_err());
        assert!(Rating::parse(-0.0).unwrap().get().is_sign_positive());
    }
}
