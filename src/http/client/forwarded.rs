//! `Forwarded` (RFC 7239) and `X-Forwarded-For`: whom each proxy was asked by, the nearest first. A hop that
//! is not told as an address (`unknown`, `_hidden`, nonsense) is `None`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use actix_web::http::header::{HeaderMap, HeaderName};

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The longest `Forwarded` that is read: it must be read whole, and a client writes its beginning.
const LONGEST: usize = 4 << 10;

/// A hop, where it is known.
type Hop = Option<IpAddr>;

/// What `Forwarded` says; `None` when there is none. One that is not well formed tells nothing: no hop.
pub(super) fn standard(headers: &HeaderMap) -> Option<Vec<Hop>> {
    let lines: Vec<&[u8]> = headers.get_all(&FORWARDED).map(|line| line.as_bytes()).collect();
    if lines.is_empty() {
        return None;
    }
    let text = lines.join(&b',');
    let mut hops =
        if text.len() > LONGEST { None } else { Elements { rest: &text }.all() }.unwrap_or_default();
    hops.reverse();
    Some(hops)
}

/// What `X-Forwarded-For` says; `None` when there is none. Only what is asked for is read.
pub(super) fn custom(headers: &HeaderMap) -> Option<impl Iterator<Item = Hop>> {
    headers.contains_key(&X_FORWARDED_FOR).then(|| {
        let lines: Vec<&[u8]> = headers.get_all(&X_FORWARDED_FOR).map(|line| line.as_bytes()).collect();
        lines
            .into_iter()
            .rev()
            .flat_map(|line| line.rsplit(|byte| *byte == b','))
            .map(|hop| node(hop.trim_ascii()))
    })
}

/// The address of a node, with or without a port: `192.0.2.1:80`, `[2001:db8::1]:80`, and bare.
fn node(text: &[u8]) -> Hop {
    let text = std::str::from_utf8(text).ok()?;
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        return is_port(port)
            .then(|| address.parse::<Ipv6Addr>().ok())?
            .map(|v6| IpAddr::from(v6).to_canonical());
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let at = text.find(':')?;
    let (address, port) = text.split_at_checked(at)?;
    is_port(port).then(|| address.parse::<Ipv4Addr>().ok())?.map(IpAddr::from)
}

