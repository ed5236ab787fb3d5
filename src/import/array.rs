//! A JSON array, element by element: of any length, without holding it.
//!
//! This finds only where elements begin and end; whether they are JSON is for their reader to say. It
//! never calls itself, so that no nesting overflows the stack.

use std::io::Read;

use super::lines::{LONGEST, SHOWN};
use super::source::{Text, cause};

/// The elements of an array.
pub(super) struct Elements {
    input: Bytes,
    element: Vec<u8>,
    expects: Expects,
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expects {
    Array,
    /// An element, or the end of an array that has none.
    FirstOrEnd,
    /// `,` or `]`.
    CommaOrEnd,
    Nothing,
}

/// One element: the line that it begins in, and its bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Element<'a> {
    Whole(u64, &'a [u8]),
    /// Longer than [`LONGEST`]: its beginning.
    TooLong(u64, &'a [u8]),
}

/// Why an array cannot be read further, and in which line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) line: u64,
    pub(super) reason: String,
}

impl Elements {
    pub(super) fn new(text: Text) -> Self {
        let input = Bytes { text, buffer: vec![0; 64 * 1024], filled: 0, at: 0, line: 1 };
        Self { input, element: Vec::new(), expects: Expects::Array }
    }

    pub(super) fn next(&mut self) -> Result<Option<Element<'_>>, Broken> {
        loop {
            let Some(byte) = self.input.skip_blanks()? else {
                return match self.expects {
                    Expects::Nothing => Ok(None),
                    _ => Err(self.input.broken("the array has no end")),
                };
            };
            match (self.expects, byte) {
                (Expects::Array, b'[') => {
                    self.input.consume(byte);
                    self.expects = Expects::FirstOrEnd;
                }
                (Expects::FirstOrEnd | Expects::CommaOrEnd, b']') => {
                    self.input.consume(byte);
                    self.expects = Expects::Nothing;
                }
                (Expects::CommaOrEnd, b',') => {
                    self.input.consume(byte);
                    self.input.skip_blanks()?;
                    return self.element().map(Some);
                }
                (Expects::FirstOrEnd, _) => return self.element().map(Some),
                (Expects::Array, _) => return Err(self.input.broken("an array must begin with [")),
                (Expects::CommaOrEnd, _) => return Err(self.input.broken("a , or ] is missing")),
                (Expects::Nothing, _) => return Err(self.input.broken("something follows the array")),
            }
        }
    }

    fn element(&mut self) -> Result<Element<'_>, Broken> {
        self.expects = Expects::CommaOrEnd;
        self.element.clear();
        self.element.shrink_to(16 * 1024);
        let line = self.input.line;
        let mut shape = Shape::default();
        let mut too_long = false;
        while let Some(byte) = self.input.peek()? {
            if shape.ends_before(byte) {
                break;
            }
            self.input.consume(byte);
            if !too_long {
                self.element.push(byte);
                if self.element.len() > LONGEST {
                    too_long = true;
                    self.element.truncate(SHOWN);
                }
            }
            if shape.ends_with(byte) {
                break;
            }
        }
        if shape.is_open() {
            return Err(Broken { line, reason: "the array ends within an element".to_owned() });
        }
        if self.element.is_empty() {
            return Err(self.input.broken("an element is missing"));
        }
        if too_long {
            Ok(Element::TooLong(line, &self.element))
        } else {
            Ok(Element::Whole(line, &self.element))
        }
    }
}

/// How far into an element the bytes have led.
#[derive(Default)]
struct Shape {
    depth: u64,
    in_string: bool,
    escaped: bool,
}

impl Shape {
    /// Whether `byte` is no part of the element any more.
    fn ends_before(&self, byte: u8) -> bool {
        self.depth == 0
            && !self.in_string
            && (matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace())
    }

    /// Takes `byte` as a part of the element; true when it is the last.
    fn ends_with(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }

    fn is_open(&self) -> bool {
        self.depth > 0 || self.in_string
    }
}

