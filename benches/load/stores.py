"""Databases for the scenarios that write: filled with a collection, counted, and asked what they did."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import urllib.parse

from .process import Failed

NAMES = {"mysql": "MySQL", "mariadb": "MariaDB", "sqlite": "SQLite"}


def empty(context, kind):
    """The URL of a store without tables."""
    if kind == "sqlite":
        return f"sqlite://{context.new_folder('sqlite')}/marquee.db"
    return context.database(kind)


@contextlib.contextmanager
def passing(context, kind):
    """As empty(); gone when it is done with, since a large one takes room."""
    url = empty(context, kind)
    try:
        yield url
    finally:
        if kind == "sqlite":
            shutil.rmtree(os.path.dirname(url.removeprefix("sqlite://")))
        else:
            context.sql(url, f"DROP DATABASE {url.rpartition('/')[2]}")


def filled(context, kind, collection):
    """The URL of a marquee store with a collection, each movie under its id."""
    if kind == "sqlite":
        return f"sqlite://{collection.copy(context.new_folder('sqlite'))}"
    url = context.database(kind)
    environment = {**os.environ, "RUST_LOG": "warn"}
    with context.alone():
        with subprocess.Popen([context.binaries.marquee, "export"], stdout=subprocess.PIPE,
                              env={**environment, "DATABASE_URL": f"sqlite://{collection.file}"}) as export:
            done = subprocess.run([context.binaries.marquee, "import", "-"], stdin=export.stdout, capture_output=True, text=True,
                                  env={**environment, "DATABASE_URL": url}, check=False)
        if done.returncode or export.returncode:
            raise Failed(f"{collection.count} movies did not go into {NAMES[kind]}:\n{done.stderr[-2000:]}")
    if movies(context, url) != collection.count:
        raise Failed(f"{NAMES[kind]} has not {collection.count} movies")
    return url


def movies(context, url):
    """How many movies a store has, by its own word."""
    count = "SELECT COUNT(*) FROM movies"
    if url.startswith("sqlite://"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite://"))) as database:
            return database.execute(count).fetchone()[0]
    return context.sql(url, count)[0][0]


def version(context, kind):
    """What a server says that it is."""
    if kind == "sqlite":
        return None
    return context.sql(context.database(kind), "SELECT VERSION()")[0][0].split("-")[0]


def process_of(url):
    """The id of the server's process, where it runs on this machine."""
    import psutil  # of the Python environment that ./bench makes

    if url.startswith("sqlite://"):
        return None
    port = urllib.parse.urlsplit(url).port
    listening = (each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN and each.laddr.port == port)
    return next((each.pid for each in listening), None)


class Counters:
    """What a server did meanwhile, for all its clients: statements that it was sent, and (MySQL counts them) rows that it read."""

    STATUS = {"statements": "Questions", "rows_read": "Innodb_rows_read"}

    def __init__(self, context, url):
        self.context, self.url = context, url
        self.before = self._now()

    def since(self):
        now = self._now()
        # The look itself is a statement.
        return {name: now[name] - self.before[name] - (name == "statements") for name in now}

    def _now(self):
        names = ", ".join(f"'{name}'" for name in self.STATUS.values())
        found = dict(self.context.sql(self.url, f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})"))
        return {name: int(found[status]) for name, status in self.STATUS.items() if status in found}
