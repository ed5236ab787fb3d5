//! The two text formats that scrapers read.

use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// A format of `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own, version 0.0.4: what everything that scrapes can read.
    Prometheus,
    /// OpenMetrics 1.0, for who asks for it, as Prometheus itself does.
    OpenMetrics,
}

impl Format {
    /// The one that these values of `Accept` prefer: OpenMetrics only where it is named, and not ranked below
    /// plain text.
    pub fn accepted<'a>(accept: impl Iterator<Item = &'a str>) -> Self {
        let (mut openmetrics, mut plain) = (0.0_f32, 0.0_f32);
        for range in accept.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let (mut weight, mut version) = (1.0_f32, "1.0.0");
            for part in parts {
                match part.split_once('=') {
                    Some(("q", q)) => weight = q.parse().unwrap_or(0.0),
                    Some(("version", v)) => version = v,
                    _ => {}
                }
            }
            if media.eq_ignore_ascii_case("application/openmetrics-text") && version == "1.0.0" {
                openmetrics = weight.max(openmetrics);
            } else if media.eq_ignore_ascii_case("text/plain") {
                plain = weight.max(plain);
            }
        }
        if openmetrics > 0.0 && openmetrics >= plain { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// What `Content-Type` says of it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Everything in `registry`.
///
/// # Errors
/// When a metric cannot be encoded.
pub fn told(registry: &Registry, format: Format) -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode(&mut text, registry)?;
    Ok(match format {
        Format::OpenMetrics => text,
        Format::Prometheus => plain(&text),
    })
}

/// OpenMetrics as Prometheus' older format: there a counter's name ends in `_total` in its description, too,
/// and there are neither units nor a mark at the end.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut help = None;
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|t| t.split_once(' ')) {
            let (total, kind) = match kind {
                "counter" => ("_total", kind),
                "unknown" => ("", "untyped"),
                _ => ("", kind),
            };
            let help = help.take().map_or("", |(_, help)| help);
            out.push_str(&format!("# HELP {name}{total} {help}\n# TYPE {name}{total} {kind}\n"));
        } else if !line.starts_with('#') {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_who_asks() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                          application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, format) in [
            (prometheus, Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("text/plain", Format::Prometheus),
            ("text/plain, application/openmetrics-text;q=0.5", Format::Prometheus),
            ("application/openmetrics-text;q=0", Format::Prometheus),
            ("application/openmetrics-text; version=0.0.1", Format::Prometheus),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Prometheus),
        ] {
            assert_eq!(Format::accepted([accept].into_iter()), format, "{accept}");
        }
    }

    #[test]
    fn counters_are_described_by_their_whole_name() {
        let text = "# HELP a_bytes What.\n# TYPE a_bytes counter\n# UNIT a_bytes bytes\na_bytes_total{b=\"# c\"} 1\n\
                    # HELP g Now.\n# TYPE g gauge\ng 2\n# EOF\n";
        let expected = "# HELP a_bytes_total What.\n# TYPE a_bytes_total counter\na_bytes_total{b=\"# c\"} 1\n\
                        # HELP g Now.\n# TYPE g gauge\ng 2\n";
        assert_eq!(plain(text), expected);
    }
}
