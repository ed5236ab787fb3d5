//! What a soak was like, as a picture that can be read on light and on dark.

use std::fmt::Write;

/// What happened since the sample before.
pub(crate) struct Sample {
    pub(crate) second: f64,
    pub(crate) requests: u64,
    pub(crate) failures: u64,
    /// MiB.
    pub(crate) memory: [f64; 2],
    /// Of hits, in ms.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 130.0;
const LEFT: f64 = 60.0;
const BETWEEN: f64 = 60.0;
const INK: &str = "#7d8590";

/// A line by its colour and what it is of a sample.
type Line<'a> = (&'a str, &'a dyn Fn(&Sample) -> f64);

pub(crate) fn svg(samples: &[Sample]) -> String {
    let panels: [(&str, [Line<'_>; 2]); 3] = [
        ("memory of each replica, MiB", [("#e8590c", &|s| s.memory[0]), ("#2a78b8", &|s| s.memory[1])]),
        (
            "hits, ms: half are faster (blue), all but 1 % (orange)",
            [("#e8590c", &|s| s.p99), ("#2a78b8", &|s| s.p50)],
        ),
        (
            "in 5 s: requests (blue), those refused with 503 (orange)",
            [("#e8590c", &|s| s.failures as f64), ("#2a78b8", &|s| s.requests as f64)],
        ),
    ];
    let total = panels.len() as f64 * (HEIGHT + BETWEEN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {total}\" font-family=\"sans-serif\" font-size=\"12\">\n",
        LEFT + WIDTH + 20.0
    );
    let end = samples.last().map_or(1.0, |sample| sample.second);
    for (number, (title, lines)) in panels.iter().enumerate() {
        let top = number as f64 * (HEIGHT + BETWEEN) + 25.0;
        let bottom = top + HEIGHT;
        let most = lines.iter().flat_map(|(_, of)| samples.iter().map(of)).fold(1.0, f64::max) * 1.1;
        let mut text = |x: f64, y: f64, anchor: &str, text: &str| {
            writeln!(
                svg,
                "<text x=\"{x:.0}\" y=\"{y:.0}\" fill=\"{INK}\" text-anchor=\"{anchor}\">{text}</text>"
            )
            .unwrap();
        };
        text(LEFT, top - 8.0, "start", title);
        text(LEFT - 6.0, top + 10.0, "end", &format!("{most:.0}"));
        text(LEFT - 6.0, bottom, "end", "0");
        text(LEFT, bottom + 16.0, "start", "0 min");
        text(LEFT + WIDTH, bottom + 16.0, "end", &format!("{:.0} min", end / 60.0));
        writeln!(svg, "<path d=\"M{LEFT} {top}V{bottom}H{}\" fill=\"none\" stroke=\"{INK}\"/>", LEFT + WIDTH)
            .unwrap();
        for (colour, of) in lines {
            let point = |s: &Sample| {
                format!("{:.1},{:.1}", LEFT + s.second / end * WIDTH, bottom - of(s) / most * HEIGHT)
            };
            let points: Vec<String> = samples.iter().map(point).collect();
            let points = points.join(" ");
            writeln!(
                svg,
                "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.2\"/>"
            )
            .unwrap();
        }
    }
    svg + "</svg>\n"
}
