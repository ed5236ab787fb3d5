"""Three replicas on one database: how soon another one shows a write, and what a write makes all of them read; with Redis and without."""

import collections
import contextlib
import http.client
import json
import random
import socket
import time
import urllib.parse

from .. import check, plot, servers, stats, stores
from ..context import version
from ..process import Failed, Process, free_port
from ..report import table

TITLE = "Many replicas"

DATABASE = "mariadb"
MOVIES = 3201
REPLICAS = 3
# Writes in a round.
WRITES = 100
# Of the two ways, the name that their results have, and what another replica may take to show a write, in ms: with Redis what was
# set, without it what the poll (MARQUEE_POLL_MS as it comes) takes and 20 ms.
REDIS, POLL = "with Redis", "without"
POLL_MS = 100
WITHIN_MS = {REDIS: 10, POLL: POLL_MS + 20}


def versions():
    return {"Redis": version(["redis-server", "--version"], r"v=([\d.]+)")}


def run(context):
    """{"version", "ways": {way: [{"shown_ms": [...], "segments": [...]}, …]}, "started": {way: [...]}}"""
    writes = 10 if context.quick else WRITES
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(start_redis(context))
        ways = []
        for way in (REDIS, POLL):
            url = stores.filled(context, DATABASE, context.collection(MOVIES))
            ways.append(stack.enter_context(Replicas(context, way, url, redis if way == REDIS else None)))
        rounds = context.turns(ways, lambda way: way.round(writes), warm=False)
        started = context.turns(ways, lambda way: way.one_more(), warm=False)
    return {"version": stores.version(context, DATABASE), **{
        name: {way: [each[way] for each in found] for way in (REDIS, POLL)} for name, found in (("ways", rounds), ("started", started))}}


@contextlib.contextmanager
def start_redis(context):
    """The URL of a Redis that keeps nothing on disk."""
    port = free_port()
    with Process("redis", ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
                 context.new_folder("redis")) as process:
        def answers():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as wire:
                wire.sendall(b"PING\r\n")
                return wire.recv(5) == b"+PONG"
        process.wait_until(answers)
        yield f"redis://127.0.0.1:{port}"


class Replicas:
    """So many of marquee on one database."""

    def __init__(self, context, way, url, redis):
        self.context, self.name, self.url = context, way, url
        self.settings = {"REDIS_URL": redis} if redis else {}
        self.stack = contextlib.ExitStack()
        self.replicas = [self._start(number) for number in range(REPLICAS)]
        self.random = random.Random(1)

    def _start(self, number):
        server = self.stack.enter_context(servers.marquee(self.context, url=self.url, name=f"replica {number}", **self.settings))
        if self.settings:
            server.process.wait_until(lambda: servers.metrics(server)["marquee_redis_up"] == 1)
        return server

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def round(self, writes):
        """Each write is by one replica, and looked for on the others from the moment that it was acknowledged."""
        wires = [Wire(server) for server in self.replicas]
        for wire in wires:
            wire.collection()
        shown, segments = [], []
        for _ in range(writes):
            # So that writes come at any moment between two polls.
            time.sleep(self.random.uniform(0, 1.5 * POLL_MS / 1e3))
            before = self._read()
            writer = self.random.randrange(REPLICAS)
            revision = wires[writer].write(self.random.randint(1, MOVIES), self.random.randint(1, 100_000))
            shown += self._until_shown(wires[:writer] + wires[writer + 1:], revision)
            for wire in wires:
                if wire.collection() < revision:
                    raise Failed(f"{self.name}: a replica that showed revision {revision} went back")
            segments.append(int(self._read() - before))
        for wire in wires:
            wire.connection.close()
        return {"shown_ms": shown, "segments": segments}

    @staticmethod
    def _until_shown(others, revision):
        """Milliseconds from now until each of the others gives one movie at that revision; asked without a pause."""
        began, shown, waiting = time.perf_counter(), [], list(others)
        while waiting:
            for wire in list(waiting):
                if wire.one() >= revision:
                    shown.append((time.perf_counter() - began) * 1e3)
                    waiting.remove(wire)
            if time.perf_counter() - began > 10:
                raise Failed(f"revision {revision} was not shown by {len(waiting)} replicas after 10 s")
        return shown

    def _read(self):
        """How many segments the replicas have read from the database."""
        return sum(servers.metrics(server)["marquee_segments_read_total"] for server in self.replicas)

    def one_more(self):
        """A replica that starts: where it has its segments from when it is first asked for everything."""
        with servers.marquee(self.context, url=self.url, name="one more", **self.settings) as server:
            if self.settings:
                server.process.wait_until(lambda: servers.metrics(server)["marquee_redis_up"] == 1)
            began = time.perf_counter()
            check.ask(server.url)
            seconds = time.perf_counter() - began
            told = servers.metrics(server)
            return {"first_ms": seconds * 1e3, "from_redis": told["marquee_redis_hits_total"], "from_database": told["marquee_segments_read_total"]}


