//! Which coding and form a client takes: `Accept-Encoding` and `Accept` (RFC 9110, section 12.5).

use actix_web::http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName};

use super::problem::Problem;
use crate::catalogue::{Coding, Form};

/// A weight in thousandths (RFC 9110, section 12.4.2); `None` when it is not one.
fn weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().map(|b| u16::from(b - b'0'));
    let thousandths = digits.zip([100, 10, 1]).map(|(digit, worth)| digit * worth).sum();
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

/// An item of a list of choices, with its weight: the last one, where there are several. Other parameters
/// are passed over; what makes no sense is no choice.
fn choice(item: &[u8]) -> Option<(&str, u16)> {
    let mut parts = std::str::from_utf8(item).ok()?.split(';').map(str::trim);
    let choice = parts.next().filter(|choice| !choice.is_empty())?;
    let mut q = 1000;
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name.trim_end().eq_ignore_ascii_case("q") {
            q = weight(value.trim_start())?;
        }
    }
    Some((choice, q))
}

/// The items of a header that lists choices, with their weights.
fn choices(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = (&str, u16)> {
    let lines = headers.get_all(name).map(|value| value.as_bytes());
    lines.flat_map(|line| line.split(|byte| *byte == b',')).filter_map(choice)
}

/// The coding for what browsers and most other clients send, or for nothing, without reading it as a list. All
/// of them take what is not coded, too.
fn usual(headers: &HeaderMap) -> Option<Coding> {
    let mut lines = headers.get_all(ACCEPT_ENCODING);
    let Some(line) = lines.next() else {
        return Some(Coding::Identity);
    };
    let coding = match line.as_bytes() {
        b"gzip, deflate, br, zstd" | b"deflate, gzip, br, zstd" | b"gzip, deflate, zstd" | b"zstd" => {
            Coding::Zstd
        }
        b"gzip, deflate, br" | b"gzip, deflate" | b"deflate, gzip" | b"gzip,deflate" | b"gzip" => {
            Coding::Gzip
        }
        b"identity" => Coding::Identity,
        _ => return None,
    };
    lines.next().is_none().then_some(coding)
}

/// What `Accept-Encoding` says, in thousandths; of a coding that is named twice, the higher weight.
#[derive(Debug, Default)]
struct Weights {
    identity: Option<u16>,
    gzip: Option<u16>,
    zstd: Option<u16>,
    /// Of `*`: all that are not named.
    any: Option<u16>,
}

impl Weights {
    fn of(headers: &HeaderMap) -> Self {
        let mut weights = Self::default();
        for (choice, q) in choices(headers, ACCEPT_ENCODING) {
            let named = if choice.eq_ignore_ascii_case("gzip") || choice.eq_ignore_ascii_case("x-gzip") {
                &mut weights.gzip
            } else if choice.eq_ignore_ascii_case("zstd") {
                &mut weights.zstd
            } else if choice.eq_ignore_ascii_case("identity") {
                &mut weights.identity
            } else if choice == "*" {
                &mut weights.any
            } else {
                continue;
            };
            *named = (*named).max(Some(q));
        }
        weights
    }

    /// The weight of a coding; 0 is a refusal.
    fn weight(&self, coding: Coding) -> u16 {
        match coding {
            Coding::Zstd => self.zstd.or(self.any).unwrap_or(0),
            Coding::Gzip => self.gzip.or(self.any).unwrap_or(0),
            // Acceptable unless it is refused, and the last choice of who does not speak of it.
            Coding::Identity => self.identity.or(self.any).unwrap_or(1),
        }
    }

    /// The highest weight wins; where they tie, the one that is the smallest and the fastest to decode.
    fn best(&self) -> Option<Coding> {
        let mut best = (None, 0);
        for coding in [Coding::Zstd, Coding::Gzip, Coding::Identity] {
            let weight = self.weight(coding);
            if weight > best.1 {
                best = (Some(coding), weight);
            }
        }
        best.0
    }
}

/// The coding to answer in.
///
/// # Errors
/// 406 when the client refuses every coding, identity included.
pub(super) fn coding(headers: &HeaderMap) -> Result<Coding, Problem> {
    match usual(headers) {
        Some(coding) => Ok(coding),
        None => Weights::of(headers).best().ok_or_else(Problem::not_acceptable),
    }
}

/// The coding of what is small and not kept compressed: as it is, unless the client refuses that.
///
/// # Errors
/// As [`coding`].
pub(super) fn coding_of_small(headers: &HeaderMap) -> Result<Coding, Problem> {
    if usual(headers).is_some() {
        return Ok(Coding::Identity);
    }
    let weights = Weights::of(headers);
    if weights.weight(Coding::Identity) > 0 {
        return Ok(Coding::Identity);
    }
    weights.best().ok_or_else(Problem::not_acceptable)
}

/// The form to answer in: lines where the client prefers them, else an array.
pub(super) fn form(headers: &HeaderMap) -> Form {
    if !headers.contains_key(ACCEPT) {
        return Form::Array;
    }
    let (mut lines, mut json, mut some, mut any) = (None, None, None, None);
    for (choice, q) in choices(headers, ACCEPT) {
        let named = match choice.to_ascii_lowercase().as_str() {
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => &mut lines,
            "application/json" => &mut json,
            "application/*" => &mut some,
            "*/*" => &mut any,
            _ => continue,
        };
        *named = (*named).max(Some(q));
    }
    // The most specific range counts, whatever wider ones say.
    let open = some.or(any).unwrap_or(0);
    let array = json.unwrap_or(open);
    let prefers_lines = match lines {
        // A client that names lines and leaves anything else open prefers lines.
        Some(lines) => lines > array || (lines > 0 && lines == array && json.is_none()),
        None => array == 0 && open > 0,
    };
    if prefers_lines { Form::Lines } else { Form::Array }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn chosen(values: &[&str]) -> Option<Coding> {
        coding(&headers(ACCEPT_ENCODING, values)).ok()
    }

    #[test]
    fn weights_decide() {
        use Coding::{Gzip, Identity, Zstd};
        for (values, expected) in [
            (&[][..], Some(Identity)),
            (&[""], Some(Identity)),
            (&["gzip"], Some(Gzip)),
            (&["GZIP"], Some(Gzip)),
            (&["x-gzip"], Some(Gzip)),
            (&["zstd"], Some(Zstd)),
            (&["gzip, zstd"], Some(Zstd)),
            (&["gzip, deflate, br, zstd"], Some(Zstd)),
            (&["gzip, deflate, br, zstd", "zstd;q=0.5"], Some(Zstd)),
            (&["gzip", "identity;q=0.5"], Some(Gzip)),
            (&["gzip;q=0"], Some(Identity)),
            (&["gzip;q=0.001"], Some(Gzip)),
            (&["identity, gzip;q=0.5"], Some(Identity)),
            (&["identity;q=0.5, gzip;q=0.5"], Some(Gzip)),
            (&["zstd;q=0.8, gzip;q=0.9"], Some(Gzip)),
            (&["identity;q=0"], None),
            (&["identity;q=0, gzip;q=0"], None),
            (&["identity;q=0, gzip;q=0, zstd;q=0.001"], Some(Zstd)),
            (&["identity;q=0, br"], None),
            (&["identity;q=0, gzip"], Some(Gzip)),
            (&["*"], Some(Zstd)),
            (&["*;q=0"], None),
            (&["*;q=0, identity"], Some(Identity)),
            (&["*;q=0, gzip"], Some(Gzip)),
            (&["zstd;q=0, *"], Some(Gzip)),
            (&["zstd;q=0, gzip;q=0, *"], Some(Identity)),
            (&["zstd;q=0.1, gzip;q=0.1, *"], Some(Identity)),
            (&["br", "gzip"], Some(Gzip)),
            (&["gzip", "gzip;q=0"], Some(Gzip)),
            // Blanks where none should be, and parameters that there are not.
            (&["gzip ; q = 0"], Some(Identity)),
            (&["gzip;level=9;q=0.5,identity;q=0.4"], Some(Gzip)),
            (&["\tgzip\t;\tQ=1.000\t"], Some(Gzip)),
            (&["gzip;"], Some(Gzip)),
            // Nonsense is no choice, and spoils no other.
            (&["gzip;q=nonsense, ;;;, ,"], Some(Identity)),
            (&["gzip;q=2"], Some(Identity)),
            (&["gzip;q=0.0001"], Some(Identity)),
            (&["gzip;q=.5"], Some(Identity)),
            (&["gzip;q="], Some(Identity)),
            (&["gzip;q"], Some(Identity)),
            (&["gzip;q=-1, zstd;q=1.001"], Some(Identity)),
            (&["gzip gzip"], Some(Identity)),
            (&["\u{e9}, gzip"], Some(Gzip)),
            (&["deflate, br"], Some(Identity)),
        ] {
            assert_eq!(chosen(values), expected, "{values:?}");
        }
    }

    #[test]
    fn what_is_not_text_spoils_nothing_else() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT_ENCODING, HeaderValue::from_bytes(b"\xff\xfe, gzip").unwrap());
        assert_eq!(coding(&headers).unwrap(), Coding::Gzip);
    }

    #[test]
    fn the_short_way_is_no_other_way() {
        for line in [
            "gzip, deflate, br, zstd",
            "deflate, gzip, br, zstd",
            "gzip, deflate, zstd",
            "zstd",
            "gzip, deflate, br",
            "gzip, deflate",
            "deflate, gzip",
            "gzip,deflate",
            "gzip",
            "identity",
        ] {
            let headers = headers(ACCEPT_ENCODING, &[line]);
            let weights = Weights::of(&headers);
            assert_eq!(usual(&headers), weights.best(), "{line}");
            assert!(weights.weight(Coding::Identity) > 0, "{line}");
            assert_eq!(coding_of_small(&headers).unwrap(), Coding::Identity);
        }
        assert_eq!(usual(&HeaderMap::new()), Some(Coding::Identity));
        assert_eq!(usual(&headers(ACCEPT_ENCODING, &["gzip", "identity;q=0"])), None);
    }

    #[test]
    fn what_is_small_is_compressed_only_for_who_refuses_it_as_it_is() {
        for (line, expected) in [
            ("gzip;q=1, identity;q=0.001", Some(Coding::Identity)),
            ("gzip, *;q=0", Some(Coding::Gzip)),
            ("zstd;q=0.2, gzip;q=0.1, identity;q=0", Some(Coding::Zstd)),
            ("*, identity;q=0", Some(Coding::Zstd)),
            ("identity;q=0", None),
        ] {
            assert_eq!(coding_of_small(&headers(ACCEPT_ENCODING, &[line])).ok(), expected, "{line}");
        }
    }

    #[test]
    fn lines_are_chosen_where_they_are_preferred() {
        for (values, expected) in [
            (&[][..], Form::Array),
            (&["*/*"], Form::Array),
            (&["application/x-ndjson"], Form::Lines),
            (&["application/x-ndjson, */*;q=0.1"], Form::Lines),
            (&["application/x-ndjson, */*"], Form::Lines),
            (&["application/json, application/x-ndjson"], Form::Array),
            (&["application/json;q=0.9, application/x-ndjson"], Form::Lines),
            (&["application/x-ndjson;q=0"], Form::Array),
            (&["text/html"], Form::Array),
            // The most specific range that fits counts.
            (&["application/json;q=0, */*"], Form::Lines),
            (&["application/json;q=0, application/*;q=0.1"], Form::Lines),
            (&["application/json;q=0"], Form::Array),
            (&["*/*, application/json;q=0.2, application/x-ndjson;q=0.5"], Form::Lines),
            (&["application/x-ndjson;q=0.5, */*"], Form::Array),
            (&["application/x-ndjson;q=0.5, application/*;q=0.4, */*"], Form::Lines),
            (&["application/x-ndjson;q=0, */*"], Form::Array),
        ] {
            assert_eq!(form(&headers(ACCEPT, values)), expected, "{values:?}");
        }
    }

    /// An item as a client may write it, and what it means: a name, and its weight in thousandths; `None` when
    /// it makes no sense.
    fn item() -> impl Strategy<Value = (String, Option<(&'static str, u16)>)> {
        let name = prop::sample::select(vec!["gzip", "x-gzip", "zstd", "identity", "*", "br", "deflate"]);
        let q = prop_oneof![
            Just((String::new(), Some(1000))),
            (0u16..=1000).prop_map(|n| (format!("q={}.{:03}", n / 1000, n % 1000), Some(n))),
            (0u16..=10).prop_map(|n| (format!("Q={}.{}", n / 10, n % 10), Some(n * 100))),
            (0u16..=1).prop_map(|n| (format!("q={n}"), Some(n * 1000))),
            Just(("level=9".to_owned(), Some(1000))),
            prop::sample::select(vec![
                "q=", "q", "q=1.5", "q=2", "q=0.0000", "q=-1", "q=a", "q=0,5x", "q=1e0"
            ])
            .prop_map(|q| (q.replace(',', "."), None)),
        ];
        let blank = || prop::sample::select(vec!["", " ", "\t", "  "]);
        let known = (name, q, any::<bool>(), blank(), blank(), blank(), blank());
        let known = known.prop_map(|(name, (q, weight), upper, a, b, c, d)| {
            let spelt = if upper { name.to_uppercase() } else { name.to_owned() };
            let text =
                if q.is_empty() { format!("{a}{spelt}{b}") } else { format!("{a}{spelt}{b};{c}{q}{d}") };
            (text, weight.map(|weight| (name, weight)))
        });
        let nonsense = prop::sample::select(vec![
            "",
            " ",
            ";",
            ";q=1",
            "gzip zstd",
            "g\u{fc}zip",
            "\"gzip\"",
            "=",
            "gzip/zstd",
        ]);
        prop_oneof![6 => known, 1 => nonsense.prop_map(|text| (text.to_owned(), None))]
    }

    /// RFC 9110, section 12.5.3, word for word: whether each coding is acceptable, and how much it is wanted.
    pub(super) fn model(meanings: &[(&str, u16)], coding: Coding) -> Option<u16> {
        let names: &[&str] = match coding {
            Coding::Identity => &["identity"],
            Coding::Gzip => &["gzip", "x-gzip"],
            Coding::Zstd => &["zstd"],
        };
        let of =
            |names: &[&str]| meanings.iter().filter(|(name, _)| names.contains(name)).map(|(_, q)| *q).max();
        match of(names).or_else(|| of(&["*"])) {
            Some(0) => None,
            Some(q) => Some(q),
            // "If the representation has no content coding, then it is acceptable by default unless…"
            None => (coding == Coding::Identity).then_some(0),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_answer_is_what_is_wanted_most(items in prop::collection::vec(item(), 0..7), cuts in prop::collection::vec(any::<bool>(), 7)) {
            // Some of the commas are the ends of lines.
            let mut lines = vec![String::new()];
            for (n, (text, _)) in items.iter().enumerate() {
                match lines.last_mut() {
                    Some(line) if n > 0 && !cuts[n] => *line = format!("{line},{text}"),
                    _ => lines.push(text.clone()),
                }
            }
            let meanings: Vec<_> = items.iter().filter_map(|(_, meaning)| *meaning).collect();
            let wanted = [Coding::Identity, Coding::Gzip, Coding::Zstd].map(|coding| (model(&meanings, coding), coding));
            let most = wanted.iter().map(|(q, _)| *q).max().flatten();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            match chosen(&lines) {
                None => prop_assert_eq!(most, None, "refused: {:?}", lines),
                Some(coding) => {
                    prop_assert!(most.is_some(), "{:?} for {:?}", coding, lines);
                    prop_assert_eq!(model(&meanings, coding), most, "{:?} for {:?}", coding, lines);
                }
            }
            // What is small is not refused more often, and is not coded where that is acceptable.
            let small = coding_of_small(&headers(ACCEPT_ENCODING, &lines)).ok();
            prop_assert_eq!(small.is_some(), most.is_some());
            prop_assert_eq!(small == Some(Coding::Identity), model(&meanings, Coding::Identity).is_some());
        }

        #[test]
        fn no_header_is_too_strange(value in prop::collection::vec(0x20u8..=0xff, 0..60)) {
            let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
            let mut headers = HeaderMap::new();
            headers.append(ACCEPT_ENCODING, value.clone());
            headers.append(ACCEPT, value);
            let _ = coding(&headers);
            let _ = coding_of_small(&headers);
            let _ = form(&headers);
        }

        #[test]
        fn the_higher_weight_wins(gzip in 1u16..=1000, identity in 1u16..=1000) {
            let q = |n: u16| format!("{}.{:03}", n / 1000, n % 1000);
            let value = format!("gzip;q={}, identity;q={}", q(gzip), q(identity));
            let expected = if gzip >= identity { Coding::Gzip } else { Coding::Identity };
            prop_assert_eq!(chosen(&[&value]), Some(expected));
        }
    }
}