/// Whether it is nothing, or `:` and a port, which RFC 7239 lets be hidden, too.
fn is_port(text: &str) -> bool {
    let Some(port) = text.strip_prefix(':') else {
        return text.is_empty();
    };
    match port.strip_prefix('_') {
        Some(hidden) => !hidden.is_empty() && hidden.bytes().all(is_token),
        None => (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Reads `Forwarded`, from the left: only so is it known what stands in quotes.
struct Elements<'a> {
    rest: &'a [u8],
}

impl Elements<'_> {
    /// Every element's `for`. `None` when it is not well formed.
    fn all(mut self) -> Option<Vec<Hop>> {
        let mut hops = Vec::new();
        loop {
            self.blanks();
            // Empty elements of a list count for nothing (RFC 9110, section 5.6.1).
            if !matches!(self.rest.first(), Some(b',') | None) {
                hops.push(self.element()?);
                self.blanks();
            }
            match self.rest.split_first() {
                Some((b',', rest)) => self.rest = rest,
                Some(_) => return None,
                None => return Some(hops),
            }
        }
    }

    /// Pairs, parted by `;`. An element without a `for` is a hop that is not told.
    fn element(&mut self) -> Option<Hop> {
        let mut hop = None;
        loop {
            if self.rest.first().is_some_and(|byte| is_token(*byte)) {
                let name = self.token();
                self.rest = self.rest.strip_prefix(b"=")?;
                let value = self.value()?;
                if name.eq_ignore_ascii_case(b"for") && hop.replace(node(&value)).is_some() {
                    return None;
                }
            }
            match self.rest.strip_prefix(b";") {
                Some(rest) => self.rest = rest,
                None => return Some(hop.flatten()),
            }
        }
    }

    fn value(&mut self) -> Option<Vec<u8>> {
        let Some(quoted) = self.rest.strip_prefix(b"\"") else {
            let token = self.token();
            return (!token.is_empty()).then_some(token);
        };
        let mut value = Vec::new();
        let mut bytes = quoted.iter();
        loop {
            match bytes.next()? {
                b'"' => break,
                b'\\' => value.push(*bytes.next()?),
                byte => value.push(*byte),
            }
        }
        self.rest = bytes.as_slice();
        Some(value)
    }

    fn token(&mut self) -> Vec<u8> {
        let end = self.rest.iter().position(|byte| !is_token(*byte)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        token.to_vec()
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn hops(value: &[u8]) -> Vec<Hop> {
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED, HeaderValue::from_bytes(value).unwrap());
        standard(&headers).unwrap()
    }

    #[test]
    fn the_examples_of_the_rfc() {
        let at = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        assert_eq!(hops(b"for=\"_gazonk\""), [None]);
        assert_eq!(hops(b"For=\"[2001:db8:cafe::17]:4711\""), [at("2001:db8:cafe::17")]);
        assert_eq!(hops(b"for=192.0.2.60;proto=http;by=203.0.113.43"), [at("192.0.2.60")]);
        assert_eq!(hops(b"for=192.0.2.43, for=198.51.100.17"), [at("198.51.100.17"), at("192.0.2.43")]);
        assert_eq!(
            hops(b"for=192.0.2.43,for=\"[2001:db8:cafe::17]\",for=unknown"),
            [None, at("2001:db8:cafe::17"), at("192.0.2.43")]
        );
        assert_eq!(hops(b"for=\"192.0.2.43:47011\";host=\"a,b;for=1.2.3.4\""), [at("192.0.2.43")]);
        assert_eq!(hops(b"proto=https"), [None]);
        assert_eq!(hops(b"for=\"192.0.2.4\\3\""), [at("192.0.2.43")]);
    }

    #[test]
    fn what_is_not_well_formed_tells_nothing() {
        for value in [
            &b"for"[..],
            b"for=",
            b"for=\"",
            b"for=\"192.0.2.1",
            b"for=\"192.0.2.1\\",
            b"for =192.0.2.1",
            b"for= 192.0.2.1",
            b"for=192.0.2.1;for=192.0.2.2",
            b"for=192.0.2.1 for=192.0.2.2",
            b"for=[::1]",
            b"=192.0.2.1",
            b"for=192.0.2.1, {",
            b"for=192.0.2.1\xff",
        ] {
            assert_eq!(hops(value), [], "{}", String::from_utf8_lossy(value));
        }
    }

    proptest! {
        /// Nothing makes it panic, and what it says is never more than there are elements.
        #[test]
        fn anything_is_read(value in prop::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff], 0..200)) {
            let mut headers = HeaderMap::new();
            headers.append(FORWARDED, HeaderValue::from_bytes(&value).unwrap());
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(&value).unwrap());
            let most = value.iter().filter(|byte| **byte == b',').count() + 1;
            prop_assert!(standard(&headers).unwrap().len() <= most);
            prop_assert_eq!(custom(&headers).unwrap().count(), most);
        }

        /// Whatever well-formed beginning a client writes, the element that is added last comes first.
        #[test]
        fn what_is_added_comes_first(
            before in prop::collection::vec((any::<IpAddr>(), any::<Option<u16>>(), any::<bool>()), 0..8),
            last in any::<IpAddr>(),
            port in any::<Option<u16>>(),
        ) {
            let spelt = |address: &IpAddr, port: Option<u16>| match (address, port) {
                (IpAddr::V4(v4), None) => v4.to_string(),
                (IpAddr::V6(v6), None) => format!("[{v6}]"),
                (IpAddr::V4(v4), Some(port)) => format!("{v4}:{port}"),
                (IpAddr::V6(v6), Some(port)) => format!("[{v6}]:{port}"),
            };
            let mut elements: Vec<String> = before
                .iter()
                .map(|(address, port, named)| if *named { format!("by=\"a,\\\"b\";for=\"{}\"", spelt(address, *port)) } else { "proto=http".into() })
                .collect();
            elements.push(format!("proto=https;FOR=\"{}\"", spelt(&last, port)));
            let told = hops(elements.join(" , ").as_bytes());
            prop_assert_eq!(told.len(), elements.len());
            prop_assert_eq!(told[0], Some(last.to_canonical()));

            let mut list: Vec<String> = before.iter().map(|(address, port, _)| spelt(address, *port)).collect();
            list.push(spelt(&last, port));
            let mut headers = HeaderMap::new();
            headers.append(X_FORWARDED_FOR, list.join(",").parse().unwrap());
            let told: Vec<Hop> = custom(&headers).unwrap().collect();
            let expected: Vec<Hop> = before.iter().map(|(address, ..)| address).chain([&last]).rev().map(|a| Some(a.to_canonical())).collect();
            prop_assert_eq!(told, expected);
        }
    }
}
