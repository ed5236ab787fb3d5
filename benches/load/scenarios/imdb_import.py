"""`marquee import` of IMDb's files, against the driver alone with the same rows."""

import json
import os
import subprocess
import sys
import time

from .. import plot, stats, stores
from ..process import Failed, run as run_program
from ..report import table

TITLE = "Import"

DATABASES = ("mysql", "mariadb", "sqlite")
SIZES = (100_000, 1_000_000)
PARTS = tuple(f"{size}/{kind}" for size in SIZES for kind in DATABASES)
# A round of a million takes a quarter of an hour.
LARGE, ROUNDS_OF_LARGE = 1_000_000, 2
OURS, RAW = "marquee import", "driver alone"


def run(context, part):
    """An import and the driver alone, of so many movies into one database: {"version", "rows", "rounds"}."""
    size, kind = part.split("/")
    size = 10_000 if context.quick else int(size)
    inputs, source = files(context, size), context.collection(size).file
    expected = json.loads(run_program([context.binaries.raw, "--count", f"sqlite://{source}"]))
    cases = [Ours(context, kind, inputs, expected), Raw(context, kind, source)]
    rounds = min(context.rounds, ROUNDS_OF_LARGE) if size >= LARGE else context.rounds
    return {"version": stores.version(context, kind), "rows": expected,
            "rounds": context.turns(cases, lambda case: case.measure(), rounds=rounds, warm=False)}


def files(context, size):
    """IMDb's four files."""
    folder = context.new_folder("imdb")
    script = os.path.join(context.root, "benches", "load", "make-imdb.py")
    with context.alone():
        run_program([sys.executable, script, folder, "--rows", size, "--only-movies"])
    return sorted(os.path.join(folder, name) for name in os.listdir(folder))


class Ours:
    name = OURS

    def __init__(self, context, kind, inputs, expected):
        self.context, self.kind, self.inputs, self.expected = context, kind, inputs, expected

    def measure(self):
        """From start to end of the program, its migrations of an empty database included."""
        with stores.passing(self.context, self.kind) as url:
            folder = self.context.new_folder("import")
            log, metrics = os.path.join(folder, "log"), os.path.join(folder, "metrics.prom")
            with open(log, "wb") as out:
                began = time.monotonic()
                process = subprocess.Popen([self.context.binaries.marquee, "import", "--metrics-file", metrics, *self.inputs], stderr=out,
                                           env={**os.environ, "DATABASE_URL": url})
                # wait4 also tells the most memory that it held.
                _, status, used = os.wait4(process.pid, 0)
                seconds = time.monotonic() - began
                process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                with open(log, encoding="utf-8") as text:
                    raise Failed(f"marquee import ended with {process.returncode}: {text.read()[-2000:]}")
            there = json.loads(run_program([self.context.binaries.raw, "--count", url]))
            if there != self.expected:
                raise Failed(f"marquee import: {there} instead of {self.expected}")
            with open(metrics, encoding="utf-8") as text:
                joined = next(int(float(line.split()[1])) for line in text if line.startswith("marquee_import_joined_held_bytes "))
        return {"seconds": seconds, "rate": self.expected["movies"] / seconds, "peak_bytes": used.ru_maxrss * 1024, "joined_bytes": joined,
                "cpu_seconds": used.ru_utime + used.ru_stime}


class Raw:
    name = RAW

    def __init__(self, context, kind, source):
        self.context, self.kind, self.source = context, kind, source

    def measure(self):
        """Its clock runs from the first statement to the last commit; it counts the rows by itself."""
        with stores.passing(self.context, self.kind) as url:
            run_program([self.context.binaries.marquee, "migrate"], env={"DATABASE_URL": url})
            found = json.loads(run_program([self.context.binaries.raw, self.source, url]))
        return {"seconds": found["seconds"], "rate": found["rows"]["movies"] / found["seconds"]}


def turns(found):
    return "the rounds are in the tables, and a turn is one import or one run of the driver"


def bounds(found):
    for (kind, size), part in sorted(by_size(found).items(), key=lambda each: DATABASES.index(each[0][0])):
        ratio = stats.ratios(part["rounds"], OURS, RAW)
        yield f"import of {size:,} movies into {stores.NAMES[kind]}, against the driver alone", "≥ 0.5", stats.ratio(ratio), ratio["median"] >= 0.5
    few, many = SIZES
    for kind in DATABASES:
        less, more = (memory(by_size(found).get((kind, size))) for size in SIZES)
        if less and more:
            growth = (more["peak_bytes"] - more["joined_bytes"]) / (less["peak_bytes"] - less["joined_bytes"])
            yield (f"memory of an import into {stores.NAMES[kind]}, of {many:,} movies against {few:,}", "flat (≤ 1.25×), but for what joined files hold",
                   f"{growth:.2f}× ({mib(more['peak_bytes'])} MiB, {mib(more['joined_bytes'])} of them joined files)", growth <= 1.25)


