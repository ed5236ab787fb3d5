"""What one write costs the next reader, by the size of the collection: rows, bytes, and the time to a fresh answer."""

import http.client
import json
import time
import urllib.parse

from .. import check, peers, plot, servers, stats
from ..process import Failed
from ..report import table

TITLE = "After a write"

LARGEST = 1_000_000
SIZES = (1_000, 10_000, 100_000, LARGEST)
KINDS = ("identity", "gzip")
# In a segment that is full and the same in every collection.
MOVIE = 300
VOTES = 100_000
# What is counted, by the names of /metrics.
COUNTED = {
    "movies_read": "marquee_movies_read_total",
    "segments_read": "marquee_segments_read_total",
    "segments_encoded": "marquee_segments_encoded_total",
    "encoded_bytes": "marquee_encoded_bytes_total",
    "queries": 'marquee_database_queries_total{purpose="write"}',
    "queries_by_reads": 'marquee_database_queries_total{purpose="load"}',
}


def versions():
    return {name: told for name, told in peers.versions().items() if name == "MariaDB"}


def run(context):
    found = {}
    for size in (1_000,) if context.quick else SIZES:
        collection = context.collection(size, None if context.quick else LARGEST)
        # Writes in a round: fewer where each is followed by hundreds of megabytes.
        few = 2 if context.quick else 5 if size == LARGEST else 20
        context.say(f"{size:,} movies")
        with context.alone(), servers.marquee(context, collection) as ours:
            mine = rounds(context, ours, few, patch)
            movies = check.ask(ours.url, headers={"Accept-Encoding": "gzip"}).json()
            if len(movies) != size or movies[MOVIE - 1]["votes"] < VOTES:
                raise Failed(f"{size:,}: {len(movies)} movies after the writes")
        context.say(f"{size:,} movies, plain form")
        with context.alone():
            twins = context.database("mariadb")
            peers.fill(context, twins, collection)
            with peers.plain(context, twins) as plain:
                theirs = rounds(context, plain, 1 if size > 10_000 else 5, post)
        found[str(size)] = {"marquee": mine, "plain": theirs}
    return {"sizes": found}


def rounds(context, server, writes, write):
    """{kind: [what some_writes() gave, …]}, with a round first that is thrown away."""
    found = {kind: [] for kind in KINDS}
    for number in range(context.rounds + 1):
        for kind in KINDS:
            found[kind].append(some_writes(server, kind, writes, number, write))
    return {kind: each[1:] for kind, each in found.items()}


