//! The words of a title, as they are looked for.

use std::collections::BTreeSet;

use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_normalizer::properties::CanonicalCombiningClassMapBorrowed;

use super::fold;

/// The most characters of a word; what follows is cut off, of titles and of queries alike.
const LONGEST: usize = 64;
/// The most words of a title that it can be found by: the first ones. A title of 512 characters could have 256, each
/// a row to be written.
const MOST: usize = 32;

/// The words of `text`, each once: its runs of letters and digits, without regard to case, to accents and to
/// compatibility forms (`ﬁ` is `fi`, `①` is `1`).
///
/// An accent is what Unicode can take apart from its letter (NFKD), Hebrew points and Arabic vowel signs
/// included; `ø` and `ł` are letters of their own. What changes the letter itself stays: nuktas, viramas and
/// the voicing marks of kana. Where no blanks are written, as in Japanese, a whole run is one word. The first
/// 32 words count.
pub fn words(text: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for word in in_order(text) {
        if words.len() == MOST {
            break;
        }
        words.insert(word);
    }
    words
}

/// The words of `text` as they follow each other.
pub(super) fn in_order(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut end = |word: &mut String| {
        if !word.is_empty() {
            words.push(word.chars().take(LONGEST).collect());
            word.clear();
        }
    };
    if text.is_ascii() {
        for c in text.chars() {
            if c.is_ascii_alphanumeric() { word.push(c.to_ascii_lowercase()) } else { end(&mut word) }
        }
    } else {
        let (nfkd, class) =
            (DecomposingNormalizerBorrowed::new_nfkd(), CanonicalCombiningClassMapBorrowed::new());
        // Taking apart can bring up a capital letter, and folding what can be taken apart.
        let folded = fold(&nfkd.normalize(text));
        for c in nfkd.normalize(&folded).chars() {
            match class.get_u8(c) {
                7..=9 => word.push(c),
                0 if c.is_alphanumeric() => word.push(c),
                0 => end(&mut word),
                _ => {}
            }
        }
    }
    end(&mut word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_know_neither_case_nor_accents() {
        for (text, expected) in [
            ("The Wizard of Oz", &["of", "oz", "the", "wizard"][..]),
            ("M*A*S*H", &["a", "h", "m", "s"]),
            ("Don't  -- don’t!", &["don", "t"]),
            ("Amélie AME\u{301}LIE", &["amelie"]),
            ("Straße STRASSE ﬁn", &["fin", "strasse"]),
            ("Ǆ ① Ⅷ ℌ", &["1", "dz", "h", "viii"]),
            ("Łódź Ørsted", &["łodz", "ørsted"]),
            ("千と千尋の神隠し", &["千と千尋の神隠し"]),
            ("ガ カ", &["カ", "カ\u{3099}"]),
            ("क्षत्रिय", &["क्षत्रिय"]),
            ("שָׁלוֹם", &["שלום"]),
            ("?! … 👩‍👩‍👧", &[]),
            ("2001: A Space Odyssey", &["2001", "a", "odyssey", "space"]),
        ] {
            assert_eq!(words(text), expected.iter().map(|w| (*w).to_owned()).collect(), "{text}");
        }
    }

    #[test]
    fn words_have_an_end() {
        assert_eq!(words(&"x".repeat(100)), [("x".repeat(64))].into());
        assert_eq!(words(&"é".repeat(100)), [("e".repeat(64))].into());
        let many: Vec<String> = (10..99).map(|n| format!("w{n}")).collect();
        assert_eq!(words(&many.join(" ")), many[..MOST].iter().cloned().collect());
    }
}
