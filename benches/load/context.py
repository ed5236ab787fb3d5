"""What a scenario is given: where things are, how long to measure, and the means to take contestants in turns."""

import contextlib
import fcntl
import functools
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

from .collection import Collection
from .process import Failed, run


# How long the lock of a shared machine is held, rounds begun before that included.
LOCKED_S = 150


class Binaries:
    """What cargo builds, each when it is first asked for: marquee, and the benchmarks that serve as contestants."""

    def __init__(self, context):
        self._context = context

    @functools.cached_property
    def marquee(self):
        """As it is shipped. What benchmarks depend on makes one with more features of its parts, at the same place: so this is a copy."""
        self._cargo("build", "--release")
        return shutil.copy2(os.path.join(self._context.root, "target", "release", "marquee"), self._context.new_folder("shipped"))

    @functools.cached_property
    def hits(self):
        return self._bench("hits")

    @functools.cached_property
    def plain(self):
        return self._bench("plain")

    @functools.cached_property
    def raw(self):
        return self._bench("raw")

    def _bench(self, name):
        for line in self._cargo("bench", "--no-run", "--message-format=json", "--bench", name).splitlines():
            message = json.loads(line)
            if message.get("reason") == "compiler-artifact" and message.get("executable") and message["target"]["name"] == name:
                return message["executable"]
        raise Failed(f"cargo built no benchmark {name}")

    def _cargo(self, *arguments):
        self._context.say(f"cargo {' '.join(arguments)}")
        with self._context.alone():
            return run(["cargo", *arguments, "--quiet"], cwd=self._context.root)


class Context:
    """One run. `folder` is a temporary folder, `cache` one that is kept, `root` the project's."""

    def __init__(self, root, cache, folder, quick=False):
        self.root, self.cache, self.folder, self.quick = root, cache, folder, quick
        self.rounds = int(os.environ.get("MARQUEE_BENCH_ROUNDS", "0")) or (2 if quick else 7)
        self.seconds = int(os.environ.get("MARQUEE_BENCH_SECONDS", "0")) or (1 if quick else 2)
        self.node_modules = os.environ.get("MARQUEE_BENCH_NODE_MODULES", "")
        self._lock = os.environ.get("MARQUEE_BENCH_LOCK")
        self._held = 0
        # Whether a turn is one that is thrown away.
        self.warming = False
        self._collections = {}
        self._databases = contextlib.ExitStack()
        self._servers = None
        self.binaries = Binaries(self)

    def say(self, text):
        """Tells whoever waits what is being done."""
        print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def alone(self):
        """Holds the lock of a shared machine, where there is one: around a round, never for long. May be nested."""
        if not self._lock or self._held:
            self._held += 1
            try:
                yield
            finally:
                self._held -= 1
            return
        with open(self._lock, "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._held += 1
            try:
                yield
            finally:
                self._held -= 1

    def collection(self, count, first_of=None):
        """So many movies, or the first ones of a larger collection; made when they are not there yet."""
        if first_of == count:
            first_of = None
        key = (count, first_of)
        if key not in self._collections:
            self._collections[key] = Collection.of(count, self, first_of)
        return self._collections[key]

    def new_folder(self, name):
        """A folder for one contestant, gone after the run."""
        return tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder)

    def turns(self, contestants, measure, rounds=None, warm=True):
        """Takes contestants in turns, round after round: [{name: what measure(contestant) gave}, …].

        The order goes round, so that nobody always follows the same one. A warm-up turn of each (with `self.seconds` at 1) comes
        first and is thrown away.
        """
        contestants, found, rounds = list(contestants), [], rounds or self.rounds
        if warm:
            seconds, self.seconds, self.warming = self.seconds, 1, True
            with self.alone():
                for contestant in contestants:
                    measure(contestant)
            self.seconds, self.warming = seconds, False
        while len(found) < rounds:
            # As many rounds as fit into the time for which others can wait.
            with self.alone():
                end = time.monotonic() + LOCKED_S
                while len(found) < rounds and time.monotonic() < end:
                    turn = len(found) % len(contestants)
                    found.append({each.name: measure(each) for each in contestants[turn:] + contestants[:turn]})
        return found

    def database(self, kind):
        """The URL of a new, empty database on a "mysql" or "mariadb" server; dropped at the end of the run.

        The server is one that MARQUEE_TEST_MYSQL_URL or MARQUEE_TEST_MARIADB_URL names, or else a private one by
        tests/databases.sh, with its durability and its buffers as they come.
        """
        name = f"marquee_bench_{os.getpid()}_{int(time.time() * 1000) % 10**9}"
        server = self._server(kind)
        self.sql(server, f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        self._databases.callback(self.sql, server, f"DROP DATABASE IF EXISTS {name}")
        return server + name

    def sql(self, url, *statements):
        """Runs statements on a server or database; gives the rows of the last one."""
        import MySQLdb  # of the Python environment that ./bench makes

        parts = urllib.parse.urlsplit(url)
        connection = MySQLdb.connect(host=parts.hostname, port=parts.port, user=parts.username, passwd=parts.password or "",
                                     db=parts.path.strip("/"), charset="utf8mb4", autocommit=True)
        with contextlib.closing(connection), contextlib.closing(connection.cursor()) as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()

    def _server(self, kind):
        variable = f"MARQUEE_TEST_{kind.upper()}_URL"
        if variable not in os.environ:
            script = os.path.join(self.root, "tests", "databases.sh")
            name = f"bench-{os.getpid()}"
            self.say("starting private servers")
            said = run([script, "start", name], env={"MARQUEE_TEST_BUFFERS": "default"})
            self._databases.callback(run, [script, "stop", name])
            for line in said.splitlines():
                assignment = shlex.split(line)[-1]
                key, _, value = assignment.partition("=")
                os.environ[key] = value
                self._databases.callback(os.environ.pop, key, None)
        return os.environ[variable].rstrip("/") + "/"

    def close(self):
        """Drops databases, and stops the servers that were started for them."""
        self._databases.close()

    def machine(self):
        """What the figures were taken on, and of what."""
        cpu = "unknown"
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
            for line in info:
                if line.startswith("model name"):
                    cpu = line.partition(":")[2].strip()
                    break
        with open("/proc/meminfo", encoding="ascii") as info:
            memory = next(int(line.split()[1]) for line in info if line.startswith("MemTotal"))
        dirty = "" if _said(["git", "-C", self.root, "diff", "--quiet", "HEAD", "--", "src", "Cargo.lock"], True) else " with changes"
        return {
            "date": time.strftime("%Y-%m-%d"),
            # The last one that changed the program: what changed documents alone measures the same.
            "commit": _said(["git", "-C", self.root, "log", "-1", "--format=%h", "--abbrev=10", "--", "src", "Cargo.toml", "Cargo.lock"]) + dirty,
            "cpu": f"{len(os.sched_getaffinity(0))} cores of {cpu}",
            "memory_gib": round(memory / 1024 / 1024),
            "kernel": os.uname().release.split("-")[0],
            "rounds": self.rounds,
            "seconds": self.seconds,
        }


def version(command, pattern=None):
    """The first line (or what `pattern` finds) of what a program says of its version."""
    import re

    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        # A server that runs elsewhere.
        return "unknown"
    text = done.stdout + done.stderr
    found = re.search(pattern, text) if pattern else None
    if pattern and not found:
        raise Failed(f"{command} did not tell its version: {text[:200]}")
    return found.group(1) if found else text.strip().splitlines()[0]


def _said(command, whether=False):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0 if whether else done.stdout.strip()
