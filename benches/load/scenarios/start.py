"""From start to ready, and to the first answers of a cold cache."""

import http.client
import time
import urllib.parse

from .. import servers, stats
from ..process import Failed
from ..report import table

TITLE = "Start"

SIZES = (246, 58_788, 1_000_000)
BOUNDS = {58_788: 1.0, 1_000_000: 10.0}
# What is asked as soon as it is ready, in this order, each once: nothing of it is in the cache.
FIRST = {
    "one": ("one movie", "/v1/movies/200"),
    "page": ("a page of 50 by title", "/v1/movies?sort=title"),
    "collection": ("the whole collection", "/v1/movies"),
}


def run(context):
    found = {}
    for size in SIZES[:1] if context.quick else SIZES:
        collection = context.collection(size)
        folder = context.new_folder("start")
        url = f"sqlite://{collection.copy(folder)}"
        starts = []
        for number in range(context.rounds + 1):
            context.say(f"{size:,} movies, start {number + 1}")
            with context.alone():
                starts.append(once(context, folder, url, size))
        # The first one finds the file's pages already in memory, as the others do, but not its own program's.
        found[str(size)] = starts[1:]
    return {"sizes": found}


def once(context, folder, url, size):
    """Seconds from the start of the process to its start line and to ready; from asking to the first and the last byte."""
    began = time.monotonic()
    with servers.start_marquee(context, folder, f"marquee-{began:.3f}", url) as process:
        address = servers.marquee_address(process)
        marks = {"listening": time.monotonic() - began}
        host = urllib.parse.urlsplit(address).netloc
        process.wait_until(lambda: timed(host, "/readyz")[0] == 200, 60, pause=0.001)
        marks["ready"] = time.monotonic() - began
        for name, (_, path) in FIRST.items():
            status, first, last, length, headers = timed(host, path)
            if status != 200 or (name == "collection" and int(headers["x-total-count"]) != size):
                raise Failed(f"{path}: {status} {headers}")
            marks[name] = {"first_byte": first, "last_byte": last, "bytes": length}
        marks["memory"] = process.memory()
    return marks


def timed(host, path):
    """A status; seconds to the first byte of the answer and to its last; the length of its body; its headers."""
    connection = http.client.HTTPConnection(host, timeout=120)
    began = time.monotonic()
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        first, length, piece = time.monotonic() - began, 0, True
        while piece:
            piece = answer.read(1 << 20)
            length += len(piece)
        return answer.status, first, time.monotonic() - began, length, {name.lower(): value for name, value in answer.getheaders()}
    except OSError:
        return 0, 0, 0, 0, {}
    finally:
        connection.close()


def turns(found):
    return f"{len(next(iter(found['sizes'].values())))} starts of each"


def tables(found):
    rows = []
    for size, starts in found["sizes"].items():
        ms = lambda of: stats.number(stats.spread(map(of, starts))["median"] * 1e3)
        rows.append([f"{int(size):,}", ms(lambda start: start["listening"]), ms(lambda start: start["ready"]),
                     *(ms(lambda start, name=name, mark=mark: start[name][mark])
                       for name, mark in (("one", "last_byte"), ("page", "last_byte"), ("collection", "first_byte"), ("collection", "last_byte")))])
    return ("marquee on a SQLite file that is in the system's page cache, from the start of the process until `/readyz` says 200. Being "
            "ready takes the revision and a row for each 256 movies, not the movies: they are read when they are first asked for. So "
            "its first answers come from a cold cache, one after the other: one movie (its segment is read), a page of 50 "
            "(found by an index), the whole collection (every segment is read and encoded before the first byte leaves, since the "
            "answer must be of one moment; `MARQUEE_REQUEST_TIMEOUT_MS`, 10 s as it comes, bounds that). Medians, ms.\n\n"
            + table(["movies", "start line", "ready", "first movie", "first page", "first whole collection: first byte", "last byte"], rows))


def bounds(found):
    gathered = []
    for size, most in BOUNDS.items():
        if str(size) in found["sizes"]:
            ready = stats.spread(start["ready"] for start in found["sizes"][str(size)])
            first = stats.spread(start["one"]["last_byte"] for start in found["sizes"][str(size)])
            gathered.append((f"start to ready at {size:,} movies, SQLite", f"≤ {most:.0f} s, first answers before the cache is warm",
                             f"{ready['median']:.3f} s (at most {ready['high']:.3f}); the first movie {first['median'] * 1e3:.1f} ms later, nothing cached",
                             ready["median"] <= most))
    return gathered


def plots(found, folder):
    return []