def patch(connection, number):
    """Changes one movie."""
    body = json.dumps({"votes": VOTES + number})
    connection.request("PATCH", f"/v1/movies/{MOVIE}", body, {"Content-Type": "application/merge-patch+json"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise Failed(f"PATCH: {answer.status} {answer.read()}")
    answer.read()


def post(connection, number):
    """The plain form has no PATCH: a movie more."""
    connection.request("POST", "/v1/movies", json.dumps({"title": f"Nr. {number}", "genres": ["Drama"]}), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != 201:
        raise Failed(f"POST: {answer.status} {said}")


def some_writes(server, kind, writes, round_number, write):
    """Medians of: seconds from asking, after a write was acknowledged, to the first byte of a fresh answer, and to its last.

    With what was counted for each write and the read that followed it, where the server counts.
    """
    host = urllib.parse.urlsplit(server.url).netloc
    writer, reader = http.client.HTTPConnection(host, timeout=300), http.client.HTTPConnection(host, timeout=300)
    before = counts(server)
    took, first, last = [], [], []
    for number in range(writes):
        began = time.perf_counter()
        write(writer, round_number * writes + number)
        took.append(time.perf_counter() - began)
        begin, end = read(server, kind, reader)
        first.append(begin)
        last.append(end)
    after = counts(server)
    writer.close()
    reader.close()
    return {"write_s": stats.spread(took)["median"], "first_byte_s": stats.spread(first)["median"], "last_byte_s": stats.spread(last)["median"],
            "counted": {name: (after[name] - before[name]) / writes for name in after}}


def counts(server):
    told = servers.metrics(server)
    return {name: told.get(metric, 0.0) for name, metric in COUNTED.items()} if "marquee_revision" in told else {}


def read(server, kind, connection=None):
    """Seconds from asking to the first byte of the answer's head, and to the last of its body."""
    connection = connection or http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=300)
    began = time.perf_counter()
    connection.request("GET", "/v1/movies", headers={"Accept-Encoding": kind})
    answer = connection.getresponse()
    first, piece = time.perf_counter() - began, True
    if answer.status != 200:
        raise Failed(f"GET: {answer.status}")
    while piece:
        piece = answer.read(1 << 20)
    return first, time.perf_counter() - began


def turns(found):
    rounds = len(next(iter(found["sizes"].values()))["marquee"]["identity"])
    return f"{rounds} rounds of 20 writes each (5 at {LARGEST:,} movies; of the plain form 5, and 1 beyond 10,000 movies)"


def of(found, size, who, kind, what):
    rounds = found["sizes"][size][who][kind]
    return stats.spread(each["counted"][what] if what in COUNTED else each[what] for each in rounds)


def tables(found):
    sizes, rows = list(found["sizes"]), []
    for kind in KINDS:
        for size in sizes:
            rows.append([f"{int(size):,}, {kind}", *(stats.number(of(found, size, "marquee", kind, what)["median"], 6) for what in
                                                    ("movies_read", "segments_encoded", "encoded_bytes", "queries", "queries_by_reads")),
                         *(milliseconds(of(found, size, "marquee", kind, what)) for what in ("write_s", "first_byte_s")),
                         milliseconds(of(found, size, "plain", kind, "first_byte_s"))])
    return (f"One movie is changed (`PATCH`), and as soon as that is acknowledged the whole collection is read. The movie ({MOVIE}) is in a full "
            "segment that is the same in each collection (the first of one million invented movies). Rows, segments, bytes and queries "
            "are counted by `/metrics`: all that the write and the read after it did together, for each write. marquee is on SQLite, "
            "which syncs each commit; the plain form is on MariaDB, and its write is a `POST`. Times are ms: medians of the rounds' medians, "
            "with the least and the most of them.\n\n"
            + table(["movies", "rows read", "segments encoded", "bytes encoded", "queries by the write", "by the read", "write", "first byte of the fresh answer",
                     "the plain form's first byte"], rows))


def milliseconds(found):
    return f"{stats.number(found['median'] * 1e3)} ({stats.number(found['low'] * 1e3)}–{stats.number(found['high'] * 1e3)})"


def bounds(found):
    sizes = list(found["sizes"])
    small, large = sizes[0], sizes[-1]
    gathered = []
    def counted(size, kind, what):
        return of(found, size, "marquee", kind, what)["median"]
    # The version of a movie that is written more often has a digit more.
    same = all(counted(small, kind, "movies_read") == counted(large, kind, "movies_read")
               and abs(counted(small, kind, "encoded_bytes") - counted(large, kind, "encoded_bytes")) <= 2 for kind in KINDS)
    told = ", ".join(f"{stats.number(of(found, size, 'marquee', 'identity', 'movies_read')['median'], 6)} rows and "
                     f"{stats.number(of(found, size, 'marquee', 'identity', 'encoded_bytes')['median'], 6)} bytes at {int(size):,}" for size in (small, large))
    gathered.append((f"work after one write at {int(large):,} movies against {int(small):,}", "rows read and bytes encoded equal (but for the digits of a version)", told, same))
    ratios = {kind: stats.spread(one["first_byte_s"] / other["first_byte_s"] for one, other in
                                 zip(found["sizes"][large]["marquee"][kind], found["sizes"][small]["marquee"][kind])) for kind in KINDS}
    gathered.append(("time from there to the next fresh answer's first byte", "≤ 2 times",
                     "; ".join(f"{kind} {stats.ratio(ratio)}" for kind, ratio in ratios.items()), all(ratio["median"] <= 2 for ratio in ratios.values())))
    return gathered


def plots(found, folder):
    sizes = list(found["sizes"])
    numbers = [int(size) for size in sizes]
    figure, axes = plot.figure(2, 1, 9.5, 3.4)
    for column, kind in enumerate(KINDS):
        axis = axes[0][column]
        for who in ("marquee", "plain"):
            axis.plot(numbers, [of(found, size, who, kind, "first_byte_s")["median"] * 1e3 for size in sizes], marker="o", linewidth=2,
                      color=plot.colour(who), label=who)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("movies")
        axis.set_title(f"after a write, {kind}")
    axes[0][0].set_ylabel("ms to the first byte")
    axes[0][0].legend()
    return [(plot.save(figure, folder, "after-write"), "Time from an acknowledged write to the first byte of the next answer, by the size of the collection, on logarithmic scales")]
