"""Memory by the size of the collection, with the cache warm and with one that is too small for it."""

import http.client
import time
import urllib.parse

from .. import check, plot, servers, stats
from ..process import Failed
from ..report import table

TITLE = "Memory"

LARGEST = 1_000_000
SIZES = (1_000, 10_000, 100_000, LARGEST)
BOUND = 2.2
# A cache that holds about a sixth of the largest collection.
SMALL = 64 << 20


def run(context):
    found = {"sizes": {}}
    sizes = (246,) if context.quick else SIZES
    for size in sizes:
        context.say(f"{size:,} movies")
        collection = context.collection(size, None if context.quick else LARGEST)
        with context.alone():
            found["sizes"][str(size)] = of_size(context, collection)
    context.say("a cache that is too small")
    with context.alone():
        found["small"] = {"movies": sizes[-1], "cache_bytes": SMALL, **of_size(context, collection, SMALL)}
    return found


def of_size(context, collection, cache=None):
    """Bytes of the process when it is ready and when both codings were read; of the answers, which are checked."""
    settings = {"MARQUEE_CACHE_BYTES": cache} if cache else {}
    with servers.marquee(context, collection, **settings) as ours:
        marks = {"ready": ours.process.memory(), "bodies": {}}
        for _ in range(2):
            for kind in ("identity", "gzip"):
                marks["bodies"][kind] = download(ours, kind)
        time.sleep(2)
        marks["warm"] = ours.process.memory()
        marks["peak"] = ours.process.peak_memory()
        told = servers.metrics(ours)
        marks["held"] = told["marquee_cache_held_bytes"]
        for kind in ("identity", "gzip"):
            check.right(ours, kind, collection.movies())
        if cache:
            # Writes are seen as well, by a cache that can hold a part.
            changed = check.ask(f"{ours.url}/300" if collection.count >= 300 else f"{ours.url}/200", "PATCH",
                                {"Content-Type": "application/merge-patch+json"}, b'{"votes": 1}')
            fresh = check.ask(ours.url)
            if changed.status != 200 or changed.body not in fresh.body:
                raise Failed(f"the write is not in the next answer: {changed.status} {changed.body}")
    return marks


def download(server, kind):
    """How many bytes a whole answer has, without holding them."""
    parts = urllib.parse.urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=300)
    connection.request("GET", parts.path, headers={"Accept-Encoding": kind})
    answer, length, piece = connection.getresponse(), 0, True
    if answer.status != 200:
        raise Failed(f"{kind}: {answer.status}")
    while piece:
        piece = answer.read(1 << 20)
        length += len(piece)
    connection.close()
    return length


def mib(value):
    return stats.number(value / (1 << 20))


def line(size, marks):
    sum_of = sum(marks["bodies"].values())
    return [size, mib(marks["bodies"]["identity"]), mib(marks["bodies"]["gzip"]), mib(marks["ready"]), mib(marks["held"]), mib(marks["warm"]),
            mib(marks["peak"]), f"{marks['warm'] / sum_of:.2f}"]


def turns(_):
    return "one process of each"


def tables(found):
    rows = [line(f"{int(size):,}", marks) for size, marks in found["sizes"].items()]
    small = found["small"]
    rows.append(line(f"{small['movies']:,}, `MARQUEE_CACHE_BYTES={small['cache_bytes'] >> 20}MiB`", small))
    return ("What marquee holds (Pss), in MiB: once it is ready, and when the whole collection was read twice as it is and twice as gzip; "
            "beside the sum of those two bodies, and what the cache counts as held. Peak is the most that it ever held. Collections are the "
            "first of one million invented movies.\n\n"
            + table(["movies", "as it is", "gzip", "ready", "held by the cache", "warm", "peak", "warm / both bodies"], rows)
            + "\n\nIn the last line the cache is too small for the collection: answers then come by way of a temporary file. Each of them was "
            "parsed and had the right movies, and the next answer after a write had the write.")


def bounds(found):
    largest = list(found["sizes"])[-1]
    marks, small = found["sizes"][largest], found["small"]
    ratio = marks["warm"] / sum(marks["bodies"].values())
    return [
        (f"memory at {int(largest):,} movies, warm in identity and gzip", f"≤ {BOUND} × the sum of those bytes", f"{ratio:.2f} ×", ratio <= BOUND),
        (f"the same with `MARQUEE_CACHE_BYTES={small['cache_bytes'] >> 20}MiB`", "bounded by it, reads right",
         f"cache {mib(small['held'])} MiB, process {mib(small['warm'])} MiB (peak {mib(small['peak'])}); reads right",
         small["held"] <= small["cache_bytes"]),
    ]


def plots(found, folder):
    figure, axes = plot.figure(1, 1, 7.0, 3.6)
    axis = axes[0][0]
    sizes = [int(size) for size in found["sizes"]]
    every = list(found["sizes"].values())
    axis.plot(sizes, [marks["warm"] / (1 << 20) for marks in every], marker="o", color=plot.MARQUEE, linewidth=2, label="marquee, warm in both")
    axis.plot(sizes, [sum(marks["bodies"].values()) / (1 << 20) for marks in every], marker="o", color="#2a78b8", label="the bytes of both answers")
    axis.plot(sizes, [BOUND * sum(marks["bodies"].values()) / (1 << 20) for marks in every], linestyle="--", color=plot.INK, label=f"{BOUND} times that: the bound")
    axis.plot(sizes, [marks["ready"] / (1 << 20) for marks in every], marker="o", color="#2f9e44", label="marquee, cold")
    small = found["small"]
    axis.plot([small["movies"]], [small["warm"] / (1 << 20)], marker="D", linestyle="none", color="#8f5bd6",
              label=f"marquee, MARQUEE_CACHE_BYTES={small['cache_bytes'] >> 20}MiB")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("movies")
    axis.set_ylabel("MiB")
    axis.legend(fontsize=9)
    return [(plot.save(figure, folder, "memory"), "Memory by the size of the collection, on logarithmic scales")]