/// Bytes one by one, with the line that they stand in.
struct Bytes {
    text: Text,
    buffer: Vec<u8>,
    filled: usize,
    at: usize,
    line: u64,
}

impl Bytes {
    fn peek(&mut self) -> Result<Option<u8>, Broken> {
        if self.at == self.filled {
            self.at = 0;
            self.filled = loop {
                match self.text.read(&mut self.buffer) {
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                    Ok(filled) => break filled,
                    Err(e) => {
                        self.filled = 0;
                        return Err(self.broken(&cause(&e)));
                    }
                }
            };
            if self.filled == 0 {
                return Ok(None);
            }
        }
        Ok(self.buffer.get(self.at).copied())
    }

    fn consume(&mut self, byte: u8) {
        self.at += 1;
        self.line += u64::from(byte == b'\n');
    }

    fn skip_blanks(&mut self) -> Result<Option<u8>, Broken> {
        while let Some(byte) = self.peek()? {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Ok(Some(byte));
            }
            self.consume(byte);
        }
        Ok(None)
    }

    fn broken(&self, reason: &str) -> Broken {
        Broken { line: self.line, reason: reason.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn read(text: &str) -> (Vec<(u64, String)>, Option<Broken>) {
        let mut elements = Elements::new(Box::new(Cursor::new(text.as_bytes().to_vec())));
        let mut seen = Vec::new();
        loop {
            match elements.next() {
                Ok(None) => return (seen, None),
                Ok(Some(Element::Whole(line, bytes))) => {
                    seen.push((line, String::from_utf8_lossy(bytes).into_owned()));
                }
                Ok(Some(Element::TooLong(line, bytes))) => seen.push((line, format!("long {}", bytes.len()))),
                Err(broken) => return (seen, Some(broken)),
            }
        }
    }

    fn texts(text: &str) -> Vec<String> {
        let (seen, broken) = read(text);
        assert_eq!(broken, None, "{text}");
        seen.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn elements_of_every_sort() {
        assert_eq!(texts("[]"), [""; 0]);
        assert_eq!(texts(" [ ] \n"), [""; 0]);
        assert_eq!(
            texts(r#"[1,null , "a,]\"[\\" ,{"a":[{}],"b":"}"},[[],[1]],tru]"#),
            ["1", "null", r#""a,]\"[\\""#, r#"{"a":[{}],"b":"}"}"#, "[[],[1]]", "tru"]
        );
    }

    #[test]
    fn lines_are_counted() {
        let (seen, broken) = read("[\n{\n},\n\n 7]");
        assert_eq!(seen, [(2, "{\n}".to_owned()), (5, "7".to_owned())]);
        assert_eq!(broken, None);
    }

    #[test]
    fn what_came_before_a_break_is_kept() {
        for (text, kept, line) in [
            ("[1,\n2", 2, 2),
            ("[1,\n{\"a\":", 1, 2),
            ("[1,\n\"a", 1, 2),
            ("[1 2]", 1, 1),
            ("[1,]", 1, 1),
            ("[1,,2]", 1, 1),
            ("[,1]", 0, 1),
            ("[1]\n[2]", 1, 2),
            ("[1}", 1, 1),
            ("[", 0, 1),
            ("7", 0, 1),
        ] {
            let (seen, broken) = read(text);
            assert_eq!((seen.len(), broken.map(|b| b.line)), (kept, Some(line)), "{text}");
        }
    }

    #[test]
    fn an_element_beyond_the_bound_is_passed_over() {
        let text = format!("[\"{}\",1]", "x".repeat(3 * LONGEST));
        assert_eq!(texts(&text), [format!("long {SHOWN}"), "1".to_owned()]);
        let deep = format!("[{}{},2]", "[".repeat(3 * LONGEST), "]".repeat(3 * LONGEST));
        assert_eq!(texts(&deep), [format!("long {SHOWN}"), "2".to_owned()]);
    }
}