def by_size(found):
    """{(database, movies): part}"""
    return {(part.split("/")[1], int(part.split("/")[0])): value for part, value in found["parts"].items()}


def memory(part):
    """The most that an import ever held in memory, and what of it were joined files."""
    turns = [each[OURS] for each in part["rounds"]] if part else []
    return {name: max(turn[name] for turn in turns) for name in ("peak_bytes", "joined_bytes")} if turns else None


def mib(count):
    return f"{count / 2**20:.0f}"


def tables(found):
    parts = ["""IMDb's four files (`benches/load/make-imdb.py`: invented titles and people in their form, every one a movie) into an empty database.
*Driver alone* (`benches/raw`) inserts the very rows that an import makes into the same tables, with the same indexes and
references: movies, their links to genres and directors, and what they are found by. All are in memory before its clock starts; then
prepared statements of 1,000 rows go out in transactions of 10,000 movies. It parses, joins, looks up and encodes nothing, and counts its rows
after the end. SQLite's driver is rusqlite, that of the others mysql_async. The buffers of the databases are as large as they come
(MySQL and MariaDB 128 MiB, SQLite 2 MiB), so that a million movies with their indexes do not fit; each transaction is synced.
The time of an import is that of the whole program, its reading and joining of the files included. Its memory does not grow
with `title.basics`, but the other three files are joined to it in memory, at some 45 bytes a title (`--join-memory` bounds that).

Where the time goes: on MySQL and MariaDB an import waits for the server, its own part is some 25 µs of a processor for a movie. On SQLite half of it is
the kernel, which copies pages between the file, the log and SQLite's own small cache (perf, 100,000 movies): an import's
transactions have 2,000 movies each, those of the driver alone 10,000."""]
    for size in SIZES:
        rows, inserted = [], None
        for kind in DATABASES:
            part = by_size(found).get((kind, size))
            if not part:
                continue
            rounds, inserted = part["rounds"], part["rows"]
            ours, raw = (stats.of(rounds, name, "seconds")["median"] for name in (OURS, RAW))
            held = memory(part)
            rows.append([f"{stores.NAMES[kind]} {part['version'] or ''}".rstrip(), f"{ours:.1f}", stats.number(size / ours), f"{raw:.1f}",
                         stats.number(size / raw), stats.ratio(stats.ratios(rounds, OURS, RAW)), mib(held["peak_bytes"]),
                         mib(held["joined_bytes"]), str(len(rounds))])
        if rows:
            told = ", ".join(f"{count:,} of {name.replace('_', ' ')}" for name, count in inserted.items())
            parts.append(f"### {size:,} movies\n\n{sum(inserted.values()):,} rows: {told}.\n\n" + table(
                ["", "import, s", "movies/s", "driver alone, s", "movies/s", "import against it", "peak memory, MiB", "of it joined files", "rounds"],
                rows))
    return "\n\n".join(parts)


def plots(found, folder):
    parts = by_size(found)
    sizes = sorted({size for _, size in parts})
    figure, axes = plot.figure(columns=len(sizes), height=2.8)
    for axis, size in zip(axes[0], sizes):
        kinds = [kind for kind in DATABASES if (kind, size) in parts]
        for at, (name, colour) in enumerate(((OURS, plot.MARQUEE), (RAW, plot.CYCLE[0]))):
            spreads = [stats.of(parts[kind, size]["rounds"], name) for kind in kinds]
            axis.barh([place - 0.2 + 0.4 * at for place in range(len(kinds))], [each["median"] for each in spreads], 0.38, color=colour,
                      label=name, ecolor=plot.INK, xerr=[[each["median"] - each["low"] for each in spreads],
                                                         [each["high"] - each["median"] for each in spreads]])
        axis.set(title=f"{size:,} movies", xlabel="movies/s", yticks=range(len(kinds)), yticklabels=[stores.NAMES[kind] for kind in kinds])
        axis.invert_yaxis()
    axes[0][0].legend()
    return [(plot.save(figure, folder, "import"), "Movies a second of an import and of the driver alone, on each database")]
