//! How a record is spelt. Whatever a client sent stays on its line: nothing of it can end the line, move
//! the cursor, or pass for another field.

use std::fmt;
use std::io::{self, Write};

use env_logger::fmt::Formatter;
use jiff::Timestamp;
use log::Record;
use log::kv::{self, Key, Value, VisitSource, VisitValue};
use serde_json::json;

/// `[TIME LEVEL target] message key=value key="a value"`
pub(super) fn text(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let (level, style) = (record.level(), out.default_level_style(record.level()));
    let time = out.timestamp();
    write!(out, "[{time} {style}{level:<5}{style:#} {}] {}", record.target(), OnOneLine(record.args()))?;
    visit(record, |key, value| {
        struct Text<'a>(&'a mut Formatter, &'a str);
        impl<'v> VisitValue<'v> for Text<'_> {
            fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
                Ok(write!(self.0, " {}={value}", self.1)?)
            }
            fn visit_null(&mut self) -> Result<(), kv::Error> {
                Ok(())
            }
            fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
                let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\');
                let is_plain = !value.is_empty() && value.bytes().all(plain);
                let (out, key) = (&mut *self.0, self.1);
                Ok(if is_plain { write!(out, " {key}={value}") } else { write!(out, " {key}={value:?}") }?)
            }
        }
        value.visit(&mut Text(&mut *out, key.as_str()))
    })?;
    writeln!(out)
}

/// `{"time":…,"level":…,"target":…,"message":…}`, and each field as a member of its own.
pub(super) fn json(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    write!(
        out,
        "{{\"time\":\"{:.3}\",\"level\":\"{}\",\"target\":{},\"message\":{}",
        Timestamp::now(),
        record.level(),
        quoted(record.target()),
        quoted(&record.args().to_string()),
    )?;
    visit(record, |key, value| {
        struct Json<'a>(&'a mut Formatter, &'a str);
        impl Json<'_> {
            fn member(&mut self, value: impl fmt::Display) -> Result<(), kv::Error> {
                Ok(write!(self.0, ",{}:{value}", json!(self.1))?)
            }
        }
        impl<'v> VisitValue<'v> for Json<'_> {
            fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
                self.member(quoted(&value.to_string()))
            }
            fn visit_null(&mut self) -> Result<(), kv::Error> {
                Ok(())
            }
            fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
                self.member(quoted(value))
            }
            fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
                self.member(value)
            }
            fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
                self.member(value)
            }
            fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
                self.member(json!(value))
            }
            fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
                self.member(value)
            }
        }
        value.visit(&mut Json(&mut *out, key.as_str()))
    })?;
    writeln!(out, "}}")
}

/// The line that stands for `lines` that were lost, as text.
pub(super) fn lost_text(lines: u64) -> String {
    format!("[{:.0} WARN  marquee::log] {}\n", Timestamp::now(), lost(lines))
}

/// The same as JSON.
pub(super) fn lost_json(lines: u64) -> String {
    let line = json!({
        "time": format!("{:.3}", Timestamp::now()),
        "level": "WARN",
        "target": "marquee::log",
        "message": lost(lines),
        "lines": lines,
    });
    format!("{line}\n")
}

fn lost(lines: u64) -> String {
    format!("{lines} lines of the log were lost here: stderr is read too slowly")
}

/// Calls `each` with every field of a record.
fn visit(
    record: &Record<'_>,
    each: impl FnMut(Key<'_>, Value<'_>) -> Result<(), kv::Error>,
) -> io::Result<()> {
    struct Each<F>(F);
    impl<'v, F: FnMut(Key<'_>, Value<'_>) -> Result<(), kv::Error>> VisitSource<'v> for Each<F> {
        fn visit_pair(&mut self, key: Key<'v>, value: Value<'v>) -> Result<(), kv::Error> {
            self.0(key, value)
        }
    }
    record.key_values().visit(&mut Each(each)).map_err(io::Error::other)
}

/// Whether a sign would end a line or steer a terminal.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A string of JSON. JSON itself lets stand much of what steers a terminal.
fn quoted(text: &str) -> String {
    let string = json!(text).to_string();
    if !string.contains(steers) {
        return string;
    }
    string.chars().fold(String::with_capacity(string.len() + 16), |mut safe, c| {
        if steers(c) {
            // None of them is beyond the first 65,536 signs.
            safe.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            safe.push(c);
        }
        safe
    })
}

/// Text without what would end a line or steer a terminal.
struct OnOneLine<'a>(&'a fmt::Arguments<'a>);

impl fmt::Display for OnOneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);
        impl fmt::Write for Escaping<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                let mut rest = text;
                while let Some((before, c)) =
                    rest.find(steers).and_then(|at| Some((rest.get(..at)?, rest.get(at..)?.chars().next()?)))
                {
                    write!(self.0, "{before}{}", c.escape_default())?;
                    rest = rest.get(before.len() + c.len_utf8()..).unwrap_or_default();
                }
                self.0.write_str(rest)
            }
        }
        fmt::write(&mut Escaping(f), *self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stays_on_its_line() {
        let told = |text: &str| OnOneLine(&format_args!("a {text}.")).to_string();
        assert_eq!(told("b"), "a b.");
        assert_eq!(
            told("é\n[2026 ERROR x] c\x1b[2J\r\u{202e}"),
            "a é\\n[2026 ERROR x] c\\u{1b}[2J\\r\\u{202e}."
        );
    }

    #[test]
    fn a_string_of_json_steers_nothing_and_is_read_back() {
        for text in ["", "a \"b\" \\", "é 👻", "\u{9b}2J\u{7f}\u{202e}\u{2028}\n\u{0}", "\u{85}é"] {
            let told = quoted(text);
            assert!(!told.contains(steers), "{told:?}");
            assert_eq!(serde_json::from_str::<String>(&told).unwrap(), text);
        }
    }

    #[test]
    fn what_was_lost_is_told_in_either_form() {
        assert!(lost_text(3).contains("3 lines of the log were lost"));
        let line: serde_json::Value = serde_json::from_str(&lost_json(3)).unwrap();
        assert_eq!(line["lines"], 3);
    }
}
