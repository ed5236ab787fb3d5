//! Values with a spelling of their own.

use std::str::FromStr;

/// A number of bytes: `1048576`, `1024KiB` and `1MiB` are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// As a length of memory.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let shift = match unit.trim() {
            "" | "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            _ => return Err(format!("\"{unit}\" is no unit: give bytes, or a number with KiB, MiB or GiB")),
        };
        let bytes = number.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << shift));
        match bytes {
            Some(bytes @ 1..) => Ok(Self(bytes)),
            _ => Err("must be a whole number of bytes above 0, or a number with KiB, MiB or GiB".to_owned()),
        }
    }
}

/// A text that can stand in a header.
pub(super) fn header_value(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err("must be printable ASCII, such as \"max-age=60, stale-while-revalidate=600\"".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        for (text, bytes) in [("1", 1), ("2KiB", 2048), ("8 MiB", 8 << 20), ("4GiB", 4 << 30)] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)));
        }
        for text in ["", "0", "-1", "1MB", "1.5GiB", "99999999999GiB", "MiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
