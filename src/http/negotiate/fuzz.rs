//! `Accept-Encoding` and `Accept` as any client, or none, would write them.

use actix_web::http::header::HeaderValue;

use super::tests::model;
use super::*;
use crate::fuzz::target;
use crate::http::fuzz::header;

/// The grammar of RFC 9110, section 12.4.2, sign by sign.
fn is_weight(text: &str) -> bool {
    let mut signs = text.bytes();
    let (first, rest) = (signs.next(), text.get(1..).unwrap_or_default());
    let digits = rest.strip_prefix('.').or(rest.is_empty().then_some(""));
    let Some(digits) = digits.filter(|digits| digits.len() <= 3) else { return false };
    match first {
        Some(b'0') => digits.bytes().all(|b| b.is_ascii_digit()),
        Some(b'1') => digits.bytes().all(|b| b == b'0'),
        _ => false,
    }
}

/// What a list of codings says, read anew: by the whole of the text, and by numbers as the language reads them.
fn meanings(headers: &HeaderMap) -> Vec<(String, u16)> {
    let lines: Vec<&[u8]> = headers.get_all(ACCEPT_ENCODING).map(HeaderValue::as_bytes).collect();
    let mut meanings = Vec::new();
    for item in lines.join(&b',').split(|byte| *byte == b',') {
        let Ok(item) = std::str::from_utf8(item) else { continue };
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        let weights: Vec<&str> = parameters
            .split(';')
            .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
            .filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
            .map(|(_, weight)| weight.trim())
            .collect();
        if weights.iter().all(|weight| is_weight(weight)) {
            let last = weights.last().map_or(1.0, |weight| weight.parse::<f64>().unwrap());
            meanings.push((name.trim().to_ascii_lowercase(), (last * 1000.0).round() as u16));
        }
    }
    meanings
}

/// The coding is the one that is wanted most, by a reference that reads the header its own way; and neither the order of
/// the items, nor their case, nor the lines that they stand in change it.
#[test]
fn accept_encoding() {
    target("accept_encoding", 15_000, |line| {
        let Some(headers) = header(&ACCEPT_ENCODING, line) else { return };
        let meanings = meanings(&headers);
        let meanings: Vec<(&str, u16)> = meanings.iter().map(|(name, q)| (name.as_str(), *q)).collect();
        let most = Coding::ALL.map(|coding| model(&meanings, coding)).into_iter().max().flatten();
        let chosen = coding(&headers).ok();
        match chosen {
            None => assert_eq!(most, None),
            Some(coding) => assert!(most.is_some() && model(&meanings, coding) == most, "{coding:?}"),
        }
        let small = coding_of_small(&headers).ok();
        assert_eq!(small.is_some(), chosen.is_some());
        assert_eq!(small == Some(Coding::Identity), model(&meanings, Coding::Identity).is_some());
        for other in respelt(line) {
            let headers = header(&ACCEPT_ENCODING, &other).unwrap();
            assert_eq!(coding(&headers).ok(), chosen);
            assert_eq!(coding_of_small(&headers).ok(), small);
        }
    });
}

/// As [`accept_encoding`] for forms. Lines are sent only where they are spoken of.
#[test]
fn accept() {
    target("accept", 15_000, |line| {
        let Some(headers) = header(&ACCEPT, line) else { return };
        let form = form(&headers);
        if form == Form::Lines {
            let text = String::from_utf8_lossy(line).to_ascii_lowercase();
            assert!(["ndjson", "jsonl", "/*"].iter().any(|known| text.contains(known)));
        }
        for other in respelt(line) {
            assert_eq!(super::form(&header(&ACCEPT, &other).unwrap()), form);
        }
    });
}

/// The same list from its end, in capitals, and each item in a line of its own.
fn respelt(list: &[u8]) -> [Vec<u8>; 3] {
    let mut items: Vec<&[u8]> = list.split(|byte| matches!(byte, b',' | b'\n')).collect();
    let lines = items.join(&b'\n');
    items.reverse();
    [items.join(&b','), list.to_ascii_uppercase(), lines]
}
