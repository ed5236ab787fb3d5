//! Lists of entity tags that nobody would send.

use super::*;
use crate::fuzz::target;
use crate::http::fuzz::header;

/// What a list names stands in it; what stands in front of anything else is found; strong tags are among all; and a list
/// that is written anew from what was read of it is read as the same.
#[test]
fn conditions() {
    target("conditions", 15_000, |list| {
        let (Some(matches), Some(none)) = (header(&IF_MATCH, list), header(&IF_NONE_MATCH, list)) else {
            return;
        };
        let lines = || list.split(|byte| *byte == b'\n');
        let is_any = lines().any(|line| line.trim_ascii() == b"*");
        let (strong, all) = (condition(&matches).matches.unwrap(), condition(&none).none_matches.unwrap());
        match (&strong, &all) {
            (Known::Any, Known::Any) => assert!(is_any),
            (Known::OneOf(strong), Known::OneOf(all)) => {
                assert!(!is_any && strong.iter().all(|print| all.contains(print)));
                let text = String::from_utf8_lossy(list);
                assert!(all.iter().all(|print| text.contains(&format!("\"{print:016x}-a"))));
            }
            other => panic!("{other:?}"),
        }
        let any_strong = lines().any(|line| tags(line).any(|(weak, _)| !weak));
        assert_eq!(never_holds(&matches).is_none(), is_any || any_strong);

        for coding in Coding::ALL {
            let tag = movie_tag(list, coding);
            let named = lines().any(|line| line.windows(tag.len()).any(|part| part == tag.as_bytes()));
            assert!(!is_known(&none, &tag) || is_any || named);
            for weak in ["", "W/"] {
                let first = [weak.as_bytes(), tag.as_bytes(), b" ,", list].concat();
                assert!(is_known(&header(&IF_NONE_MATCH, &first).unwrap(), &tag));
            }
        }
        for line in lines() {
            let read: Vec<_> = tags(line).collect();
            let spelt = |(weak, tag): &(bool, &[u8])| [if *weak { &b"W/"[..] } else { b"" }, tag].concat();
            let anew = read.iter().map(spelt).collect::<Vec<_>>().join(&b", "[..]);
            assert!(tags(&anew).eq(read));
        }
    });
}
