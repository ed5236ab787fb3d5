//! Finds the end of a request's head, piece by piece, without reading it.

use memchr::memchr_iter;

/// The end of a request's first line (RFC 9112, section 3).
const VERSIONS: [&[u8; 8]; 2] = [b"HTTP/1.1", b"HTTP/1.0"];

/// What a piece brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The head goes on.
    Part,
    /// Its end, and behind it what begins at this byte of the piece.
    Whole(usize),
    /// A line that ends with LF alone. RFC 9112 lets a server take it or leave it.
    BareLineFeed,
    /// No head.
    Other,
}

/// Where in a head the pieces so far end.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Whether the first line is over.
    begun: bool,
    /// How long the line is, so far.
    line: usize,
    /// The last bytes of the first line that came in earlier pieces.
    tail: [u8; 9],
}

impl Scan {
    /// Whether a head has begun.
    pub(super) fn is_within(&self) -> bool {
        self.begun || self.line > 0
    }

    /// Looks at the next piece; `before` is the byte before it.
    pub(super) fn feed(&mut self, mut before: u8, bytes: &[u8]) -> Found {
        let mut rest = bytes;
        let mut from = 0;
        for at in memchr_iter(b'\n', bytes) {
            let line = bytes.get(from..at).unwrap_or_default();
            let ends_well = line.last().copied().unwrap_or(before) == b'\r';
            let length = self.line + line.len();
            // Empty lines may come before the first one (RFC 9112, section 2.2).
            let is_empty = length == usize::from(ends_well);
            match (self.begun, is_empty) {
                (true, true) if ends_well => return Found::Whole(at + 1),
                (false, false) if !self.is_first(line, ends_well) => return Found::Other,
                (false, true) => {}
                _ if !ends_well => return Found::BareLineFeed,
                _ => self.begun = true,
            }
            self.line = 0;
            from = at + 1;
            before = b'\n';
            rest = bytes.get(from..).unwrap_or_default();
        }
        self.line += rest.len();
        if !self.begun {
            self.keep(rest);
        }
        Found::Part
    }

    /// Whether a line whose last part is `line` is a request's first.
    fn is_first(&self, line: &[u8], ends_well: bool) -> bool {
        let joined;
        let line = if line.len() < self.tail.len() {
            joined = [&self.tail, line].concat();
            &joined
        } else {
            line
        };
        let line = if ends_well { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
        VERSIONS.iter().any(|version| line.ends_with(*version))
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(last) = [&self.tail, bytes].concat().last_chunk() {
            self.tail = *last;
        }
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Wherever its end is.
    const WHOLE: Found = Found::Whole(0);

    fn scan(pieces: &[&[u8]]) -> Found {
        let mut scan = Scan::default();
        let mut before = 0;
        for piece in pieces {
            match scan.feed(before, piece) {
                Found::Part => {}
                Found::Whole(end) => {
                    assert!(end <= piece.len() && piece[..end].ends_with(b"\n"), "{end} of {piece:?}");
                    return WHOLE;
                }
                found => return found,
            }
            before = piece.last().copied().unwrap_or(before);
        }
        Found::Part
    }

    #[test]
    fn the_end_of_a_head_is_found() {
        assert_eq!(scan(&[b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"]), WHOLE);
        assert_eq!(scan(&[b"GET / HTTP/1.0\r\n\r\nbody\n\n"]), WHOLE);
        assert_eq!(scan(&[b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"]), WHOLE);
        assert_eq!(Scan::default().feed(0, b"GET / HTTP/1.0\r\n\r\nGET"), Found::Whole(18));
        for part in
            ["", "G", "GET / HTTP/1.1", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nA: b\r\n\r", "\r\n\r\n"]
        {
            assert_eq!(scan(&[part.as_bytes()]), Found::Part, "{part:?}");
        }
    }

    #[test]
    fn a_bare_line_feed_is_seen_wherever_it_is() {
        for head in [
            "GET / HTTP/1.1\nHost: h\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\n\n",
            "GET / HTTP/1.1\r\nA: b\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert_eq!(scan(&[head.as_bytes()]), Found::BareLineFeed, "{head:?}");
            let single: Vec<&[u8]> = head.as_bytes().chunks(1).collect();
            assert_eq!(scan(&single), Found::BareLineFeed, "{head:?}");
        }
    }

    #[test]
    fn what_is_no_head_is_told_from_one() {
        for other in ["{\"title\":\"a\"}\n", "5\r\nhello\r\n", "GET /\r\n", "xHTTP/1.1x\r\n"] {
            assert_eq!(scan(&[other.as_bytes()]), Found::Other, "{other:?}");
            let single: Vec<&[u8]> = other.as_bytes().chunks(1).collect();
            assert_eq!(scan(&single), Found::Other, "{other:?}");
        }
    }

    proptest! {
        /// However it is cut into pieces, the same is found in it.
        #[test]
        fn pieces_change_nothing(
            lines in prop::collection::vec(("[ -~]{0,12}", prop_oneof![9 => Just("\r\n"), 1 => Just("\n")]), 0..6),
            cuts in prop::collection::vec(1_usize..20, 1..12),
        ) {
            let mut head = String::from("GET /v1/movies HTTP/1.1\r\n");
            for (line, end) in lines {
                head.push_str(&line);
                head.push_str(end);
            }
            let whole = scan(&[head.as_bytes()]);
            let mut pieces = Vec::new();
            let mut rest = head.as_bytes();
            for cut in cuts.iter().cycle() {
                let (piece, more) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(scan(&pieces), whole);
        }
    }
}
