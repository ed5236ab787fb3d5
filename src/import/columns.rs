//! Tab-separated rows as IMDb writes them: no quoting, `\N` for nothing, columns found by their names.

/// Where the wanted columns stand.
pub(super) struct Columns<const N: usize> {
    /// For each column of the file, which of the wanted ones it is.
    slots: Vec<Option<usize>>,
}

impl<const N: usize> Columns<N> {
    /// Finds `names` in a header row.
    pub(super) fn find(header: &[u8], names: [&str; N]) -> Result<Self, String> {
        let header = String::from_utf8_lossy(header);
        let slots: Vec<Option<usize>> =
            header.split('\t').map(|column| names.iter().position(|name| *name == column)).collect();
        for (slot, name) in names.iter().enumerate() {
            match slots.iter().filter(|found| **found == Some(slot)).count() {
                1 => {}
                0 => return Err(format!("its header has no column {name}")),
                _ => return Err(format!("its header has the column {name} twice")),
            }
        }
        Ok(Self { slots })
    }

    /// The wanted columns of a row.
    pub(super) fn pick<'a>(&self, row: &'a [u8]) -> Result<[&'a str; N], String> {
        let row = std::str::from_utf8(row).map_err(|_| "is not valid UTF-8".to_owned())?;
        let mut picked = [""; N];
        let mut count = 0;
        for column in row.split('\t') {
            if let Some(Some(slot)) = self.slots.get(count)
                && let Some(place) = picked.get_mut(*slot)
            {
                *place = column;
            }
            count += 1;
        }
        if count == self.slots.len() {
            Ok(picked)
        } else {
            Err(format!("has {count} columns where the header has {}", self.slots.len()))
        }
    }
}

/// A value, or nothing where `\N` stands.
pub(super) fn present(value: &str) -> Option<&str> {
    (value != r"\N").then_some(value)
}

/// A whole number in plain digits.
pub(super) fn digits(column: &str, value: &str) -> Result<u64, String> {
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{column} must be a whole number"));
    }
    value.parse().map_err(|_| format!("{column} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_wherever_they_stand() {
        let columns = Columns::find(b"x\tb\ta", ["a", "b"]).unwrap();
        assert_eq!(columns.pick(b"1\t\"2\"\t3").unwrap(), ["3", "\"2\""]);
        assert!(columns.pick(b"1\t2").is_err());
        assert!(columns.pick(b"1\t2\t3\t4").is_err());
        assert!(columns.pick(b"1\t\xff\t3").is_err());
        assert!(Columns::find(b"a", ["a", "b"]).is_err());
        assert!(Columns::find(b"a\ta", ["a"]).is_err());
    }

    #[test]
    fn numbers_are_plain_digits() {
        assert_eq!(digits("n", "0120"), Ok(120));
        for bad in ["", "-1", "+1", "1.0", " 1", "1e3", "99999999999999999999999"] {
            assert!(digits("n", bad).is_err(), "{bad}");
        }
    }
}
