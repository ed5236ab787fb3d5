"""64 readers of the whole collection while writes arrive: how both fare, by the size of the collection and the rate of writes."""

import contextlib
import json
import os
import subprocess
import sys
import time

from .. import check, peers, plot, servers, stats, stores
from ..context import version
from ..generators import wrk
from ..process import Failed
from ..report import table

TITLE = "Reads while writes arrive"

# Numbers of movies.
PARTS = ("1000", "10000", "100000", "1000000")
RATES = (0, 1, 10, 100, 1000)
RATES_ASKED_AGAIN = (0, 10, 100)
# Who asks again with the tag of the last answer, where the whole answer is large.
ASKS_AGAIN = "asks again"
AGAIN_FROM = 100_000
DATABASE = "mysql"
# A round of a million takes minutes; and the plain form needs some 10 s to read them: one round of it says what there is to say.
LARGE = 1_000_000
FEWER_ROUNDS = 3
BOUND_AT = (100_000, "gzip", 100)


def versions():
    return {"wrk": version(["wrk", "-v"], r"wrk \S*?([\d.]+)")}


def seconds_for(context, size):
    """A turn must have answers enough for a p99."""
    return context.seconds * (1 if size < 100_000 else 2 if size < 1_000_000 else 4)


class Case:
    """A contestant at a rate of writes, as one to take in turns."""

    def __init__(self, server, rate):
        self.server, self.rate, self.name = server, rate, f"{server.name} at {rate}/s"


def run(context, part):
    """Both on one collection: {"database", "kinds": {kind: {"seconds", "rounds"}}}."""
    size, found = int(part), {}
    collection = context.collection(size)
    with contextlib.ExitStack() as stack:
        url = stores.filled(context, DATABASE, collection)
        ours = stack.enter_context(servers.marquee(context, url=url))
        ours.store = url
        url = context.database(DATABASE)
        with context.alone():
            peers.fill(context, url, collection)
        plain = stack.enter_context(peers.plain(context, url, PLAIN_RETRIES=20))
        plain.store = url
        with context.alone():
            for server in (ours, plain):
                check.right(server, "gzip", collection.movies())
        kinds = ("gzip", ASKS_AGAIN) if size >= AGAIN_FROM else ("gzip",)
        for kind in kinds:
            context.say(f"{size:,} movies, {kind}")
            rates = (0, 10) if context.quick else RATES if kind == "gzip" else RATES_ASKED_AGAIN
            seconds, large = seconds_for(context, size), size >= LARGE

            def take(contestants, rounds):
                cases = [Case(server, rate) for rate in rates for server in contestants]
                return context.turns(cases, lambda case: turn(context, case, kind, seconds), rounds=rounds, warm=False)
            found[kind] = {"seconds": seconds}
            rounds = min(context.rounds, FEWER_ROUNDS) if large or kind == ASKS_AGAIN else context.rounds
            found[kind]["rounds"] = take([ours] if large else [ours, plain], rounds)
            if large:
                found[kind]["plain"] = take([plain], 1)
        with context.alone():
            # What was written is deleted again, so that the movies must be those of the beginning.
            for server in (ours, plain):
                check.right(server, "gzip", collection.movies())
    return {"database": stores.version(context, DATABASE), "kinds": found}


def turn(context, case, kind, seconds):
    """So many seconds of readers, with the writer beginning a little before and ending a little after them."""
    server, found = case.server, {}
    counters = stores.Counters(context, server.store)
    metrics = servers.metrics(server)
    writer = Writer(context, server, case.rate, seconds + 0.6) if case.rate else None
    try:
        if writer:
            writer.begin()
        found["reads"] = reads(server, kind, seconds)
        if writer:
            found["writes"] = writer.end(strict=server.name == "marquee")
    finally:
        if writer:
            writer.stop()
    server.process.rest()
    writes = found.get("writes", {}).get("answered", 0)
    found["database"] = counters.since()
    found["metrics"] = {name: value - metrics.get(name, 0) for name, value in servers.metrics(server).items()
                        if name.startswith(("marquee_database_queries_total", "marquee_commits_total", "marquee_movies_read_total",
                                            "marquee_segments_encoded_total", "plain_loads_total")) and value != metrics.get(name, 0)}
    if writes:
        # Creates that are left are deleted after the turn, each a write as well.
        writes += found["writes"].get("cleaned", 0)
        found["statements_per_write"] = found["database"]["statements"] / writes
        found["rows_read_per_write"] = found["database"]["rows_read"] / writes
    found["rate"], found["p99_ms"] = found["reads"]["rate"], found["reads"].get("p99_ms")
    return found


