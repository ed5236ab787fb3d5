"""Writes that arrive at a given rate, however long their answers take: movies with genres are created, and deleted again.

    python -m load.paced URL RATE SECONDS

Creates and deletes take turns, so that the collection keeps its size. A write that is due while all connections are taken
waits, and its latency is counted from when it was due. One thread and prepared bytes: it must not take the processor from
the server that it measures. At its end it deletes what it created, and says on standard output what it found.
"""

import collections
import json
import os
import random
import selectors
import socket
import sys
import time
import urllib.parse

CONNECTIONS = 128
PATIENCE_S = 60
# A connection that was idle for so long is left alone: the server might be closing it just then.
FRESH_S = 2
GENRES = """Action Adventure Animation Biography Comedy Crime Documentary Drama Family Fantasy History Horror Music Mystery Romance
Sci-Fi Sport Thriller War Western""".split()


def body(rng, number):
    """A movie with one to three genres of twenty and one of four hundred directors."""
    return json.dumps({
        "title": f"Written {number}", "year": rng.randint(1900, 2025), "runtime_minutes": rng.randint(60, 180),
        "directors": [f"Director {rng.randint(1, 400)}"], "genres": rng.sample(GENRES, rng.randint(1, 3)),
        "rating": rng.randint(10, 100) / 10, "votes": rng.randint(1, 100000),
    }).encode()


def bodies(count, seed=1):
    rng = random.Random(seed)
    return [body(rng, number) for number in range(count)]


def lines(folder):
    """A file of bodies in lines, more than a turn takes, for those who send them in turns (oha)."""
    file = os.path.join(folder, "movies.ndjson")
    with open(file, "wb") as out:
        out.writelines(each + b"\n" for each in bodies(20000))
    return file


class Wire:
    """A connection that is kept, with at most one request on it."""

    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.have, self.due, self.creates, self.busy, self.idle_since = b"", 0.0, False, False, 0.0

    def send(self, request, due, creates):
        self.due, self.creates, self.have, self.busy = due, creates, b"", True
        self.socket.sendall(request)

    def receive(self):
        """(status, body) once the answer is whole."""
        got = self.socket.recv(65536)
        if not got:
            raise ConnectionError("the server hung up on a write")
        self.have += got
        head, end, rest = self.have.partition(b"\r\n\r\n")
        if not end:
            return None
        lower = head.lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15:].split(b"\r\n", 1)[0]) if at >= 0 else 0
        return (int(head[9:12]), rest) if len(rest) >= length else None


class Writer:
    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.address, self.path = (parts.hostname, parts.port), parts.path
        head = f"Host: {parts.netloc}\r\nContent-Type: application/json\r\nContent-Length: "
        self.posts = [f"POST {parts.path} HTTP/1.1\r\n{head}{len(each)}\r\n\r\n".encode() + each for each in bodies(2000)]
        self.selector = selectors.DefaultSelector()
        # Made as they are needed, and used again, the last one first.
        self.idle, self.busy = [], 0
        self.ids = collections.deque()
        self.latencies, self.statuses = [], collections.Counter()
        self.sent = 0

    def has_room(self):
        return self.busy < CONNECTIONS

    def send(self, request, due, creates):
        if self.idle and time.monotonic() - self.idle[-1].idle_since < FRESH_S:
            wire = self.idle.pop()
        else:
            wire = Wire(*self.address)
            self.selector.register(wire.socket, selectors.EVENT_READ, wire)
        self.busy += 1
        wire.send(request, due, creates)

    def write(self, due):
        creates = self.sent % 2 == 0 or not self.ids
        if creates:
            request = self.posts[self.sent % len(self.posts)]
        else:
            request = self.delete(self.ids.popleft())
        self.send(request, due, creates)
        self.sent += 1

    def delete(self, movie):
        return f"DELETE {self.path}/{movie} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()

    def take(self, seconds):
        """Takes the answers that come next, within some seconds."""
        for key, _ in self.selector.select(max(0.0, seconds)):
            wire = key.data
            if not wire.busy:
                # Kept for as long as the server likes.
                self.selector.unregister(wire.socket)
                wire.socket.close()
                self.idle.remove(wire)
                continue
            answer = wire.receive()
            if answer is None:
                continue
            status, told = answer
            self.latencies.append(time.monotonic() - wire.due)
            self.statuses[status] += 1
            if wire.creates and status == 201:
                self.ids.append(json.loads(told)["id"])
            wire.busy, wire.idle_since = False, time.monotonic()
            self.busy -= 1
            self.idle.append(wire)

    def wait(self):
        """For all that is under way, as long as patience lasts."""
        end = time.monotonic() + PATIENCE_S
        while self.busy and time.monotonic() < end:
            self.take(1.0)

    def run(self, rate, seconds):
        began = time.monotonic()
        due, count = began, 0
        while (now := time.monotonic()) < began + seconds:
            while due <= now and self.has_room():
                self.write(due)
                count += 1
                due = began + count / rate
            self.take(min(due, began + seconds) - now if self.has_room() else began + seconds - now)
        answered = len(self.latencies)
        # Those that were due, and could not even be sent.
        unsent = max(0, int(seconds * rate) - count)
        self.wait()
        found = {"asked_rate": rate, "seconds": seconds, "due": int(seconds * rate), "answered_in_time": answered, "unsent": unsent,
                 "answered": len(self.latencies), "statuses": {str(code): n for code, n in sorted(self.statuses.items())},
                 "rate": answered / seconds}
        latencies = sorted(self.latencies)
        if latencies:
            for name, part in (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999), ("max_ms", 1.0)):
                found[name] = latencies[min(len(latencies) - 1, int(part * len(latencies)))] * 1000
        return found

    def clean(self):
        """Deletes what is left; gives how many that were."""
        left = len(self.ids)
        while self.ids:
            while self.ids and self.has_room():
                self.send(self.delete(self.ids.popleft()), 0.0, False)
            self.take(1.0)
        self.wait()
        return left


def main(url, rate, seconds):
    writer = Writer(url)
    print("ready", flush=True)
    sys.stdin.readline()
    found = writer.run(float(rate), float(seconds))
    print(json.dumps({**found, "cleaned": writer.clean()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
