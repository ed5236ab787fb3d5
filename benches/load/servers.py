"""The contestants that any scenario may start. Those of one scenario alone are with that scenario.

Each is a Server: a Process with a URL that answers right when this gives it back. Use them in an ExitStack:

    with contextlib.ExitStack() as stack:
        marquee = stack.enter_context(servers.marquee(context, context.collection(246)))
        found = context.turns([marquee, …], lambda server: generators.wrk(server, "gzip", seconds=context.seconds))
"""

import os
import re
import time

from .check import ask
from .process import Failed, Process, free_port

KINDS = ("identity", "gzip", "304")


class Server:
    """A contestant that runs. `name` is its key in results and plots, `url` what is asked for."""

    def __init__(self, name, process, url, connections=64, keeps_alive=True):
        self.name, self.process, self.url = name, process, url
        # How many it is asked on at once, and whether it keeps them open.
        self.connections, self.keeps_alive = connections, keeps_alive
        self.tags = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop()

    @property
    def base(self):
        """http://host:port"""
        return "/".join(self.url.split("/")[:3])

    def headers(self, kind):
        """What asks for a kind of answer. For 304, the tag that it gave when first asked; forget() after a write."""
        if kind == "gzip":
            return {"Accept-Encoding": "gzip"}
        if kind == "304":
            if self.url not in self.tags:
                self.tags[self.url] = ask(self.url).header("etag")
                if not self.tags[self.url]:
                    raise Failed(f"{self.name} gives no ETag")
            return {"If-None-Match": self.tags[self.url]}
        return {}

    def forget(self):
        self.tags.clear()


def answers(process, url, seconds=120, status=200):
    """Waits until a URL answers as it should."""
    def ready():
        try:
            return ask(url, seconds=seconds).status == status
        except Failed:
            return False
    process.wait_until(ready, seconds, pause=0.02)


def marquee(context, collection=None, name="marquee", url=None, **settings):
    """marquee as it is shipped, on a copy of a collection in SQLite, or on the database that `url` names.

    `settings` are environment variables (MARQUEE_ACCESS_LOG="on"). What the log says goes to a file, as it would.
    """
    folder = context.new_folder(name.replace(" ", "-"))
    if url is None:
        url = f"sqlite://{collection.copy(folder)}" if collection else f"sqlite://{folder}/marquee.db"
    process = start_marquee(context, folder, name, url, **settings)
    server = Server(name, process, f"{marquee_address(process)}/v1/movies")
    answers(process, f"{server.base}/readyz")
    return server


def start_marquee(context, folder, name, url, **settings):
    """The process alone, as soon as it was started: for those who time its start."""
    environment = {"DATABASE_URL": url, "MARQUEE_BIND": "127.0.0.1:0", "MARQUEE_SAMPLE": "off", **settings}
    return Process(name.replace(" ", "-"), [context.binaries.marquee], folder, env=environment)


def marquee_address(process, seconds=120):
    """The address that it names in its start line."""
    def said():
        found = re.search(r"http://127\.0\.0\.1:\d+", process.said())
        return found and found.group(0)
    return process.wait_until(said, seconds, pause=0.002)


def metrics(server):
    """{name with labels: value} of a marquee's /metrics."""
    lines = ask(f"{server.base}/metrics").body.decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


HEADS = ("etag", "marquee-revision", "cache-control", "cache-status", "vary", "x-total-count")


def ready_bytes(context, origin, path="/v1/movies", codings=("identity", "gzip", "zstd")):
    """A folder with what a marquee answers in each coding, and the headers that it answers with (`heads`)."""
    folder = context.new_folder("ready")
    for coding in codings:
        # The second answer is a hit, and says so in its head.
        for _ in range(2):
            answer = ask(origin.base + path, headers={"Accept-Encoding": coding})
        with open(os.path.join(folder, coding), "wb") as file:
            file.write(answer.body)
        if coding == "identity":
            with open(os.path.join(folder, "heads"), "w", encoding="ascii") as file:
                file.writelines(f"{name}: {answer.header(name)}\n" for name in HEADS if answer.header(name))
    return folder


def bare(context, ready, heads=False, name=None):
    """A bare actix handler with ready bytes: the limit. With `heads`, it sends marquee's headers as well."""
    name = name or ("bare, same headers" if heads else "bare")
    process = Process("bare-heads" if heads else "bare",
                      [context.binaries.hits, "--bare", ready, os.path.join(ready, "heads" if heads else "none")],
                      context.new_folder("bare"))

    def said():
        found = re.search(r"http://\S+", process.said())
        return found and found.group(0)
    server = Server(name, process, f"{process.wait_until(said)}/v1/movies")
    answers(process, server.url)
    # Without marquee's headers it has no tag, and takes any.
    server.tags[server.url] = '"any"'
    return server


def free_address():
    """http://127.0.0.1:PORT of a port that is free, for those who cannot take one by themselves."""
    return f"http://127.0.0.1:{free_port()}"


def settle(seconds=0.3):
    """Lets what has just started come to rest."""
    time.sleep(seconds)