class Wire:
    """A connection to a replica that is kept."""

    def __init__(self, server):
        parts = urllib.parse.urlsplit(server.url)
        self.connection, self.path = http.client.HTTPConnection(parts.netloc, timeout=60), parts.path
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _revision(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body, headers or {})
        answer = self.connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise Failed(f"{method} {path}: {answer.status} {said[:500]}")
        return int(answer.getheader("Marquee-Revision"))

    def one(self):
        """The revision at which it gives one movie."""
        return self._revision("GET", f"{self.path}/1")

    def collection(self):
        """The revision at which it gives the collection."""
        return self._revision("GET", self.path)

    def write(self, movie, votes):
        """Changes a movie; the revision of that."""
        return self._revision("PATCH", f"{self.path}/{movie}", json.dumps({"votes": votes}),
                              {"Content-Type": "application/merge-patch+json"})


def turns(found):
    return f"{len(found['ways'][REDIS])} rounds of {len(found['ways'][REDIS][0]['segments'])} writes each"


def together(found, way, what):
    return sorted(value for each in found["ways"][way] for value in each[what])


def tables(found):
    rows, segments = [], []
    most = max(max(together(found, way, "segments")) for way in WITHIN_MS)
    for way in WITHIN_MS:
        shown = together(found, way, "shown_ms")
        started = found["started"][way]
        rows.append([way, *(stats.number(stats.percentile(shown, share)) for share in (50, 90, 99)), stats.number(shown[-1]), f"{len(shown):,}",
                     *(stats.number(stats.middle_of(started, what), 4) for what in ("from_redis", "from_database", "first_ms"))])
        counts = collections.Counter(together(found, way, "segments"))
        segments.append([way, *(f"{counts[number] / counts.total():.1%}" for number in range(most + 1))])
    return (f"{REPLICAS} replicas on one MariaDB {found['version']}, {MOVIES:,} movies. One of them, any, is sent a `PATCH` of any movie; from the moment that this "
            "is acknowledged the others are asked for a movie, without a pause, until the answer's `Marquee-Revision` has it. Then all are asked for "
            "the whole collection. The pauses between writes are of any length up to one and a half polls, so that writes come at any moment between two. "
            f"*{POLL.capitalize()}* Redis replicas look into the database every {POLL_MS} ms (`MARQUEE_POLL_MS`, as it comes); with it they are rung for, and "
            "find the segments there. *A new replica* is one that starts beside them, and is asked for the whole collection.\n\n"
            + table(["", "shown after, p50 ms", "p90", "p99", "the most", "of so many", "a new replica: segments from Redis", "from the database", "first answer, ms"], rows)
            + "\n\nHow many segments all three together read from the database for one write and the answers after it. The writer makes the "
            "touched segment of its cached bytes, and so reads none; without Redis each of the others reads it.\n\n"
            + table(["segments read", *map(str, range(most + 1))], segments))


def bounds(found):
    for way, within in WITHIN_MS.items():
        p99 = stats.percentile(together(found, way, "shown_ms"), 99)
        told = f"p99 ≤ {within} ms" if way == REDIS else f"p99 ≤ the poll's interval and 20 ms: {within} ms"
        yield f"time until another replica shows a write, {way}", told, f"{stats.number(p99)} ms", p99 <= within
    segments = together(found, REDIS, "segments")
    median = stats.percentile(segments, 50)
    yield (f"segments that a write makes {REPLICAS} replicas read from the database, with Redis", "median ≤ 1",
           f"median {median}, p99 {stats.percentile(segments, 99)}, the most {segments[-1]}", median <= 1)


def plots(found, folder):
    figure, axes = plot.figure(1, 1, 7.0, 3.2)
    axis = axes[0][0]
    for way, colour in ((REDIS, plot.MARQUEE), (POLL, plot.CYCLE[0])):
        shown = together(found, way, "shown_ms")
        axis.plot(shown, [100 * (at + 1) / len(shown) for at in range(len(shown))], color=colour, linewidth=2, label=way)
    axis.set(xscale="log", xlabel="ms from the acknowledgement until another replica shows the write", ylabel="of 100 writes", ylim=(0, 101))
    axis.legend()
    return [(plot.save(figure, folder, "replicas"), "How many of 100 writes another replica shows within a time, with Redis and without")]
