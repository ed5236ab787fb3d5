"""docs/BENCHMARKS.md, made of the stored results."""

import importlib
import json
import os

from . import scenarios

INTRO = """# Benchmarks

marquee beside its peers, on the same machine, the same movies and the same cores. `./bench` takes all of these figures and
writes this page; `./bench NAME` takes one scenario's again. It installs what it needs.

How to read them:

- **A ratio counts, an absolute figure does not.** Contestants are taken in turns, round after round, in an order that goes
  round. A ratio is that of two contestants *within a round*; the table has the median of the rounds and, in parentheses, the
  least and the most. Absolute figures are medians, and are those of this machine, load generator included.
- **The load generator runs beside the server**, on the same cores, and is not pinned: a rate is that of server and generator
  together, for everybody alike.
- **Every answer is checked.** Before its first turn and after its last, each contestant's answer of each kind is compared in
  status and length, and parsed: it must have the same movies, member by member. During a turn any status other than 2xx or
  3xx, any error of a socket, and a wrong mean length stop the whole run.
- **Everybody runs in the form that its makers recommend**, with keep-alive, without an access log, on as many workers as there
  are cores. marquee runs as it is shipped, with no setting changed but the address and the database.
"""


def module(name):
    return importlib.import_module(f".scenarios.{name.replace('-', '_')}", __package__)


def result_file(root, name):
    return os.path.join(root, "docs", "benchmarks", f"{name.replace('_', '-')}.json")


def store(root, name, found):
    """Keeps what a scenario found."""
    file = result_file(root, name)
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "w", encoding="utf-8") as out:
        json.dump(_shortened(found), out, indent=1, ensure_ascii=False)
        out.write("\n")


def stored(root, name):
    try:
        with open(result_file(root, name), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def render(root):
    """Writes the document and its plots."""
    folder = os.path.join(root, "docs", "benchmarks")
    bounds, sections = [], []
    for name in scenarios.ALL:
        found = stored(root, name)
        if found is None:
            continue
        scenario = module(name)
        key = name.replace("_", "-")
        bounds += [(key, *bound) for bound in getattr(scenario, "bounds", lambda _: [])(found)]
        plots = "\n\n".join(f"![{told}](benchmarks/{file})" for file, told in scenario.plots(found, folder))
        sections.append(f"## {scenario.TITLE}\n\n{scenario.tables(found).strip()}\n\n" + (f"{plots}\n\n" if plots else "") + _taken(key, found))
    text = INTRO + _bounds(bounds) + "\n" + "\n".join(sections)
    with open(os.path.join(root, "docs", "BENCHMARKS.md"), "w", encoding="utf-8") as out:
        out.write(text)


def table(columns, rows):
    """A Markdown table; every column but the first is of numbers."""
    lines = [columns, ["---"] + ["--:"] * (len(columns) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _bounds(bounds):
    if not bounds:
        return ""
    signs = {True: "met", False: "**not met**", None: "–"}
    rows = "\n".join(f"| {work} | {bound} | {measured} | {signs[met]} | [{key}](#{_anchor(module(key).TITLE)}) |"
                     for key, work, bound, measured, met in bounds)
    return ("\n## What was to be reached\n\nBounds that were set before the work, with what was measured. "
            "Where one is not met, its section says where the time goes.\n\n"
            f"| work | bound | measured | | section |\n|---|---|---|---|---|\n{rows}\n")


def _anchor(title):
    """As GitHub makes them."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def _taken(key, found):
    """By what command, when, of what and on what the figures were taken: a line for each part that has a run of its own."""
    turns = getattr(module(key), "turns", lambda found: f"{found['run']['rounds']} rounds, turns of {found['run']['seconds']} s")
    runs = [(f"{key}:{part}", one["run"], {"parts": {part: one}}) for part, one in found.get("parts", {}).items()]
    together = {(run["date"], run["commit"], run["cpu"]) for _, run, _ in runs}
    if len(together) <= 1:
        runs = [(key, found["run"], found)]
    versions = ", ".join(f"{name} {version}" for name, version in found["run"].get("versions", {}).items())
    lines = [f"`./bench {name}` on {run['date']}, commit {run['commit']}, {run['cpu']}, {run['memory_gib']} GiB, Linux {run['kernel']}; "
             f"{turns({'run': run, **of})}." for name, run, of in runs]
    return f"<sub>{'<br>'.join(lines)}{' ' + versions + '.' if versions else ''}</sub>\n"


def _shortened(value):
    """Figures need no more than six digits."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _shortened(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shortened(each) for each in value]
    return value
