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

    /// Of what `make` gives for each.
    pub fn from_fn(mut make: impl FnMut(Form, Coding) -> T) -> Self {
        Self([
            make(Form::Array, Coding::Identity),
            make(Form::Array, Coding::Gzip),
            make(Form::Array, Coding::Zstd),
            make(Form::Lines, Coding::Identity),
            make(Form::Lines, Coding::Gzip),
            make(Form::Lines, Coding::Zstd),
        ])
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
