"""The number that people know: 15 million view-all calls, of the collection of 246 movies."""


from .. import check, servers, stats
from ..context import version
from ..generators import wrk
from ..report import table

TITLE = "Fifteen million calls"

PARTS = ("304", "gzip")
CALLS = 15_000_000
# Held for one chunk at a time, so that a shared machine is not ours for minutes.
CHUNK_S = 60


def versions():
    return {"wrk": version(["wrk", "-v"], r"wrk \S*?([\d.]+)")}


def run(context, part):
    calls = 100_000 if context.quick else CALLS
    collection = context.collection(246)
    with servers.marquee(context, collection) as ours:
        length = len(check.right(ours, part, collection.movies()).body)
        before = ours.process.cpu_seconds()
        chunks, done = [], 0
        while done < calls:
            with context.alone():
                chunks.append(wrk(ours, part, seconds=2 if context.quick else CHUNK_S, length=length))
            done += chunks[-1]["requests"]
            context.say(f"{part}: {done:,} calls")
        used = ours.process.cpu_seconds() - before
        check.right(ours, part, collection.movies())
    return {"calls": calls, "length": length, "chunks": chunks, "cpu_seconds": used}


def seconds(part):
    """Wall time for just so many calls: the last chunk went on beyond them, and counts in part."""
    time, left = 0.0, part["calls"]
    for chunk in part["chunks"]:
        share = min(1.0, left / chunk["requests"])
        time += share * chunk["seconds"]
        left -= share * chunk["requests"]
    return time


def turns(_):
    return "each once, in full"


def tables(found):
    rows = []
    for kind, part in found["parts"].items():
        time = seconds(part)
        total = sum(chunk["requests"] for chunk in part["chunks"])
        rows.append([{"304": "as conditional requests (304)", "gzip": f"as gzip ({part['length']:,} bytes each)"}[kind],
                     f"{int(time // 60)} min {time % 60:.0f} s", stats.number(part["calls"] / time),
                     stats.number(stats.spread(chunk["p50_ms"] for chunk in part["chunks"])["median"]),
                     stats.number(max(chunk["p99_ms"] for chunk in part["chunks"])),
                     stats.number(max(chunk["max_ms"] for chunk in part["chunks"])),
                     f"{part['cpu_seconds'] / total * 1e6:.1f}"])
    return (f"A service of this kind once told of 15 million view-all calls. Here they are: {CALLS:,} `GET /v1/movies` of 246 "
            f"movies over 64 connections that are kept, every one answered, wall time with `wrk -t1 -c64` on the same two cores. They "
            f"are measured in full, in chunks of {CHUNK_S} s that follow each other; of the last one only the part up to the last call "
            "counts.\n\n"
            + table(["", "wall time", "answers/s", "p50 ms", "worst p99 ms", "slowest ms", "processor µs each"], rows))


def bounds(found):
    told = "; ".join(f"{kind} {int(seconds(part) // 60)} min {seconds(part) % 60:.0f} s" for kind, part in found["parts"].items())
    return [("15 million view-all calls", "wall time, measured", told, None)]


def plots(found, folder):
    return []
