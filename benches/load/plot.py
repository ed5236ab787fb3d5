"""Plots as SVG: small, the same bytes for the same figures, readable on light and on dark."""

import os

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402 (the backend comes first)

# A grey that can be read on white and on black, and colours that those who see few can tell apart.
INK = "#7d8590"
GRID = "#7d859055"
MARQUEE = "#e8590c"
COLOURS = {
    "marquee": MARQUEE, "marquee, access log": "#f4a261", "bare": "#2a78b8", "bare, same headers": "#74b0de",
    "nginx": "#2f9e44", "nginx cache": "#82c91e", "Varnish": "#8f5bd6", "plain": "#c2255c", "Flask": "#b08d00", "json-server": "#868e96",
}
CYCLE = ("#2a78b8", "#2f9e44", "#8f5bd6", "#c2255c", "#b08d00", "#0ca8a8")

matplotlib.rcParams.update({
    "svg.hashsalt": "marquee", "svg.fonttype": "none", "font.family": "DejaVu Sans",
    "font.size": 11, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": GRID, "axes.titlecolor": INK,
    "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.6, "axes.axisbelow": True,
    "legend.frameon": False, "legend.labelcolor": INK, "axes.titlesize": 11,
})


def colour(name, at=0):
    """The same for a contestant in every plot."""
    return COLOURS.get(name, CYCLE[at % len(CYCLE)])


def figure(columns=1, rows=1, width=9.0, height=3.6, **more):
    """A figure with axes: (figure, axes), axes always a list of rows of columns."""
    return plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **more)


def save(made, folder, name):
    """Writes NAME.svg; gives the file's name."""
    file = os.path.join(folder, f"{name}.svg")
    made.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    plt.close(made)
    # Trailing blanks are no part of a plot, and git complains of them.
    # The reader's own letters: those of the layout need not be there.
    with open(file, encoding="utf-8") as svg:
        lines = [line.rstrip().replace("'DejaVu Sans'", "sans-serif") + "\n" for line in svg]
    with open(file, "w", encoding="utf-8") as svg:
        svg.writelines(lines)
    return f"{name}.svg"
