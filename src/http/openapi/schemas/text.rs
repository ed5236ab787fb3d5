//! What a text must look like, as a regular expression (ECMA-262) that says what the domain's readers do.

use std::ops::RangeInclusive;

/// What `str::trim` takes away: Unicode's `White_Space`.
const BLANK: &str = r"\u0009-\u000d \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";
/// What `char::is_control` says: Unicode's category Cc.
const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";

/// A text that has between 1 and `max` characters when it is trimmed, and then no control character.
pub(super) fn to_be_trimmed(max: usize) -> String {
    format!("^[{BLANK}]*{}[{BLANK}]*$", signs(&format!("{{0,{}}}", max.saturating_sub(2))))
}

/// A text that was trimmed, of any length.
pub(super) fn trimmed() -> String {
    format!("^{}$", signs("*"))
}

/// Signs with blanks between them, `repeated` so often.
fn signs(repeated: &str) -> String {
    let sign = format!("[^{CONTROL}{BLANK}]");
    format!("{sign}([^{CONTROL}]{repeated}{sign})?")
}

/// `tt` and so many digits.
pub(in crate::http::openapi) fn imdb_id(digits: &RangeInclusive<usize>) -> String {
    format!("^tt[0-9]{{{},{}}}$", digits.start(), digits.end())
}
