//! Keys made of names: the folded form that names compare by, and slugs.

use icu_casemap::CaseMapper;

/// `text` under full Unicode case folding (the Unicode Standard, section 3.13, "Default Case Folding").
///
/// A character becomes at most three. Folding is done here rather than by the database's collation,
/// so that every database agrees on which names are the same.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    CaseMapper::new().fold_string(text).into_owned()
}

/// The most characters of a slug, its number aside.
const LONGEST_SLUG: usize = super::GenreName::MAX;

/// `name` as a path segment: folded, then its ASCII letters and digits, every run of anything else one `-`.
///
/// A name and its folded form have the same slug. A name that has neither becomes `genre`. Two names can
/// meet in one slug: the database then numbers the later ones (`-2`, `-3`, …). Folding can make a name three
/// times as long; its slug ends at 64 characters, so that there is room for the number.
pub fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for c in fold(name).chars() {
        if slug.len() == LONGEST_SLUG {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    if slug.ends_with('-') {
        slug.pop();
    }
    if slug.is_empty() {
        slug.push_str("genre");
    }
    slug
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_is_full_and_not_only_ascii() {
        assert_eq!(fold("Film-Noir"), "film-noir");
        assert_eq!(fold("STRASSE"), fold("straße"));
        assert_eq!(fold("ΣΊΣΥΦΟΣ"), fold("σίσυφος"));
        assert_eq!(fold("Łódź"), fold("ŁÓDŹ"));
    }

    #[test]
    fn slugs_are_lower_case_ascii() {
        for (name, expected) in [
            ("Sci-Fi", "sci-fi"),
            ("  Film   Noir! ", "film-noir"),
            ("Comédie", "com-die"),
            ("Straße", "strasse"),
            ("コメディ", "genre"),
            ("3D", "3d"),
        ] {
            assert_eq!(slug(name), expected);
        }
    }

    #[test]
    fn slugs_have_an_end() {
        assert_eq!(slug(&"ﬃ".repeat(64)), "ffi".repeat(22)[..64]);
        assert_eq!(slug(&format!("{} {}", "x".repeat(63), "ﬃ")), "x".repeat(63));
    }
}