def reads(server, kind, seconds):
    try:
        if kind == ASKS_AGAIN:
            return wrk(server, "gzip", seconds=seconds, script="again.lua")
        return wrk(server, kind, seconds=seconds)
    except Failed as failed:
        if server.name == "marquee":
            raise
        # The plain form may not answer once in a turn.
        return {"rate": 0, "failed": str(failed)[:300]}


class Writer:
    """load.paced in a process of its own."""

    def __init__(self, context, server, rate, seconds):
        self.name = f"{server.name} at {rate}/s"
        self.process = subprocess.Popen([sys.executable, "-m", "load.paced", server.url, str(rate), str(seconds)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise Failed(f"{self.name}: the writer did not start")

    def begin(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        time.sleep(0.3)

    def end(self, strict):
        """What it found, once it has deleted what it created. When strict, every write that was sent must have been done."""
        said = self.process.communicate(timeout=300)[0]
        if not said:
            raise Failed(f"{self.name}: the writer broke off")
        found = json.loads(said)
        wrong = {code: count for code, count in found["statuses"].items() if code not in ("201", "204")}
        sent = found["due"] - found["unsent"]
        if strict and (wrong or found["answered"] < sent):
            raise Failed(f"{self.name}: {found}")
        return found

    def stop(self):
        self.process.kill()
        self.process.wait()


def turns(found):
    kinds = [kind for part in found["parts"].values() for kind in part["kinds"].values()]
    seconds, rounds = (sorted({of(kind) for kind in kinds}) for of in (lambda kind: kind["seconds"], lambda kind: len(kind["rounds"])))
    return f"{' or '.join(map(str, rounds))} rounds, turns of {', '.join(map(str, seconds))} s"


def bounds(found):
    size, kind, rate = BOUND_AT
    part = found["parts"].get(str(size))
    if part:
        rounds = part["kinds"][kind]["rounds"]
        one, other = f"marquee at {rate}/s", "marquee at 0/s"
        reads = stats.ratios(rounds, one, other)
        slower = stats.ratios(rounds, one, other, "p99_ms")
        rates = {who: stats.number(stats.middle_of([each[f"{who} at {rate}/s"] for each in rounds], "rate")) for who in ("marquee", "plain")}
        beside = f" ({rates['marquee']} answers/s; plain: {rates['plain']})"
        what = f"reads under {rate} writes/s at {size:,} movies, against read-only"
        yield what, "≥ 0.8", stats.ratio(reads) + beside, reads["median"] >= 0.8
        yield "p99 of the same, against read-only", "≤ 2×", stats.ratio(slower), slower["median"] <= 2


def tables(found):
    parts = [INTRO.format(database=", ".join({part["database"] for part in found["parts"].values()}))]
    for size, of_size in found["parts"].items():
        for kind, part in of_size["kinds"].items():
            rows = []
            for name, rounds in by_name(part):
                turns = [each[name] for each in rounds]
                who, _, rate = name.removesuffix("/s").partition(" at ")
                readonly = f"{who} at 0/s"
                reads, writes = middle(turns, "reads"), middle(turns, "writes")
                against = stats.ratio(stats.ratios(rounds, name, readonly)) if all(each[readonly]["rate"] for each in rounds) else "–"
                answers = stats.number(reads["rate"]) if reads["rate"] else f"none in {part['seconds']} s"
                cores = reads["cpu_us"] * reads["rate"] / 1e6 if "cpu_us" in reads else None
                rows.append([f"{who}, {rate} writes/s", answers, against, stats.number(cores, 2),
                             *(stats.number(reads.get(what)) for what in ("p50_ms", "p99_ms", "p999_ms")),
                             stats.number(writes.get("rate")), stats.number(writes.get("p50_ms")), stats.number(writes.get("p99_ms")),
                             *(stats.number(stats.middle_of(turns, what)) for what in ("statements_per_write", "rows_read_per_write"))])
            parts.append(f"### {int(size):,} movies, {kind if kind == ASKS_AGAIN else 'as ' + kind}\n\n" + table(
                ["", "answers/s", "of read-only", "its cores", "p50 ms", "p99 ms", "p99.9 ms", "writes/s", "write p50 ms", "write p99 ms",
                 "statements for a write", "rows read for a write"], rows))
    return "\n\n".join(parts)


INTRO = """`wrk -t1 -c64` asks for the whole collection, as gzip, without a pause; meanwhile movies with genres are created and deleted, in
turns so that the collection keeps its size, at a rate that does not wait for answers: what is due while others are under way
is sent all the same, and its latency counts from when it was due. All on MySQL {database}. *plain* is the usual form of such a
service (`benches/plain`): one key for the whole collection, invalidated by each write. Gzip is what browsers and most libraries ask
for, and what two cores can carry beside a load generator also where the answer is large: at a million movies the JSON has some 280 MB, and 64 of
these at once would measure the memory's speed. There, and at 100,000 movies, *asks again* is the same with clients that
know the last answer's `ETag`: 304 until the next write, the whole answer after it.

Statements and rows are the server's own count (`Questions`, `Innodb_rows_read`), all that was caused, by reads as well, divided by
the writes; at a low rate of writes the follower's poll, ten times a second, is most of it. marquee's work after a write
is a segment's, so that it is the same at every size. Latencies are of the answers that came within the turn.

*Its cores* is the processor time of the contestant, of the two cores that it shares with the database, wrk and the writer. That is
where reads go when writes arrive: at 100,000 movies wrk and the kernel move 3 GB/s without writes, which leaves little over. With
100 writes/s marquee itself has nine tenths of what it has of the cores without; the rest is the database's, which executes some sixty
transactions of 14 to 17 statements a second. With 1,000 writes/s there are not many more transactions, since more writes go into
each. For less, a transaction would have to be fewer statements, or the database be on cores of its own.

The plain form compresses each answer and reads the whole collection again after each write. At 100,000 movies it needs longer than a turn to
answer 64 clients once, so that its rates are rough and its latencies those of the lucky ones; it could not do 100 writes/s beside them."""


def by_name(part):
    for name in part["rounds"][0]:
        yield name, part["rounds"]
    for name in part.get("plain", [{}])[0]:
        yield name, part["plain"]


def middle(turns, what):
    """The medians of a group of figures."""
    names = {name for each in turns for name, value in each.get(what, {}).items() if isinstance(value, (int, float))}
    return {name: stats.middle_of([each.get(what, {}) for each in turns], name) for name in names}


def plots(found, folder):
    sizes = list(found["parts"])
    figure, axes = plot.figure(columns=2)
    for at, size in enumerate(sizes):
        for who, style in (("marquee", "-"), ("plain", "--")):
            points = {}
            for name, rounds in by_name(found["parts"][size]["kinds"]["gzip"]):
                if name.startswith(who + " "):
                    points[int(name.removesuffix("/s").rpartition(" ")[2])] = [each[name] for each in rounds]
            zero = stats.middle_of(points.get(0, []), "rate")
            if not zero:
                continue
            rates = sorted(rate for rate in points if rate)
            share = [stats.middle_of(points[rate], "rate") / zero for rate in rates]
            p99 = [stats.middle_of(points[rate], "p99_ms") for rate in rates]
            axes[0][0].plot(rates, share, style, marker="o", markersize=3.5, color=plot.CYCLE[at], label=f"{who}, {int(size):,}")
            axes[0][1].plot(rates, p99, style, marker="o", markersize=3.5, color=plot.CYCLE[at])
    axes[0][0].set(xscale="log", xlabel="writes/s", ylabel="reads, of the rate without writes", ylim=(0, None))
    axes[0][1].set(xscale="log", yscale="log", xlabel="writes/s", ylabel="p99 of reads, ms")
    axes[0][0].legend(fontsize=8, ncols=2)
    return [(plot.save(figure, folder, "mixed"), "Reads that are left, and their p99, by the rate of writes and the size of the collection")]
