//! One of each, for every form and coding that a list can have.

use super::coding::Coding;
use super::segment::Form;

/// A value for each form and coding.
#[derive(Debug, Default)]
pub struct Each<T>([T; 6]);

impl<T> Each<T> {
    /// Of values that do not differ yet.
    pub const fn new(all: [T; 6]) -> Self {
        Self(all)
    }

    /// The one of this form and coding.
    pub fn of(&self, form: Form, coding: Coding) -> &T {
        let [a, b, c, d, e, f] = &self.0;
        match (form, coding) {
            (Form::Array, Coding::Identity) => a,
            (Form::Array, Coding::Gzip) => b,
            (Form::Array, Coding::Zstd) => c,
            (Form::Lines, Coding::Identity) => d,
            (Form::Lines, Coding::Gzip) => e,
            (Form::Lines, Coding::Zstd) => f,
        }
    }
}
